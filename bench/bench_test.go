//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestMain runs the reference writer if the benchmark started this program as one.
func TestMain(m *testing.M) {
	if given := os.Getenv(referenceVariable); given != "" {
		fmt.Fprintln(os.Stderr, reference(given))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestHistogram: a result is at most one bucket below the recorded value.
func TestHistogram(t *testing.T) {
	t.Parallel()
	for d := time.Duration(1); d < time.Hour; d = d*3/2 + 1 {
		low := lowest(bucketOf(d))
		if low > d || float64(d-low) > float64(d)/bucketsPerOctave+1 {
			t.Errorf("%v is counted as %v", d, low)
		}
		if bucketOf(low) != bucketOf(d) {
			t.Errorf("%v and %v, the lowest of its bucket, are in two buckets", d, low)
		}
	}
	var one, two, all histogram
	if all.percentile(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for n := range 1000 { // 1 to 1000 ms, in two halves
		h := &one
		if n >= 500 {
			h = &two
		}
		h.add(time.Duration(n+1) * time.Millisecond)
	}
	all.merge(&one)
	all.merge(&two)
	for _, c := range []struct {
		p    float64
		want time.Duration
	}{{0.001, time.Millisecond}, {0.5, 500 * time.Millisecond}, {0.99, 990 * time.Millisecond}, {1, time.Second}} {
		got := all.percentile(c.p)
		if got > c.want || float64(c.want-got) > float64(c.want)/bucketsPerOctave {
			t.Errorf("percentile %v is %v, want about %v", c.p, got, c.want)
		}
	}
	if all.count != 1000 {
		t.Errorf("counted %d", all.count)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1}, 5}, {[]float64{100, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.of); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.of, got, c.want)
		}
	}
}

// TestRatio: a round that was slow for both rows does not change their ratio.
func TestRatio(t *testing.T) {
	t.Parallel()
	a, b := key{"sqlite", "R1"}, key{"sqlite", "H0"}
	f := figures{
		a: {{rate: 50}, {rate: 5}, {rate: 52}},
		b: {{rate: 100}, {rate: 10}, {rate: 100}},
	}
	if got := f.ratio(a, b); math.Abs(got-0.5) > 1e-9 {
		t.Errorf("the ratio is %v", got)
	}
	if got := f.middle(a, rate); got != 50 {
		t.Errorf("the middle rate is %v", got)
	}
	if got := f.ratio(a, key{"pgbench", "R1"}); got != 0 {
		t.Errorf("the ratio to what was not measured is %v", got)
	}
}

// TestInterleave: every row runs in every round, every second round in reverse order, after one warm-up round; a row
// that fails once is skipped.
func TestInterleave(t *testing.T) {
	t.Parallel()
	var order []string
	row := func(id string, fails int) benchRow {
		n := 0
		return benchRow{system: "sqlite", id: id, run: func(context.Context, time.Duration) (sample, error) {
			order = append(order, id)
			if n++; n == fails {
				return sample{}, errors.New("refused")
			}
			return sample{rate: float64(n)}, nil
		}}
	}
	f, err := interleave(t.Context(), []benchRow{row("a", 0), row("b", 3), row("c", 0)}, 3, time.Second, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "sqlite b: refused") {
		t.Errorf("the error is %v", err)
	}
	if got := strings.Join(order, ""); got != "cbaabccbaac" {
		t.Errorf("the order was %s", got)
	}
	if len(f[key{"sqlite", "a"}]) != 3 || len(f[key{"sqlite", "b"}]) != 0 {
		t.Errorf("the samples are %v", f)
	}
}

// TestSideBySide: compared rows are measured one after the other, and rows with work after the response last.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	var rows []benchRow
	for _, k := range []key{{"sqlite", "R1"}, {"sqlite", "W2"}, {"sqlite", "T1"}, {"postgres", "R1"}, {"postgres", "W2"}, {"bare", "T1"}, {"pgbench", "R1"}} {
		rows = append(rows, benchRow{system: k.System, id: k.ID})
	}
	inOrder(rows)
	var got []string
	for _, r := range rows {
		got = append(got, r.system+" "+r.id)
	}
	if text := strings.Join(got, ", "); text != "sqlite R1, postgres R1, pgbench R1, sqlite T1, bare T1, sqlite W2, postgres W2" {
		t.Errorf("the order is %s", text)
	}
}

// TestClient: the client reads complete responses of net/http, including chunked ones, and an error response aborts the
// measurement, because a rate of errors is meaningless.
func TestClient(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 2000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			_, _ = io.WriteString(w, long)
		case "/known":
			w.WriteHeader(http.StatusNotModified)
		case "/refused":
			_, _ = io.WriteString(w, `{"data":null,"errors":[{"message":"no"}]}`)
		case "/problem":
			_, _ = io.WriteString(w, `{"data":{"touchSession":{"session":null,"problems":[{"code":"NOT_FOUND"}]}}}`)
		case "/gone":
			http.Error(w, "short", http.StatusGone)
		default:
			_, _ = io.WriteString(w, "short")
		}
	}))
	defer server.Close()
	for _, c := range []struct {
		path, holds string
		status      int
		good        bool
	}{
		{"/", "short", 0, true},
		{"/", "long", 0, false},
		{"/long", "f0", 0, true},
		{"/known", "", 304, true},
		{"/known", "", 0, false},
		{"/refused", "", 0, false},
		{"/problem", "", 0, false},
		{"/gone", "short", 0, false},
	} {
		l, err := drive(t.Context(), target{
			address: server.Listener.Addr().String(), status: c.status,
			request: func(to []byte, _ int, _ *rand.Rand) ([]byte, string) {
				return appendRequest(to, "GET", c.path, "", nil), c.holds
			},
		}, 2, 50*time.Millisecond)
		if (err == nil) != c.good || c.good && (l.good == 0 || l.good != l.count) {
			t.Errorf("%s with %q and %d: %d good answers, %v", c.path, c.holds, c.status, l.good, err)
		}
	}
	conn, err := dial(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.close()
	if err := conn.exchange(appendRequest(nil, "GET", "/long", "", nil), target{}, ""); err != nil || string(conn.body) != long {
		t.Errorf("the long answer has %d bytes, %v", len(conn.body), err)
	}
}

func TestBetween(t *testing.T) {
	t.Parallel()
	page := "before\n" + beginTables + "old\n" + endTables + "after\n"
	got, err := replaceBetween(page, beginTables, endTables, "\nnew\n")
	if want := "before\n" + beginTables + "\nnew\n\n" + endTables + "after\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := replaceBetween("nothing", beginTables, endTables, "new"); err == nil {
		t.Error("a page without markers was written")
	}
}

// TestMeasurement runs a miniature measurement on SQLite: built program, import, tokens, load, reference writer, idle
// connections and tables. It does not check any rate.
func TestMeasurement(t *testing.T) {
	t.Parallel()
	var out, words bytes.Buffer
	o := options{
		rounds: 2, duration: 200 * time.Millisecond, rows: 300, databases: []string{"sqlite"}, only: []string{"R1", "W1"}, idle: 20,
	}
	if err := run(t.Context(), o, &out, &words); err != nil {
		t.Fatalf("%v\n%s", err, words.String())
	}
	for _, want := range []string{
		"\n| H0 | ", "\n| R1 | ", "\n| W1 | ", "\n| one transaction for each request: W1 | ",
		"\n| Gatehouse on SQLite: W1 to one transaction for each request W1 | ", "with 20 idle keep-alive connections",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables have no %q:\n%s", want, out.String())
		}
	}
}

// sampleOf returns a sample with the figures that a comparison reads.
func sampleOf(rate float64, p50, p99, server time.Duration, foreign float64) sample {
	return sample{rate: rate, p50: p50, p99: p99, server: server, foreign: foreign}
}

// TestComparison: the machine is slower in the second round, and a browser starts in the third. R1 of the newer program
// takes a tenth off in every round, so its ratio is 0.9 in spite of both. W1 is faster but has a long tail, though no
// longer than that of the older program. R2 is too slow on PostgreSQL and has a longer tail than before.
func TestComparison(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	f := figures{
		{"sqlite-older", "R1"}:   {sampleOf(1000, 2*ms, 6*ms, 100, 0), sampleOf(500, 4*ms, 12*ms, 200, 0), sampleOf(800, 2*ms, 6*ms, 100, 0.02)},
		{"sqlite", "R1"}:         {sampleOf(900, 2*ms, 6*ms, 110, 0), sampleOf(450, 4*ms, 12*ms, 220, 0), sampleOf(400, 2*ms, 6*ms, 110, 0.5)},
		{"sqlite-older", "W1"}:   {sampleOf(100, ms, 8*ms, 100, 0.01)},
		{"sqlite", "W1"}:         {sampleOf(110, ms, 7*ms, 100, 0.01)},
		{"sqlite", "W3"}:         {sampleOf(110, ms, 7*ms, 100, 0.01)}, // failed in the older program
		{"reference", "W1"}:      {sampleOf(20, ms, 9*ms, 100, 0)},
		{"postgres-older", "H0"}: {sampleOf(100, ms, 9*ms, 100, 0)},
		{"postgres", "H0"}:       {sampleOf(100, ms, 20*ms, 100, 0)},
		{"postgres-older", "R2"}: {sampleOf(100, ms, 5*ms, 100, 0)},
		{"postgres", "R2"}:       {sampleOf(89, ms, 6*ms, 100, 0)},
	}
	if got := f.ratios(key{"sqlite", "R1"}, key{"sqlite-older", "R1"}, serverCPU); math.Abs(median(got)-1.1) > 1e-9 || len(got) != 3 {
		t.Errorf("the ratios of the processor time are %v", got)
	}
	var got []string
	for _, v := range verdicts(f) {
		got = append(got, v.String())
	}
	want := []string{
		"Gatehouse on SQLite, newer/older of each row at least 0.85: reached; nearest is R1 (0.900)",
		"Gatehouse on PostgreSQL, newer/older of each row at least 0.90: **missed** by R2 (0.890)",
		"Gatehouse on SQLite, W1 at least 4 times one transaction for each request: reached; nearest is W1 (5.50)",
		"Gatehouse on SQLite, p99/p50 of each row but H0 at most 5 or at most that of the older program: reached; nearest is W1 (7.00 of at most 8.00)",
		"Gatehouse on PostgreSQL, p99/p50 of each row but H0 at most 5 or at most that of the older program: **missed** by R2 (6.00 of at most 5.00)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the verdicts are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	text := comparison(f)
	for _, want := range []string{
		"\n| R1 | 800 | 450 | 0.900 | 0.50 to 0.90 | 2000 | 2000 | 6000 | 6000 | 3.0 | 3.0 | 0 | 0 | 1.10 |  |  |  |\n",
		"\nForeign load, idle servers included: 0.0 % of the processor time in the median, at most 50.0 % (sqlite R1, round 3).\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the comparison has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "| W3 |") {
		t.Errorf("a row of one program only is compared:\n%s", text)
	}
	if strings.Contains(text, "unreliable") {
		t.Errorf("one busy round makes the comparison unreliable:\n%s", text)
	}
	busy := figures{{"sqlite-older", "R1"}: {sampleOf(100, ms, ms, 100, 0.2)}, {"sqlite", "R1"}: {sampleOf(100, ms, ms, 100, 0.2)}}
	if text := comparison(busy); !strings.Contains(text, "unreliable") {
		t.Errorf("a comparison beside busy processes is presented as reliable:\n%s", text)
	}
	for _, v := range verdicts(figures{}) {
		if !strings.HasSuffix(v.String(), ": not measured") {
			t.Errorf("without a measurement: %s", v)
		}
	}
}

// TestForeignShare: of two processors, one ran the measurement for a second and the other an unknown process.
func TestForeignShare(t *testing.T) {
	t.Parallel()
	before := machineTime{busy: 100 * time.Second, total: 1000 * time.Second}
	after := machineTime{busy: 102 * time.Second, total: 1002 * time.Second}
	if got := after.foreignShare(before, time.Second); math.Abs(got-0.5) > 1e-9 {
		t.Errorf("the share is %v", got)
	}
	if got := after.foreignShare(before, 3*time.Second); got != 0 {
		t.Errorf("with more known time than busy time the share is %v", got)
	}
	if got := (machineTime{}).foreignShare(machineTime{}, time.Second); got != 0 {
		t.Errorf("without /proc the share is %v", got)
	}
}

// TestAgainst compares the built program with itself in miniature, on each database: the older one loads, the database
// is copied and migrated, and both programs serve the same records.
func TestAgainst(t *testing.T) {
	t.Parallel()
	program, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for database, reference := range map[string]string{"sqlite": "\nOne transaction for each request: W1 at ", "postgres": ""} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			var out, progress bytes.Buffer
			o := options{
				rounds: 1, duration: 200 * time.Millisecond, rows: 300, databases: []string{database}, only: []string{"R2", "W1", "V1"},
				program: program, against: program, buffers: "128MB",
			}
			err := run(t.Context(), o, &out, &progress)
			if errors.Is(err, errNoPostgres) {
				testkit.Without(t, "postgres", err)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, progress.String())
			}
			for _, want := range []string{"\n| H0 | ", "\n| R2 | ", "\n| W1 | ", "\n| V1 | ", reference, "\nForeign load, ", "\n### Floors\n"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the tables have no %q:\n%s", want, out.String())
				}
			}
		})
	}
}

// TestAgainstNothing: a program that does not serve ends the comparison with an error.
func TestAgainstNothing(t *testing.T) {
	t.Parallel()
	o := options{rounds: 1, duration: time.Millisecond, rows: 300, databases: []string{"sqlite"}, program: "/bin/echo", against: "/bin/false"}
	if err := run(t.Context(), o, io.Discard, io.Discard); err == nil {
		t.Error("a comparison with a program that does nothing succeeded")
	}
}
