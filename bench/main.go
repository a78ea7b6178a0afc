//go:build unix

// Command bench measures the built program against baselines in the same run: its own bare handler, pgbench with the
// same statements, PostGraphile on the same tables, and a writer without group commit on SQLite. With -against it
// measures the program against an older one instead. Run it with `make bench`; docs/performance.md describes the rows
// and how to read them.
//
// It knows the external interfaces of the product: commands, settings and doors. Only invitations, which no command
// imports, are stored through package db.
package main

import (
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/seal"
)

// options holds the flags.
type options struct {
	rounds    int
	duration  time.Duration
	rows      int
	databases []string
	// only lists the ids of the rows to measure; empty for all.
	only []string
	// without lists the systems to skip.
	without []string
	program string
	// against is an older program to compare with; empty for none.
	against string
	cache   string
	buffers string
	page    string
	// whole is true if everything is measured as the page describes.
	whole   bool
	results string
	sizes   string
	idle    int
	// profiles is the directory for a processor profile of each row; empty for none.
	profiles string
}

func main() {
	if referenceConfig := os.Getenv(referenceVariable); referenceConfig != "" {
		fmt.Fprintln(os.Stderr, reference(referenceConfig))
		os.Exit(1)
	}
	var o options
	var databases, only, without string
	var quick bool
	flag.IntVar(&o.rounds, "rounds", 5, fmt.Sprintf("interleaved `rounds`, after a short warm-up round; %d with -against", roundsAgainst))
	flag.DurationVar(&o.duration, "duration", 2*time.Second, "`time` of each row in each round")
	flag.IntVar(&o.rows, "rows", 100_000, "`number` of sessions, and of invitations")
	flag.StringVar(&databases, "db", "sqlite,postgres", "`databases`")
	flag.StringVar(&only, "only", "", "`rows` to measure, for example R1,W1 (H0 is always measured); screening alone measures the matching of names")
	flag.StringVar(&without, "without", "", "`systems` to skip: pgbench, postgraphile, reference, bare")
	flag.BoolVar(&quick, "quick", false, "two rounds of one second over 10,000 rows")
	flag.StringVar(&o.program, "gatehouse", "", "measure this `program` instead of building one")
	flag.StringVar(&o.against, "against", "", "compare with this older `program` instead, on copies of the data that it loads (about 15 minutes)")
	flag.StringVar(&o.cache, "cache", "", "`folder` for PostGraphile; default: below the user's cache")
	flag.StringVar(&o.buffers, "shared-buffers", "1GB", "shared_buffers of PostgreSQL")
	flag.StringVar(&o.page, "page", "", "also write the tables between the markers of this `file`, if everything was measured")
	flag.StringVar(&o.results, "results", "", "store every sample in this `folder`")
	flag.IntVar(&o.idle, "idle", 10_000, "idle connections whose memory is measured; 0 = none")
	flag.StringVar(&o.profiles, "profiles", "", "after the rounds, store a processor profile of the server for each row in this `folder`")
	flag.StringVar(&o.sizes, "growth", "", "measure growth over these `sizes` instead, for example 10000,100000,1000000,10000000")
	flag.Parse()
	set := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if quick {
		for name, value := range map[string]string{"rounds": "2", "duration": "1s", "rows": "10000", "idle": "1000"} {
			if !set[name] {
				_ = flag.Set(name, value)
			}
		}
	}
	if o.against != "" && !quick && !set["rounds"] {
		o.rounds = roundsAgainst
	}
	o.databases, o.only, o.without = list(databases), list(only), list(without)
	o.whole = !quick && len(o.databases) == 2 && len(o.only) == 0 && len(o.without) == 0 && o.idle > 0 && o.rounds >= 5 && o.rows >= 100_000
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// wants reports whether a row is selected.
func (o options) wants(system, id string) bool {
	if slices.Contains(o.without, system) {
		return false
	}
	family, _, _ := strings.Cut(id, " ")
	return id == "H0" || len(o.only) == 0 || slices.ContainsFunc(o.only, func(entry string) bool {
		selected, _, _ := strings.Cut(entry, " ")
		return entry == id || entry == family || selected == id
	})
}

// run measures and writes the tables to out, and the progress to progress.
func run(ctx context.Context, o options, out, progress io.Writer) (err error) {
	// Thousands of connections need as many descriptors; the servers inherit the limit.
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	b := &bench{options: o, dir: dir, progress: progress, world: newWorld(o.rows)}
	defer b.close()
	if b.program = o.program; b.program == "" {
		b.logf("building")
		if b.program, err = build(ctx, dir); err != nil {
			return err
		}
	} else if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	switch {
	case o.against != "" && o.sizes != "":
		return errors.New("-growth measures one program: remove -against")
	case o.against != "":
		if b.against, err = filepath.Abs(o.against); err != nil {
			return err
		}
		return b.compare(ctx, out)
	case o.sizes != "":
		return b.growth(ctx, out)
	case slices.Equal(o.only, []string{"screening"}):
		return b.screening(ctx, out)
	}
	return b.tables(ctx, out)
}

// bench is one run.
type bench struct {
	options
	dir      string
	progress io.Writer
	world    world
	rows     []benchRow
	notes    []string
	// started holds the functions that stop the started servers.
	started []func()
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(b.progress, time.Now().Format("15:04:05")+" "+format+"\n", args...)
}

// note adds a line below the tables.
func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
	b.logf(format, args...)
}

func (b *bench) close() {
	for _, stop := range slices.Backward(b.started) {
		stop()
	}
	_ = os.RemoveAll(b.dir)
}

func (b *bench) add(rows ...benchRow) {
	for _, r := range rows {
		if b.wants(r.system, r.id) {
			b.rows = append(b.rows, r)
		}
	}
}

func (b *bench) tables(ctx context.Context, out io.Writer) error {
	for _, name := range b.databases {
		var err error
		switch name {
		case "sqlite":
			err = b.sqlite(ctx)
		case "postgres":
			err = b.postgres(ctx)
		default:
			err = fmt.Errorf("-db: %q is neither sqlite nor postgres", name)
		}
		if errors.Is(err, errNoPostgres) {
			b.note("PostgreSQL was left out: %v.", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	bare, err := bareRows()
	if err != nil {
		return err
	}
	b.add(bare...)

	begin := time.Now()
	f, failed, err := b.measure(ctx)
	if err != nil {
		return err
	}
	if b.idle > 0 {
		if err := b.idlers(ctx); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	about := machine(fmt.Sprintf("commit %s, %s; %d connections, %d sessions and as many invitations, %d rounds of %v, medians",
		revision(), begin.UTC().Format("2006-01-02 15:04 MST"), connections, b.world.rows, b.rounds, b.duration))
	for _, name := range []string{"sqlite", "postgres"} {
		if us := f.middle(key{name, "H0"}, func(s sample) float64 { return micros(s.client) }); us > 0 {
			b.note("The load client itself took %.0f us of processor time for each answer of H0.", us)
			break
		}
	}
	if failed != nil {
		b.note("Rows that failed, and are left out: %s.", strings.ReplaceAll(failed.Error(), "\n", "; "))
	}
	text := about + "\n\n" + tables(f)
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
	if b.page != "" && !b.whole {
		b.logf("%s stays as it is: not everything was measured", b.page)
	} else if b.page != "" {
		if err := writePage(b.page, beginTables, endTables, text); err != nil {
			return err
		}
		b.logf("the tables are in %s", b.page)
	}
	return failed
}

// measure runs the rounds, and then the profiles. The first error is that of rows that failed and are left out.
func (b *bench) measure(ctx context.Context) (f figures, failed, err error) {
	inOrder(b.rows)
	took := time.Duration(len(b.rows)) * (time.Duration(b.rounds)*b.duration + b.duration/warmUpShare)
	b.logf("%d rows, %d rounds of %v: about %v", len(b.rows), b.rounds, b.duration, took.Round(time.Second))
	f, failed = interleave(ctx, b.rows, b.rounds, b.duration, b.progress)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if err := b.quiet(); err != nil {
		return nil, nil, err
	}
	if b.profiles != "" {
		failed = errors.Join(failed, b.profile(ctx))
	}
	return f, failed, nil
}

// quiet verifies that no server wrote a line per request: the rows are documented as measured without the access log.
func (b *bench) quiet() error {
	logs, _ := filepath.Glob(filepath.Join(b.dir, "*", "*.log"))
	for _, file := range logs {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "request") && strings.Contains(string(text), "/graphql") {
			return fmt.Errorf("the access log was on: %.300s", text)
		}
	}
	return nil
}

// inOrder places rows that are compared next to each other, so that both are measured under the same conditions. Rows
// with work after the response, the mails of createInvitation, come last, where the order reverses.
func inOrder(rows []benchRow) {
	ids := map[string]int{"W2": len(rows)}
	for i, r := range rows {
		if _, ok := ids[r.id]; !ok {
			ids[r.id] = i
		}
	}
	slices.SortStableFunc(rows, func(x, y benchRow) int { return ids[x.id] - ids[y.id] })
}

// newKey returns an encryption key as text.
func newKey() string {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(rand.Uint32()) // the data that it protects is fictitious
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// fill creates the directory, the sessions and the invitations.
func (b *bench) fill(ctx context.Context, g *gatehouse, key string, w world) error {
	b.logf("loading %d sessions and %d invitations into %s", w.rows+w.onClients, w.rows, filepath.Base(g.dir))
	if err := g.load(ctx, w); err != nil {
		return err
	}
	parsed, err := seal.ParseKey(key)
	if err != nil {
		return err
	}
	return w.insertInvitations(ctx, g.url, parsed)
}

func (b *bench) serve(ctx context.Context, g *gatehouse, name string) (*server, error) {
	s, err := g.start(ctx, name)
	if err == nil {
		b.started = append(b.started, s.stop)
	}
	return s, err
}

// otherAlgorithms lists the algorithms of T1 besides the default. Each has a small installation of its own, because the
// algorithm is a setting of the server.
var otherAlgorithms = []string{"ES256", "EdDSA"}

const algorithmVariable = "GATEHOUSE_SESSION_TOKEN_ALG"

func (b *bench) sqlite(ctx context.Context) error {
	key := newKey()
	g, err := newGatehouse(b.program, filepath.Join(b.dir, "sqlite"), "", key)
	if err != nil {
		return err
	}
	if err := b.fill(ctx, g, key, b.world); err != nil {
		return err
	}
	auth, err := callers(ctx, g, b.wants("", "T1"))
	if err != nil {
		return err
	}
	if b.wants("reference", "W1") {
		r, err := startReference(ctx, b.dir, sqliteFile(g))
		if err != nil {
			return err
		}
		b.started = append(b.started, r.stop)
		b.add(referenceRow(r, auth, b.world))
	}
	s, err := b.serve(ctx, g, "sqlite")
	if err != nil {
		return err
	}
	rows, err := product(ctx, "sqlite", s, auth, b.world, b.wants)
	if err != nil {
		return err
	}
	b.add(rows...)
	for _, algorithm := range otherAlgorithms {
		if !b.wants("sqlite", "T1 "+algorithm) {
			continue
		}
		small := newWorld(callerSessions)
		other, err := newGatehouse(b.program, filepath.Join(b.dir, algorithm), "", newKey(), algorithmVariable+"="+algorithm)
		if err != nil {
			return err
		}
		if err := other.load(ctx, small); err != nil {
			return err
		}
		auth, err := callers(ctx, other, true)
		if err != nil {
			return err
		}
		s, err := b.serve(ctx, other, algorithm)
		if err != nil {
			return err
		}
		b.add(benchRow{system: "sqlite", id: "T1 " + algorithm, run: over(s, tokenTarget(s, auth, small)), server: s})
	}
	return nil
}

func (b *bench) postgres(ctx context.Context) error {
	p, err := startPostgres(ctx, b.buffers)
	if err != nil {
		return err
	}
	b.started = append(b.started, p.stop)
	key := newKey()
	g, err := newGatehouse(b.program, filepath.Join(b.dir, "postgres"), p.url, key)
	if err != nil {
		return err
	}
	if err := b.fill(ctx, g, key, b.world); err != nil {
		return err
	}
	if err := p.exec(ctx, "VACUUM ANALYZE", "CHECKPOINT"); err != nil {
		return err
	}
	auth, err := callers(ctx, g, b.wants("", "T1"))
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, g, "postgres")
	if err != nil {
		return err
	}
	s.database = p.pid()
	rows, err := product(ctx, "postgres", s, auth, b.world, b.wants)
	if err != nil {
		return err
	}
	b.add(rows...)
	if rows, err = pgbenchRows(p, b.world); err != nil {
		return err
	}
	b.add(rows...)
	if slices.Contains(b.without, "postgraphile") {
		return nil
	}
	cache := b.cache
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		cache = filepath.Join(base, "gatehouse-bench")
	}
	b.logf("PostGraphile %s", postgraphileVersion)
	node, err := startPostGraphile(ctx, b.dir, cache, p.url)
	if err != nil {
		b.note("PostGraphile was left out: %v.", err)
		return nil
	}
	b.started = append(b.started, node.stop)
	node.database = p.pid()
	if rows, err = postgraphileRows(ctx, node, b.world); err != nil {
		return err
	}
	b.add(rows...)
	return nil
}

// writeScript writes a script for pgbench.
func writeScript(dir string, s script) (string, error) {
	file := filepath.Join(dir, s.name+".sql")
	return file, os.WriteFile(file, []byte(s.text), 0o644)
}
