//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profileTime is long enough for some hundred samples per processor.
const profileTime = 5 * time.Second

// profile runs every row of the product once more while profiling its server; `go tool pprof -top` reads the files.
func (b *bench) profile(ctx context.Context) error {
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, row := range b.rows {
		if row.server == nil || row.server.admin == "" || row.id == "W2" { // its hashes need no profile
			continue
		}
		file := filepath.Join(b.profiles, row.system+"-"+strings.ReplaceAll(row.id, " ", "-")+".pprof")
		b.logf("profile of %s %s", row.system, row.id)
		ended := make(chan error, 1)
		go func() { ended <- fetchProfile(ctx, row.server.admin, file) }()
		_, err := row.run(ctx, profileTime+time.Second)
		errs = append(errs, err, <-ended)
	}
	return errors.Join(errs...)
}

func fetchProfile(ctx context.Context, admin, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, profileTime/time.Second), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("profile: %s", answer.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, answer.Body)
	return errors.Join(err, out.Close())
}
