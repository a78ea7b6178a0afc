//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// operations describes the rows in the order of the tables.
var operations = []struct{ id, what string }{
	{"H0", "200 constant bytes"},
	{"R1", "session by id"},
	{"R2", "50 invitations after a cursor"},
	{"W1", "touchSession"},
	{"W1c", "touchSession of a session on a client"},
	{"W3", "resumeSession"},
	{"V1", "REST GET of an invitation"},
	{"V1c", "the same, If-None-Match: 304"},
	{"T1 RS256", "session token"},
	{"T1 ES256", "session token"},
	{"T1 EdDSA", "session token"},
	{"W2", "createInvitation"},
}

// goal is a target: a multiple of the rate of another row in the same run.
type goal struct {
	of, to key
	first  float64
	// next is the target after that; 0 for none.
	next float64
}

var goals = []goal{
	{key{"postgres", "R1"}, key{"pgbench", "R1"}, 0.30, 0.65},
	{key{"postgres", "W1"}, key{"pgbench", "W1"}, 0.40, 0.90},
	{key{"postgres", "R2"}, key{"pgbench", "R2"}, 0.07, 0.35},
	{key{"postgres", "R1"}, key{"postgraphile", "R1"}, 2, 0},
	{key{"postgres", "R2"}, key{"postgraphile", "R2"}, 2, 0},
	{key{"postgres", "W1"}, key{"postgraphile", "W1"}, 4, 0},
	{key{"sqlite", "R1"}, key{"sqlite", "H0"}, 0.30, 0.55},
	{key{"sqlite", "W1"}, key{"reference", "W1"}, 4, 0},
	{key{"sqlite", "T1 RS256"}, key{"bare", "T1 RS256"}, 0.6, 0},
	{key{"postgres", "T1 RS256"}, key{"bare", "T1 RS256"}, 0.6, 0},
	{key{"sqlite", "T1 ES256"}, key{"bare", "T1 ES256"}, 0.6, 0},
	{key{"sqlite", "T1 EdDSA"}, key{"bare", "T1 EdDSA"}, 0.6, 0},
}

// maxTailRatio is the maximum ratio of p99 to p50.
const maxTailRatio = 5

var systemNames = map[string]string{
	"sqlite": "Gatehouse on SQLite", "postgres": "Gatehouse on PostgreSQL", "pgbench": "pgbench", "postgraphile": "PostGraphile " + postgraphileVersion,
	"reference": "one transaction for each request", "bare": "bare operation",
}

func number(v float64, format string) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

// tables returns the results as Markdown.
func tables(f figures) string {
	var b strings.Builder
	for _, system := range []string{"sqlite", "postgres"} {
		table(&b, f, system)
	}
	b.WriteString("### What they are measured by\n\n| row | req/s | p50 us | p99 us | CPU us | database CPU us |\n|---|---:|---:|---:|---:|---:|\n")
	for _, system := range []string{"pgbench", "postgraphile", "reference", "bare"} {
		for _, o := range operations {
			k := key{system, o.id}
			if len(f[k]) == 0 {
				continue
			}
			fmt.Fprintf(&b, "| %s: %s | %.0f | %.0f | %s | %s | %s |\n", systemNames[system], o.id, f.middle(k, rate), f.middle(k, p50),
				number(f.middle(k, p99), "%.0f"), number(f.middle(k, serverCPU), "%.0f"), number(f.middle(k, databaseCPU), "%.0f"))
		}
	}
	b.WriteString("\npgbench tells the mean latency; it stands under p50.\n\n### The figures to reach\n\n| figure | measured | first | reached | next | reached |\n|---|---:|---:|---|---:|---|\n")
	for _, g := range goals {
		got := f.ratio(g.of, g.to)
		if got == 0 {
			continue
		}
		next, reached := "", ""
		if g.next > 0 {
			next, reached = fmt.Sprintf("%.2f", g.next), yes(got >= g.next)
		}
		fmt.Fprintf(&b, "| %s: %s to %s %s | %.2f | %.2f | %s | %s | %s |\n", systemNames[g.of.System], g.of.ID, systemNames[g.to.System], g.to.ID,
			got, g.first, yes(got >= g.first), next, reached)
	}
	return b.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "**no**"
}

func rate(s sample) float64        { return s.rate }
func p50(s sample) float64         { return micros(s.p50) }
func p99(s sample) float64         { return micros(s.p99) }
func serverCPU(s sample) float64   { return micros(s.server) }
func databaseCPU(s sample) float64 { return micros(s.database) }

// spread is the ratio of p99 to p50, round by round.
func spread(s sample) float64 {
	if s.p50 == 0 {
		return 0
	}
	return float64(s.p99) / float64(s.p50)
}

func table(b *strings.Builder, f figures, system string) {
	if len(f[key{system, "H0"}])+len(f[key{system, "R1"}])+len(f[key{system, "W1"}]) == 0 {
		return
	}
	fmt.Fprintf(b, "### %s\n\n| row | | req/s | p50 us | p99 us | p99/p50 | <= %d | server CPU us | database CPU us | of H0 | of pgbench | of PostGraphile | of the bare operation |\n", systemNames[system], maxTailRatio)
	b.WriteString("|---|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|\n")
	for _, o := range operations {
		k := key{system, o.id}
		if len(f[k]) == 0 {
			continue
		}
		yardstick := key{"bare", o.id}
		if system == "sqlite" && o.id == "W1" {
			yardstick = key{"reference", "W1"}
		}
		var pgbench, postgraphile float64
		if system == "postgres" {
			pgbench, postgraphile = f.ratio(k, key{"pgbench", o.id}), f.ratio(k, key{"postgraphile", o.id})
		}
		fmt.Fprintf(b, "| %s | %s | %.0f | %.0f | %.0f | %.1f | %s | %.0f | %s | %.3f | %s | %s | %s |\n", o.id, o.what, f.middle(k, rate),
			f.middle(k, p50), f.middle(k, p99), f.middle(k, spread), yes(f.middle(k, spread) <= maxTailRatio), f.middle(k, serverCPU), number(f.middle(k, databaseCPU), "%.0f"),
			f.ratio(k, key{system, "H0"}), number(pgbench, "%.2f"), number(postgraphile, "%.2f"), number(f.ratio(k, yardstick), "%.2f"))
	}
	b.WriteString("\n")
}

// machine describes the machine.
func machine(version string) string {
	model := ""
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	memory := ""
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kb int64
		if _, err := fmt.Sscanf(string(raw), "MemTotal: %d kB", &kb); err == nil {
			memory = fmt.Sprintf(", %.0f GB of memory", float64(kb)/(1<<20))
		}
	}
	return fmt.Sprintf("%d processors (%s)%s, %s/%s, %s, %s.", runtime.NumCPU(), model, memory, runtime.GOOS, runtime.GOARCH, runtime.Version(), version)
}

// revision returns the commit that was built.
func revision() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

const (
	beginTables = "<!-- tables: begin; written by `make bench` -->\n"
	endTables   = "<!-- tables: end -->\n"
)

// replaceBetween replaces the text between two markers of a page.
func replaceBetween(page, begin, end, text string) (string, error) {
	before, rest, ok1 := strings.Cut(page, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return "", fmt.Errorf("the page has no %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after, nil
}

// writePage replaces the text between the markers of the file.
func writePage(file, begin, end, text string) error {
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	out, err := replaceBetween(string(page), begin, end, text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(out), 0o644)
}

// writeSamples writes every sample to a new file.
func writeSamples(dir string, at time.Time, about string, f figures) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	type line struct {
		System, Row                           string
		Rate                                  float64
		P50, P99, Server, DatabaseUS, Foreign float64
	}
	out := struct {
		About string
		Lines []line
	}{About: about}
	for k, samples := range f {
		for _, s := range samples {
			out.Lines = append(out.Lines, line{k.System, k.ID, s.rate, p50(s), p99(s), serverCPU(s), databaseCPU(s), s.foreign})
		}
	}
	raw, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, at.Format("2006-01-02T150405")+".json")
	return file, os.WriteFile(file, raw, 0o644)
}
