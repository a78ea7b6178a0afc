//go:build unix

package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"runtime"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/seal"
)

// bareRows measure the signing rates and the slow-hash rate of this machine, to which T1 and W2 are compared.
func bareRows() ([]benchRow, error) {
	payload := make([]byte, 512) // about the size of a session token before its signature
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	es, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	hasher := seal.NewHasher(seal.CostDefault)
	sign := map[string]func() error{
		"T1 RS256": func() error {
			sum := sha256.Sum256(payload)
			_, err := rsa.SignPKCS1v15(rand.Reader, rs, crypto.SHA256, sum[:])
			return err
		},
		"T1 ES256": func() error {
			sum := sha256.Sum256(payload)
			_, _, err := ecdsa.Sign(rand.Reader, es, sum[:])
			return err
		},
		"T1 EdDSA": func() error { ed25519.Sign(ed, payload); return nil },
		"W2": func() error {
			_, err := hasher.Hash(context.Background(), "correct horse battery")
			return err
		},
	}
	var out []benchRow
	for _, id := range []string{"T1 RS256", "T1 ES256", "T1 EdDSA", "W2"} {
		out = append(out, benchRow{system: "bare", id: id, run: func(_ context.Context, d time.Duration) (sample, error) {
			return runOnAllProcessors(sign[id], d)
		}})
	}
	return out, nil
}

// runOnAllProcessors does the work on every processor for the duration.
func runOnAllProcessors(work func() error, d time.Duration) (sample, error) {
	var workers sync.WaitGroup
	counts := make([]histogram, runtime.GOMAXPROCS(0))
	errs := make(chan error, len(counts))
	start := time.Now()
	for i := range counts {
		workers.Go(func() {
			for before := time.Now(); before.Sub(start) < d; {
				if err := work(); err != nil {
					errs <- err
					return
				}
				after := time.Now()
				counts[i].add(after.Sub(before))
				before = after
			}
		})
	}
	workers.Wait()
	took := time.Since(start)
	select {
	case err := <-errs:
		return sample{}, err
	default:
	}
	var all histogram
	for i := range counts {
		all.merge(&counts[i])
	}
	return sample{
		rate: float64(all.count) / took.Seconds(), p50: all.percentile(0.5), p99: all.percentile(0.99),
	}, nil
}
