package stories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// TestAGrantOutlivesTheImport: what a completed invitation gave is not taken away by loading the same file again.
func TestAGrantOutlivesTheImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	alice, dora, root := s.token("alice", "banking/full"), s.token("dora", "banking/full"), s.token("root", "banking/full admin/full")
	id := s.invite(alice)
	s.gql(dora, `mutation($id: ID!, $s: String!) { verifyInvitation(input: {invitationId: $id, sharedSecret: $s}) { problems { code } } }`, map[string]any{"id": id, "s": testkit.Secret})
	s.gql(root, `mutation($id: ID!) { completeInvitation(input: {invitationId: $id}) { problems { code } } }`, map[string]any{"id": id})
	s.invite(dora)
	load := func(owners string) {
		if _, errs, status := w.run(`{"kind":"account","id":"acc-alice","owners":[`+owners+`]}`, "import", "-"); status != 0 {
			t.Fatal(errs)
		}
	}
	load(`"alice"`)
	s.invite(dora)
	load(`"alice","dora"`) // now the bank knows it
	load(`"alice"`)        // and takes it back
	body, _ := json.Marshal(map[string]any{"query": createMutation, "variables": map[string]any{"secret": testkit.Secret}})
	if r := s.send("POST", "/graphql", string(body), "Authorization: Bearer "+dora); r.at(t, "errors", 0, "extensions", "code") != "FORBIDDEN" {
		t.Errorf("an import that names an owner and then does not takes the right: %s", r.body)
	}
}

// TestABlockEndsWhenItSays: after Retry-After the caller is heard again, also where the block is shorter than the
// window of the rate.
func TestABlockEndsWhenItSays(t *testing.T) {
	t.Parallel()
	s := newWorld(t, "GATEHOUSE_VERIFY_RATE=2/1h", "GATEHOUSE_VERIFY_BLOCK=1s").serve()
	key, dora := "API-Key: "+s.must("apikey", "create", "--name", "t"), "Authorization: Bearer "+s.token("dora", "banking/full")
	try := func() reply {
		return s.send("POST", "/invitations/verifications", `{"invitationId":"inv_nowhere","sharedSecret":"a wrong secret"}`, key, dora)
	}
	for n, want := range []int{400, 400, 429} {
		if r := try(); r.status != want {
			t.Fatalf("try %d: %d", n, r.status)
		}
	}
	time.Sleep(1100 * time.Millisecond)
	if r := try(); r.status != 400 {
		t.Errorf("after the block: %d", r.status)
	}
}

// TestManyAccounts: who owns more accounts than a statement has parameters still gets the list.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	for _, db := range testkit.Databases {
		t.Run(db.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if db.Name == "postgres" {
				w.env = append(w.env, "GATEHOUSE_DATABASE_URL="+db.URL(t))
			}
			s := w.serve()
			var lines bytes.Buffer
			for n := range 40000 {
				fmt.Fprintf(&lines, `{"kind":"account","id":"acc-%d","owners":["rich"]}`+"\n", n)
			}
			if out, errs, status := w.run(lines.String(), "import", "-"); status != 0 {
				t.Fatal(out, errs)
			}
			rich := s.token("rich", "banking/full")
			s.gql(rich, strings.Replace(createMutation, "acc-alice", "acc-39999", 1), map[string]any{"secret": testkit.Secret})
			if r := s.gql(rich, `{ invitations { totalCount } }`, nil); r.at(t, "data", "invitations", "totalCount") != 1.0 {
				t.Error(r.body)
			}
		})
	}
}

// TestOneServerForAFile: a second server on the same file does not start, and the next one does after a kill.
func TestOneServerForAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve()
	if _, errs, status := w.run("", "serve"); status != 1 || !strings.Contains(errs, "another server") {
		t.Errorf("%d %s", status, errs)
	}
	w.must("apikey", "create", "--name", "beside") // commands work beside it
	s.Kill()
	w.serve().Stop()
}

// TestAMissingKeyFileIsNotReplaced: a new key beside sealed data would only hide that the right one is missing.
func TestAMissingKeyFileIsNotReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve().Stop()
	key := filepath.Join(w.dir, "gatehouse-data", "encryption.key")
	if err := os.Rename(key, key+".moved"); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := w.run("", "serve"); status == 0 || !strings.Contains(errs, "GATEHOUSE_ENCRYPTION_KEY") || !strings.Contains(errs, "missing") {
		t.Errorf("%d %s", status, errs)
	}
	if _, err := os.Stat(key); err == nil {
		t.Error("a new key was left")
	}
	if err := os.Rename(key+".moved", key); err != nil {
		t.Fatal(err)
	}
	w.serve().Stop()
}

// TestNoRedirects: a path that is not clean is answered in the dialect of its door, never with a redirect.
func TestNoRedirects(t *testing.T) {
	t.Parallel()
	s := newWorld(t).serve()
	key := "API-Key: " + s.must("apikey", "create", "--name", "t")
	for _, path := range []string{"/invitations//invitations", "/invitations/./", "/invitations/../graphql"} {
		req, _ := http.NewRequest("POST", s.url, strings.NewReader("{}"))
		req.URL.Opaque = path
		req.Header.Set("Content-Type", "application/json")
		name, value, _ := strings.Cut(key, ": ")
		req.Header.Set(name, value)
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
