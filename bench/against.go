//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/seal"
)

// roundsAgainst is the default number of rounds of a comparison. It is odd, so that a median is a measured value.
const roundsAgainst = 7

// olderSystem returns the system of the rows of the older program.
func olderSystem(system string) string { return system + "-older" }

// compare measures the program against an older one in one interleaved run: each row of one program directly before or
// after the same row of the other, in an order that reverses with every round. Both start with the same data (see pair).
func (b *bench) compare(ctx context.Context, out io.Writer) error {
	var versions []string
	for _, program := range []string{b.against, b.program} {
		version, err := (&gatehouse{program: program, dir: b.dir}).command(ctx, nil, "version")
		if err != nil {
			return err
		}
		versions = append(versions, version)
	}
	for _, name := range b.databases {
		var err error
		switch name {
		case "sqlite":
			err = b.compareOnSQLite(ctx)
		case "postgres":
			err = b.compareOnPostgres(ctx)
		default:
			err = fmt.Errorf("-db: %q is neither sqlite nor postgres", name)
		}
		if err != nil {
			return err
		}
	}
	begin := time.Now()
	f, failed, err := b.measure(ctx)
	if err != nil {
		return err
	}
	about := machine(fmt.Sprintf("%s; %d connections, %d sessions and as many invitations, %d rounds of %v, medians",
		begin.UTC().Format("2006-01-02 15:04 MST"), connections, b.world.rows, b.rounds, b.duration)) +
		fmt.Sprintf("\n\nOlder program: %s (%s). Newer program: commit %s (%s).", b.against, versions[0], revision(), versions[1])
	if failed != nil {
		b.note("Rows that failed, and are left out: %s.", strings.ReplaceAll(failed.Error(), "\n", "; "))
	}
	text := about + "\n\n" + comparison(f)
	for _, n := range b.notes {
		text += "\n" + n + "\n"
	}
	fmt.Fprintln(out, text)
	if b.results != "" {
		file, err := writeSamples(b.results, begin, about, f)
		if err != nil {
			return err
		}
		b.logf("every sample is in %s", file)
	}
	return failed
}

// databases manages the databases of installations. No program may have the databases open.
type databases interface {
	// urlOf returns the URL of the database of an installation; empty for the default.
	urlOf(name string) string
	// create creates an empty database.
	create(ctx context.Context, g *gatehouse) error
	// clone creates a database as an exact copy of another one.
	clone(ctx context.Context, from, to *gatehouse) error
	// copyInvitations adds the invitations of one database to another, in the columns of the latter.
	copyInvitations(ctx context.Context, from, to *gatehouse) error
	// tidy does the maintenance that the database would otherwise do during the measurement.
	tidy(ctx context.Context, g *gatehouse) error
	// drop deletes a database.
	drop(ctx context.Context, g *gatehouse) error
}

// pair creates two installations with the same data. The older program loads its database with its own commands,
// migrate and import. The database is copied, and the newer program migrates the copy.
//
// No command imports invitations, and creating them one by one would hash a hundred thousand secrets. Package db of this
// tree stores them, but it must not write to the older schema. Therefore it writes to a scratch copy of the loaded
// database, which the newer program has migrated, and SQL copies the rows back, in the columns of the older schema. The
// scratch copy has the keysets of the original, so that the older program can decrypt the rows; R2 and V1 fail otherwise.
func (b *bench) pair(
	ctx context.Context, on databases, name string, w world, invitations bool, more ...string,
) (older, newer *gatehouse, err error) {
	key := newKey()
	install := func(program, name string) (*gatehouse, error) {
		return newGatehouse(program, filepath.Join(b.dir, name), on.urlOf(name), key, more...)
	}
	migratedCopy := func(name string) (*gatehouse, error) {
		g, err := install(b.program, name)
		if err != nil {
			return nil, err
		}
		if err := on.clone(ctx, older, g); err != nil {
			return nil, fmt.Errorf("copy the database: %w", err)
		}
		_, err = g.command(ctx, nil, "migrate", "up")
		return g, err
	}

	if older, err = install(b.against, olderSystem(name)); err != nil {
		return nil, nil, err
	}
	if err := on.create(ctx, older); err != nil {
		return nil, nil, err
	}
	b.logf("%s: the older program loads %d sessions", name, w.rows+w.onClients)
	if err := older.load(ctx, w); err != nil {
		return nil, nil, err
	}
	if invitations {
		b.logf("%s: adding %d invitations", name, w.rows)
		scratch, err := migratedCopy(name + "-scratch")
		if err != nil {
			return nil, nil, err
		}
		parsed, err := seal.ParseKey(key)
		if err != nil {
			return nil, nil, err
		}
		if err := w.insertInvitations(ctx, scratch.url, parsed); err != nil {
			return nil, nil, err
		}
		if err := on.copyInvitations(ctx, scratch, older); err != nil {
			return nil, nil, fmt.Errorf("copy the invitations: %w", err)
		}
		if err := on.drop(ctx, scratch); err != nil {
			return nil, nil, err
		}
	}
	if err := on.tidy(ctx, older); err != nil {
		return nil, nil, err
	}
	if newer, err = migratedCopy(name); err != nil {
		return nil, nil, err
	}
	return older, newer, on.tidy(ctx, newer)
}

// addPair starts both installations and adds the rows that the function returns for each. database is the process id of
// the database's first process.
func (b *bench) addPair(
	ctx context.Context, name string, older, newer *gatehouse, native bool, database int,
	rows func(system string, s *server, auth caller) ([]benchRow, error),
) error {
	for _, one := range []struct {
		system string
		*gatehouse
	}{{olderSystem(name), older}, {name, newer}} {
		auth, err := callers(ctx, one.gatehouse, native)
		if err != nil {
			return fmt.Errorf("%s: %w", one.system, err)
		}
		s, err := b.serve(ctx, one.gatehouse, one.system)
		if err != nil {
			return fmt.Errorf("%s: %w", one.system, err)
		}
		s.database = database
		added, err := rows(one.system, s, auth)
		if err != nil {
			return fmt.Errorf("%s: %w", one.system, err)
		}
		b.add(added...)
	}
	return nil
}

func (b *bench) compareOnSQLite(ctx context.Context) error {
	older, newer, err := b.pair(ctx, sqliteFiles{}, "sqlite", b.world, true)
	if err != nil {
		return err
	}
	var reference *server
	if b.wants("reference", "W1") {
		if reference, err = startReference(ctx, b.dir, sqliteFile(newer)); err != nil {
			return err
		}
		b.started = append(b.started, reference.stop)
	}
	rows := func(system string, s *server, auth caller) ([]benchRow, error) {
		if reference != nil && system == "sqlite" {
			b.add(referenceRow(reference, auth, b.world))
		}
		return product(ctx, system, s, auth, b.world, b.wants)
	}
	if err := b.addPair(ctx, "sqlite", older, newer, b.wants("", "T1"), 0, rows); err != nil {
		return err
	}
	for _, algorithm := range otherAlgorithms {
		if !b.wants("sqlite", "T1 "+algorithm) {
			continue
		}
		small := newWorld(callerSessions)
		older, newer, err := b.pair(ctx, sqliteFiles{}, algorithm, small, false, algorithmVariable+"="+algorithm)
		if err != nil {
			return err
		}
		rows := func(system string, s *server, auth caller) ([]benchRow, error) {
			system = strings.Replace(system, algorithm, "sqlite", 1)
			return []benchRow{{system: system, id: "T1 " + algorithm, run: over(s, tokenTarget(s, auth, small)), server: s}}, nil
		}
		if err := b.addPair(ctx, algorithm, older, newer, true, 0, rows); err != nil {
			return err
		}
	}
	return nil
}

// compareOnPostgres runs both databases in one cluster.
func (b *bench) compareOnPostgres(ctx context.Context) error {
	p, err := startPostgres(ctx, b.buffers)
	if err != nil {
		return err
	}
	b.started = append(b.started, p.stop)
	older, newer, err := b.pair(ctx, p, "postgres", b.world, true)
	if err != nil {
		return err
	}
	rows := func(system string, s *server, auth caller) ([]benchRow, error) {
		return product(ctx, system, s, auth, b.world, b.wants)
	}
	return b.addPair(ctx, "postgres", older, newer, b.wants("", "T1"), p.pid(), rows)
}
