//go:build unix

package main

import (
	"math/bits"
	"time"
)

// bucketsPerOctave is the number of buckets per power of two: a bucket is 1/64 of its value wide, so the error of a
// percentile is at most 1.6 %.
const bucketsPerOctave = 64

// histogram counts durations.
type histogram struct {
	buckets [64 * bucketsPerOctave]uint64
	count   uint64
}

func bucketOf(d time.Duration) int {
	ns := uint64(max(d, 0))
	if ns < bucketsPerOctave {
		return int(ns)
	}
	exponent := bits.Len64(ns) - 7 // 64 <= ns>>exponent < 128
	return (exponent+1)*bucketsPerOctave + int(ns>>exponent) - bucketsPerOctave
}

// lowest returns the lower bound of a bucket.
func lowest(bucket int) time.Duration {
	if bucket < bucketsPerOctave {
		return time.Duration(bucket)
	}
	exponent := bucket/bucketsPerOctave - 1
	return time.Duration((bucket%bucketsPerOctave + bucketsPerOctave) << exponent)
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucketOf(d)]++
	h.count++
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.count += o.count
}

// percentile returns the duration that the share p of all durations does not exceed, 0 < p <= 1; 0 for an empty
// histogram.
func (h *histogram) percentile(p float64) time.Duration {
	rank := uint64(p*float64(h.count) + 0.5)
	rank = max(rank, 1)
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= rank {
			return lowest(i)
		}
	}
	return 0
}
