//go:build unix

package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// loadingStep is the number of rows that one statement inserts.
const loadingStep = 250_000

// rowsOf is a source of consecutive numbers in each SQL dialect.
var rowsOf = map[string]string{
	"postgres": "FROM generate_series(%d, %d - 1) AS s (n)",
	"sqlite":   "FROM (WITH RECURSIVE s (n) AS (SELECT %d UNION ALL SELECT n + 1 FROM s WHERE n + 1 < %d) SELECT n FROM s) AS s",
}

// growStatement returns a statement that inserts sessions without personal data, which only the product could seal.
func growStatement(database string, from, to int) string {
	now := time.Now()
	created, until := now.Add(-time.Hour).UnixMicro(), now.Add(24*time.Hour).UnixMicro()
	return fmt.Sprintf("INSERT INTO sessions (id, version, created_at, updated_at, state, user_id, tasks, last_active_at, abandon_at, expire_at, watch_at) "+
		"SELECT '%s' || (%d + n), 1, %d + n, %d + n, 'active', 'user-' || (n %% 50000), '[]', %d, %d, %d, %d ",
		sessionID, firstID, created, created, now.UnixMicro(), until, now.Add(48*time.Hour).UnixMicro(), until) +
		fmt.Sprintf(rowsOf[database], from, to)
}

// growth measures how the cost of reading and writing a session grows with their number.
func (b *bench) growth(ctx context.Context, out io.Writer) error {
	var sizes []int
	for _, text := range list(b.sizes) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1000 || n > 80_000_000 || len(sizes) > 0 && n <= sizes[len(sizes)-1] {
			return fmt.Errorf("-growth: %q: expected growing numbers of 1000 to 80000000", text)
		}
		sizes = append(sizes, n)
	}
	var text strings.Builder
	text.WriteString(machine(fmt.Sprintf("commit %s, %s; %d connections, %d rounds of %v, medians; ids uniform",
		revision(), time.Now().UTC().Format("2006-01-02 15:04 MST"), connections, b.rounds, b.duration)))
	text.WriteString("\n\n| database | sessions | H0 req/s | R1 req/s | R1 CPU us | of the first | W1 req/s | W1 CPU us | of the first |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, database := range b.databases {
		if err := b.grow(ctx, database, sizes, &text); err != nil {
			return err
		}
	}
	text.WriteString("\nCPU is the processor time of the server and the database, per response.\n")
	fmt.Fprintln(out, text.String())
	if b.page != "" {
		return writePage(b.page, beginGrowth, endGrowth, text.String())
	}
	return nil
}

const (
	beginGrowth = "<!-- growth: begin; written by `make bench ARGS=-growth=…` -->\n"
	endGrowth   = "<!-- growth: end -->\n"
)

func (b *bench) grow(ctx context.Context, database string, sizes []int, text io.Writer) error {
	var p *postgres
	var url string
	if database == "postgres" {
		var err error
		if p, err = startPostgres(ctx, b.buffers); err != nil {
			return err
		}
		b.started = append(b.started, p.stop)
		url = p.url
	}
	g, err := newGatehouse(b.program, filepath.Join(b.dir, "growth-"+database), url, newKey())
	if err != nil {
		return err
	}
	if err := g.load(ctx, world{}); err != nil {
		return err
	}
	auth, err := callers(ctx, g, false)
	if err != nil {
		return err
	}
	var firstR1, firstW1 float64
	have := 0
	for _, size := range sizes {
		b.logf("%s: adding sessions up to %d", database, size)
		if p != nil {
			for ; have < size; have = min(have+loadingStep, size) {
				if err := p.exec(ctx, growStatement(database, have, min(have+loadingStep, size))); err != nil {
					return err
				}
			}
			err = p.exec(ctx, "VACUUM ANALYZE sessions", "CHECKPOINT")
		} else {
			err = addToSQLite(ctx, filepath.Join(g.dir, "gatehouse.db"), have, size)
			have = size
		}
		if err != nil {
			return err
		}
		s, err := g.start(ctx, "growth-"+database)
		if err != nil {
			return err
		}
		if p != nil {
			s.database = p.pid()
		}
		f, err := interleave(ctx, []benchRow{
			{system: database, id: "H0", run: over(s, bareTarget(s))},
			{system: database, id: "R1", run: over(s, onSession(s, auth, documentR1, 0, size))},
			{system: database, id: "W1", run: over(s, onSession(s, auth, documentW1, 0, size))},
		}, b.rounds, b.duration, b.progress)
		s.stop()
		if err != nil {
			return err
		}
		both := func(s sample) float64 { return micros(s.server + s.database) }
		h0, r1, w1 := key{database, "H0"}, key{database, "R1"}, key{database, "W1"}
		if size == sizes[0] {
			firstR1, firstW1 = f.middle(r1, both), f.middle(w1, both)
		}
		fmt.Fprintf(text, "| %s | %d | %.0f | %.0f | %.0f | %.2f | %.0f | %.0f | %.2f |\n", systemNames[database], size, f.middle(h0, rate),
			f.middle(r1, rate), f.middle(r1, both), f.middle(r1, both)/max(1, firstR1),
			f.middle(w1, rate), f.middle(w1, both), f.middle(w1, both)/max(1, firstW1))
	}
	return nil
}

// addToSQLite inserts sessions into a file that no server has open.
func addToSQLite(ctx context.Context, file string, from, to int) error {
	store, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(4000)&_pragma=synchronous(OFF)&_pragma=cache_size(-262144)")
	if err != nil {
		return err
	}
	defer store.Close()
	store.SetMaxOpenConns(1)
	for ; from < to; from = min(from+loadingStep, to) {
		if _, err := store.ExecContext(ctx, growStatement("sqlite", from, min(from+loadingStep, to))); err != nil {
			return fmt.Errorf("add sessions: %w", err)
		}
	}
	_, err = store.ExecContext(ctx, "ANALYZE")
	return err
}
