package stories

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/testkit"
)

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```\n")
	tour       = regexp.MustCompile("(?s)\n## A five-minute tour\n(.*?)\n## ")
)

// TestReadmeTour runs every command of the tour in README.md as it is printed, with the address of a server of its
// own, and looks for the results that the text promises, in their order.
func TestReadmeTour(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			testkit.Without(t, "shell", err)
		}
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := tour.FindSubmatch(readme)
	if found == nil {
		t.Fatal("README.md has no tour")
	}
	w := newWorld(t)
	s := w.serve()
	if err := os.Symlink(testkit.Program(t), filepath.Join(w.dir, "gatehouse")); err != nil {
		t.Fatal(err)
	}
	script, blocks := "set -eu -o pipefail\n", 0
	for _, m := range shellBlock.FindAllStringSubmatch(string(found[1]), -1) {
		if m[1] == "go run .\n" { // the server is running
			continue
		}
		blocks++
		m[1] = strings.ReplaceAll(m[1], "go build -o gatehouse .\n", "") // and built
		script += fmt.Sprintf("echo '== block %d'\n%s", blocks, strings.ReplaceAll(m[1], "http://127.0.0.1:8080", s.url))
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	var out bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	rest := out.String()
	for _, want := range []string{
		`"state":"SENT"`, `.eml`, `"allowed":false`, `"_links"`, `invitationVerificationFailed`, `"state":"ACCEPTED"`,
		`"completed"`, `Idempotent-Replayed: true`, `"completeInvitation"`,
		`"status":"ACTIVE"`, `"jwt"`, `"keys"`, `"status":"ACTIVE","deviceName":"Firefox on Linux"`, ` 204 `, `UNAUTHENTICATED`,
		`is your code`, ` 204 `, `"fingerprint"`, `"status":"PENDING"`, `"status":"APPROVED"`, ` 403 `,
		`contact_demo_watchlisted`, `IDENTITY_ON_GOVERNMENT_WATCHLIST`, `addressIsPOBoxOrNonApproved`, `"quiz_`, `"choices"`, `"_links"`, `"keys"`,
		`policy.yaml is valid`, `would no longer be verified`, `loaded 1 records`,
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("the tour shows no %s after what comes before it:\n%s", want, out.String())
		}
		rest = after
	}
	s.Stop()
}
