//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// key identifies a row.
type key struct{ System, ID string }

// figures holds the samples of each row, one per round.
type figures map[key][]sample

// warmUpShare is the ratio of the time of a row to its time in the warm-up round.
const warmUpShare = 8

// interleave measures every row once per round, so that a temporary disturbance of the machine affects all rows. Rounds
// alternate between forward and reverse order. A short warm-up round comes first and is discarded. A row that fails is
// skipped from then on.
func interleave(ctx context.Context, rows []benchRow, rounds int, d time.Duration, progress io.Writer) (figures, error) {
	out := figures{}
	broken := map[key]bool{}
	var failures []error
	for round := range rounds + 1 {
		order, d := slices.Clone(rows), d
		if round == 0 {
			d /= warmUpShare
		}
		if round%2 == 0 {
			slices.Reverse(order)
		}
		for _, row := range order {
			k := key{row.system, row.id}
			if broken[k] {
				continue
			}
			got, err := row.run(ctx, d)
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			if err != nil {
				broken[k] = true
				delete(out, k)
				failures = append(failures, fmt.Errorf("%s %s: %w", row.system, row.id, err))
				fmt.Fprintf(progress, "round %d  %-14s %-8s failed: %v\n", round, row.system, row.id, err)
				continue
			}
			if round == 0 {
				continue
			}
			out[k] = append(out[k], got)
			fmt.Fprintf(progress, "round %d  %-14s %-8s %9.0f/s  p50 %9v  p99 %9v  server %5.0f us  database %5.0f us  others %3.0f %%\n", round, row.system, row.id,
				got.rate, got.p50.Round(time.Microsecond), got.p99.Round(time.Microsecond), micros(got.server), micros(got.database), 100*got.foreign)
		}
	}
	return out, errors.Join(failures...)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// median returns the median; 0 for an empty list.
func median(of []float64) float64 {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// middle returns the median of one figure of a row.
func (f figures) middle(k key, of func(sample) float64) float64 {
	var all []float64
	for _, s := range f[k] {
		all = append(all, of(s))
	}
	return median(all)
}

// ratio returns the median of the ratios of the rates of two rows, round by round; 0 if one of them was not measured.
func (f figures) ratio(k, to key) float64 { return median(f.ratios(k, to, rate)) }

// ratios returns the ratio of one figure of two rows for each round.
func (f figures) ratios(k, to key, of func(sample) float64) []float64 {
	var all []float64
	for i := range min(len(f[k]), len(f[to])) {
		if base := of(f[to][i]); base > 0 {
			all = append(all, of(f[k][i])/base)
		}
	}
	return all
}
