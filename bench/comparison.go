//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
)

// ratioFloors holds the lowest acceptable ratio of the rates of the newer and the older program, for each row.
var ratioFloors = []struct {
	system string
	floor  float64
}{{"sqlite", 0.85}, {"postgres", 0.9}}

// groupCommitFloor is the lowest acceptable ratio of W1 on SQLite to one transaction for each request.
const groupCommitFloor = 4

// foreignLimit is the share of foreign processes, in the median, above which a comparison is not reliable.
const foreignLimit = 0.05

// comparison returns the results of a comparison as Markdown.
func comparison(f figures) string {
	var b strings.Builder
	for _, system := range []string{"sqlite", "postgres"} {
		comparisonTable(&b, f, system)
	}
	if k := (key{"reference", "W1"}); len(f[k]) > 0 {
		fmt.Fprintf(&b, "One transaction for each request: W1 at %.0f req/s.\n\n", f.middle(k, rate))
	}
	if middle, highest, k, round := foreignLoad(f); round > 0 {
		fmt.Fprintf(&b, "Foreign load, idle servers included: %.1f %% of the processor time in the median, "+
			"at most %.1f %% (%s %s, round %d).\n\n", 100*middle, 100*highest, k.System, k.ID, round)
		if middle > foreignLimit {
			b.WriteString("**This foreign load makes the figures unreliable: repeat the run on an idle machine.**\n\n")
		}
	}
	b.WriteString("### Floors\n\n")
	for _, v := range verdicts(f) {
		b.WriteString("- " + v.String() + "\n")
	}
	return b.String()
}

// comparisonTable writes the rows of a database that both programs have.
func comparisonTable(b *strings.Builder, f figures, system string) {
	head := fmt.Sprintf("### %s\n\n| row | older req/s | newer req/s | newer/older | of the rounds | older p50 us | newer p50 us "+
		"| older p99 us | newer p99 us | older p99/p50 | newer p99/p50 | older server CPU us | newer server CPU us | newer/older "+
		"| older database CPU us | newer database CPU us | newer/older |\n"+
		"|---|"+strings.Repeat("---:|", 16)+"\n", systemNames[system])
	for _, o := range operations {
		newer, older := key{system, o.id}, key{olderSystem(system), o.id}
		ratios := f.ratios(newer, older, rate)
		if len(ratios) == 0 {
			continue
		}
		b.WriteString(head)
		head = ""
		fmt.Fprintf(b, "| %s | %.0f | %.0f | %.3f | %.2f to %.2f |", o.id, f.middle(older, rate), f.middle(newer, rate),
			median(ratios), slices.Min(ratios), slices.Max(ratios))
		for _, column := range []struct {
			of     func(sample) float64
			format string
		}{{p50, "%.0f"}, {p99, "%.0f"}, {spread, "%.1f"}} {
			fmt.Fprintf(b, " "+column.format+" | "+column.format+" |", f.middle(older, column.of), f.middle(newer, column.of))
		}
		for _, of := range []func(sample) float64{serverCPU, databaseCPU} {
			fmt.Fprintf(b, " %s | %s | %s |", number(f.middle(older, of), "%.0f"), number(f.middle(newer, of), "%.0f"),
				number(median(f.ratios(newer, older, of)), "%.2f"))
		}
		b.WriteString("\n")
	}
	if head == "" {
		b.WriteString("\n")
	}
}

// foreignLoad returns the median and the highest share of foreign processes, and where the highest was measured. The
// round is 0 if nothing was measured.
func foreignLoad(f figures) (middle, highest float64, at key, round int) {
	var all []float64
	for k, samples := range f {
		for i, s := range samples {
			if k.System == "bare" {
				continue
			}
			all = append(all, s.foreign)
			if round == 0 || s.foreign > highest {
				highest, at, round = s.foreign, k, i+1
			}
		}
	}
	return median(all), highest, at, round
}

// verdict is the result of comparing the measured rows with one floor.
type verdict struct {
	floor string
	// measured is the number of rows that were compared.
	measured int
	// lowest is the row nearest to the floor or furthest below it.
	lowest string
	// missed lists the rows that do not reach the floor.
	missed []string
}

func (v verdict) String() string {
	switch {
	case v.measured == 0:
		return v.floor + ": not measured"
	case len(v.missed) > 0:
		return v.floor + ": **missed** by " + strings.Join(v.missed, ", ")
	case v.lowest != "":
		return v.floor + ": reached; nearest is " + v.lowest
	}
	return v.floor + ": reached"
}

// verdicts compares the rows with the floors.
func verdicts(f figures) []verdict {
	var out []verdict
	for _, r := range ratioFloors {
		v := verdict{floor: fmt.Sprintf("%s, newer/older of each row at least %.2f", systemNames[r.system], r.floor)}
		lowest := 0.0
		for _, o := range operations {
			ratios := f.ratios(key{r.system, o.id}, key{olderSystem(r.system), o.id}, rate)
			if len(ratios) == 0 {
				continue
			}
			got := median(ratios)
			text := fmt.Sprintf("%s (%.3f)", o.id, got)
			if v.measured++; v.measured == 1 || got < lowest {
				lowest, v.lowest = got, text
			}
			if got < r.floor {
				v.missed = append(v.missed, text)
			}
		}
		out = append(out, v)
	}

	group := verdict{floor: fmt.Sprintf("%s, W1 at least %d times %s", systemNames["sqlite"], groupCommitFloor, systemNames["reference"])}
	if ratios := f.ratios(key{"sqlite", "W1"}, key{"reference", "W1"}, rate); len(ratios) > 0 {
		got := median(ratios)
		group.measured, group.lowest = 1, fmt.Sprintf("W1 (%.2f)", got)
		if got < groupCommitFloor {
			group.missed = []string{group.lowest}
		}
	}
	out = append(out, group)

	for _, r := range ratioFloors {
		v := verdict{floor: fmt.Sprintf("%s, p99/p50 of each row but H0 at most %d or at most that of the older program",
			systemNames[r.system], maxTailRatio)}
		highest := 0.0
		for _, o := range operations {
			newer, older := key{r.system, o.id}, key{olderSystem(r.system), o.id}
			if o.id == "H0" || len(f[newer]) == 0 || len(f[older]) == 0 {
				continue
			}
			got, limit := f.middle(newer, spread), max(maxTailRatio, f.middle(older, spread))
			if v.measured++; got/limit > highest {
				highest, v.lowest = got/limit, fmt.Sprintf("%s (%.2f of at most %.2f)", o.id, got, limit)
			}
			if got > limit {
				v.missed = append(v.missed, fmt.Sprintf("%s (%.2f of at most %.2f)", o.id, got, limit))
			}
		}
		out = append(out, v)
	}
	return out
}
