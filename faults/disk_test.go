//go:build linux

package faults

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestDiskFull fills the disk that the embedded database is on, under load, again and again. Writes are refused with a
// clear word, reads go on, and when there is room again so do the writes; nothing that was acknowledged is lost, and the
// file is sound. It needs the right to mount a disk of its own.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	// Room for what the rounds write, and for the log before it is moved; the rest is filled up each time.
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dm", often(256, 64, 64))); err != nil {
		testkit.Without(t, "disk", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	file := filepath.Join(disk, "gatehouse.db")
	w := newWorld(t, "sqlite://"+file)
	s := w.serve()
	machines := s.lifecycles()
	c := newClients(t, w, 4, func() string { return s.url })
	c.begin()
	session := c.foreign("session")
	invitation := c.foreign("invitation")
	doors := w.doors(s, session, invitation)
	d := w.open()
	r := chance(t)
	ballast := filepath.Join(disk, "ballast")
	for round := range often(8, 2, 1) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.run(ctx, 2*time.Millisecond)
		}()
		time.Sleep(between(r, 100*time.Millisecond, 400*time.Millisecond))
		left := r.IntN(256 << 10)
		fill(t, disk, ballast, left)
		// The file may have room inside: it fills up under the load.
		testkit.Eventually(t, "writes are refused", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.counts["unavailable"] >= 10*(round+1)
		})
		refused := 0
		for door, a := range knock(s, doors) {
			writes := door.name == "GraphQL mutation" || door.name == "Customer Sessions"
			switch {
			case a.err != nil:
				t.Errorf("%s: no answer: %v", door.name, a)
			case writes && a.unavailable():
				refused++
			case writes && a.status == door.healthy: // a small one may still find room
			case door.name == "User Sessions" && a.unavailable(): // a wrong token is counted, which is a write
			case a.status != door.healthy || a.unavailable():
				t.Errorf("%s cannot be read: %v", door.name, a)
			}
		}
		if got := s.get("/healthz"); got != http.StatusOK {
			t.Errorf("the process is alive and says %d", got)
		}
		c.read()
		time.Sleep(between(r, 0, time.Duration(often(3000, 300, 300))*time.Millisecond))
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for _, door := range doors {
			testkit.Eventually(t, door.name+" when there is room again", func() bool {
				a := send(quick, door.method, s.url+door.path, door.token, door.body, door.header...)
				return a.err == nil && a.status == door.healthy && !a.unavailable()
			})
		}
		healing := time.Since(start)
		cancel()
		<-ended
		c.settle(c.audit(d, machines))
		c.audit(d, machines)
		c.read()
		t.Logf("round %d: %d KiB were left; writes refused at %d doors of 2; healed %s after there was room; %s", round+1, left>>10, refused, healing.Round(time.Millisecond), c.tally())
		if t.Failed() {
			t.FailNow()
		}
	}
	c.delivered(d, true) // whose report found no room is held until its lease ends
	s.Stop()
	if found := rows(t, d, "PRAGMA integrity_check"); fmt.Sprint(found) != "[[ok]]" {
		t.Errorf("the file is not sound: %v", found)
	}
	if found := rows(t, d, "PRAGMA foreign_key_check"); len(found) > 0 {
		t.Errorf("the file is not sound: %v", found)
	}
	_ = d.Close()
	s = w.serve() // and a server starts on it
	c.read()
	s.Stop()
}

// fill leaves so many bytes of the disk.
func fill(t *testing.T, disk, name string, left int) {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(disk, &fs); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	free := int64(fs.Bavail)*fs.Bsize - int64(left)
	chunk := make([]byte, 64<<10)
	for ; free > 0; free -= int64(len(chunk)) {
		if _, err := f.Write(chunk[:min(int64(len(chunk)), free)]); err != nil {
			return // somebody else took the rest
		}
	}
}
