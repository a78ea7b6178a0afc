package stories

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/testkit"
)

// The parts of the vendor that stand at the other end of the client session API. Nobody here wrote them, and none of
// their code is in the repository: they are installed when the test runs. The drivers in testdata/vendor are ours.
var (
	vendorPackages = []string{"@clerk/backend@3.25.0", "@clerk/clerk-js@6.40.0", "@clerk/shared@4.41.0", "happy-dom@21.0.4"}
	vendorModule   = "github.com/clerk/clerk-sdk-go/v2@v2.4.2"
)

// vendorPage is the origin of the pages that the client runs on.
const vendorPage = "http://localhost:3000"

// vendorModules is the folder of the vendor's packages.
var vendorModules = sync.OnceValues(func() (string, error) { return npmModules(vendorPackages, nil) })

// npmModules installs packages, and gives their folder. It is kept for the next run, under the exact versions. Packages
// with an integrity value are used only if they are the ones it was made of.
func npmModules(packages []string, integrity map[string]string) (string, error) {
	version, err := exec.Command("node", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("no node: %w", err)
	}
	var major int
	if _, err := fmt.Sscanf(string(version), "v%d.", &major); err != nil || major < 20 {
		return "", fmt.Errorf("node is %s, and the packages ask for 20", bytes.TrimSpace(version))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(packages, " ")))
	dir := filepath.Join(cache, "gatehouse-test", "vendor-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, "node_modules"), npmIntact(dir, integrity)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "install-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	if err := os.WriteFile(filepath.Join(fresh, "package.json"), []byte(`{"private":true}`), 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", append([]string{"install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"}, packages...)...)
	cmd.Dir = fresh
	if err := cmd.Run(); err != nil { // what it prints names the registry
		return "", fmt.Errorf("npm cannot install the packages: %w", err)
	}
	if err := npmIntact(fresh, integrity); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Stat(dir); there != nil { // another test process was not first either
			return "", err
		}
	}
	return filepath.Join(dir, "node_modules"), nil
}

// npmIntact compares what npm installed, and checked against these values itself, with the values that are pinned.
func npmIntact(dir string, integrity map[string]string) error {
	if len(integrity) == 0 {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err != nil {
		return err
	}
	var lock struct {
		Packages map[string]struct{ Integrity string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return err
	}
	for path, is := range lock.Packages {
		if want := integrity[strings.TrimPrefix(path, "node_modules/")]; is.Integrity == "" || is.Integrity != want {
			return fmt.Errorf("%s has the integrity %q, want %q", path, is.Integrity, want)
		}
	}
	return nil
}

var anyToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+`)

// answerOf runs a program with the input as JSON, and reads the JSON that it prints.
func answerOf(t *testing.T, cmd *exec.Cmd, input, output any) {
	t.Helper()
	raw, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(raw), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, anyToken.ReplaceAllString(errs.String(), "(token)"))
	}
	if err := json.Unmarshal(out.Bytes(), output); err != nil {
		t.Fatalf("%v: %s", err, anyToken.ReplaceAllString(out.String(), "(token)"))
	}
}

// driven runs a driver of testdata/vendor in Node, beside the vendor's packages.
func driven(t *testing.T, driver string, input, output any) {
	t.Helper()
	modules, err := vendorModules()
	if err != nil {
		testkit.Without(t, "vendor", err)
	}
	drivenBeside(t, modules, driver, input, output)
}

// drivenBeside runs a driver of testdata/vendor in Node, beside the packages in the folder.
func drivenBeside(t *testing.T, modules, driver string, input, output any) {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join("testdata", "vendor", driver))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, driver), text, 0o600), os.Symlink(modules, filepath.Join(dir, "node_modules"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", driver)
	cmd.Dir = dir
	answerOf(t, cmd, input, output)
}

// vendorVerifier builds the vendor's Go verifier in a module of its own, so that ours does not have it, and gives the
// program.
func vendorVerifier(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join("testdata", "vendor", "verify.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w: %s", args[0], err, out)
		}
		return nil
	}
	if err := run("mod", "init", "vendorverifier"); err != nil {
		t.Fatal(err)
	}
	if err := run("get", vendorModule); err != nil {
		testkit.Without(t, "vendor", errors.New("go get cannot bring the vendor's verifier")) // what it prints names the registry
	}
	if err := run("build", "-o", "verifier", "."); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "verifier")
}

// vendorBank is a server whose API the vendor's parts are to talk to, with a login service.
type vendorBank struct {
	*server
	// service is the login service's token, key what a server kit calls its secret key.
	service, key string
}

func newVendorBank(t *testing.T) *vendorBank {
	t.Helper()
	// The kits of the vendor check tokens by the clock of the system.
	w := newWorld(t, "GATEHOUSE_TEST_CLOCK=0s", "GATEHOUSE_ALLOWED_ORIGINS="+vendorPage, "GATEHOUSE_SESSION_TOKEN_TTL=10m") // a busy machine takes more than a minute
	b := &vendorBank{server: w.serve(), key: w.must("apikey", "create", "--name", "backend")}
	b.service = b.token("login-service", "admin/full")
	r := b.gql(b.service, `mutation($claims: JSON!) { saveJwtTemplate(input: {name: "backend", claims: $claims, lifetime: 300}) { problems { code message } } }`,
		map[string]any{"claims": map[string]any{"aud": "backend", "user": "{{user.id}}", "role": "customer"}})
	if problems, _ := r.at(t, "data", "saveJwtTemplate", "problems").([]any); len(problems) > 0 {
		t.Fatal(r.body)
	}
	return b
}

// signIn makes a client token, and signs alice in on that client n times.
func (b *vendorBank) signIn(client string, n int) (token string, sessions []string) {
	b.t.Helper()
	token = b.must("token", "--kind", "client", "--client-id", client)
	for range n {
		r := b.gql(b.service, `mutation($client: ID!) { createSession(input: {userId: "alice", clientId: $client}) { session { id } problems { code message } } }`, map[string]any{"client": client})
		id, _ := r.at(b.t, "data", "createSession", "session", "id").(string)
		if id == "" {
			b.t.Fatal(r.body)
		}
		sessions = append(sessions, id)
	}
	return token, sessions
}

// pem is the first published key as text, as it is given to a kit that does not fetch any.
func (b *vendorBank) pem() string {
	b.t.Helper()
	r := b.send("GET", "/.well-known/jwks.json", "")
	var set struct{ Keys []struct{ Kty, N, E string } }
	if err := json.Unmarshal([]byte(r.body), &set); err != nil || len(set.Keys) == 0 || set.Keys[0].Kty != "RSA" {
		b.t.Fatalf("%v: %s", err, r.body)
	}
	number := func(text string) *big.Int {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			b.t.Fatal(err)
		}
		return new(big.Int).SetBytes(raw)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: number(set.Keys[0].N), E: int(number(set.Keys[0].E).Int64())})
	if err != nil {
		b.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// looked is what a verifier said of a token.
type looked struct {
	Claims  map[string]any
	Refused string
}

// looks are what it said by the name of the token and by the way to the keys.
type looks map[string]map[string]looked

// good expects that a token was verified each way, and gives its claims.
func (l looks) good(t *testing.T, name string) map[string]any {
	t.Helper()
	for way, is := range l[name] {
		if is.Refused != "" || is.Claims["sub"] != "alice" {
			t.Errorf("%s by %s: %s %v", name, way, is.Refused, is.Claims)
		}
	}
	if len(l[name]) == 0 {
		t.Errorf("%s: nobody looked", name)
	}
	return l[name]["jwks"].Claims
}

// bad expects that a token was refused each way.
func (l looks) bad(t *testing.T, name, why string) {
	t.Helper()
	for way, is := range l[name] {
		if is.Claims != nil || !regexp.MustCompile(why).MatchString(is.Refused) {
			t.Errorf("%s by %s: want a refusal like %q, got %q", name, way, why, is.Refused)
		}
	}
	if len(l[name]) == 0 {
		t.Errorf("%s: nobody looked", name)
	}
}

// TestVendorVerifiers has the vendor's server kits look at what a running server signs.
func TestVendorVerifiers(t *testing.T) {
	t.Parallel()
	if _, err := vendorModules(); err != nil {
		testkit.Without(t, "vendor", err)
	}
	b := newVendorBank(t)
	client, sessions := b.signIn("vendor-browser", 1)
	jwt := func(path string) string {
		r := b.send("POST", "/v1/client/sessions/"+sessions[0]+path, "", "Cookie: __client="+client, "Origin: "+vendorPage, "Content-Type: application/x-www-form-urlencoded")
		token, _ := r.at(t, "jwt").(string)
		if token == "" {
			t.Fatal(r.body)
		}
		return token
	}
	session, template := jwt("/tokens"), jwt("/tokens/backend")
	parts := strings.Split(session, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !bytes.Contains(payload, []byte(`"sub":"alice"`)) {
		t.Fatalf("%v: %s", err, payload)
	}
	forged := base64.RawURLEncoding.EncodeToString(bytes.Replace(payload, []byte(`"sub":"alice"`), []byte(`"sub":"bobby"`), 1))
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	input := map[string]any{
		"api": b.url, "secret": b.key, "pem": b.pem(), "party": vendorPage,
		"tokens": map[string]string{
			"session": session, "template": template, "client": client,
			"tampered": parts[0] + "." + forged + "." + parts[2],
			"unsigned": unsigned + "." + parts[1] + ".",
		},
	}
	check := func(t *testing.T, l looks) {
		t.Helper()
		if c := l.good(t, "session"); c["sid"] != sessions[0] || c["iss"] != b.url || c["azp"] != vendorPage || c["v"] != 2.0 {
			t.Errorf("the session token: %v", c)
		}
		if c := l.good(t, "template"); c["aud"] != "backend" || c["role"] != "customer" || c["user"] != "alice" || c["sid"] != nil {
			t.Errorf("the template token: %v", c)
		}
	}
	t.Run("javascript", func(t *testing.T) {
		t.Parallel()
		var l looks
		driven(t, "verify.mjs", input, &l)
		check(t, l)
		l.bad(t, "later", `token-expired`)
		l.bad(t, "tampered", `token-invalid-signature`)
		l.bad(t, "unsigned", `.`)
		l.bad(t, "client", `.`)
		l.bad(t, "foreign", `token-invalid-authorized-parties`)
		l.bad(t, "unknown", `jwk-remote-failed-to-load`)
	})
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		var l looks
		answerOf(t, exec.Command(vendorVerifier(t)), input, &l)
		check(t, l)
		l.bad(t, "later", `expired`)
		l.bad(t, "tampered", `error in cryptographic primitive`)
		l.bad(t, "unsigned", `.`)
		l.bad(t, "client", `.`)
	})
}

// refusal is how the vendor's client shows an error to the page.
type refusal struct {
	Status                     int
	Code, Message, LongMessage string
}

// pageSeen is what the driver of the client saw.
type pageSeen struct {
	Calls  []string
	Failed string

	Loaded struct {
		Session, User string
		Sessions      map[string]string
		Cookies       []string
	}
	Token, Template string
	UnknownTemplate refusal
	Touched         struct {
		ID, Active string
		Moved      bool
	}
	Switched       struct{ Session, Token string }
	Ended, Removed struct {
		Status   string
		Sessions map[string]string
	}
	EndedTwice, RemovedTwice, Afterwards refusal
	Terminated                           int
	Noticed, SignedOut                   struct {
		Session  *string
		Sessions map[string]string
		Cookies  []string
	}
	Back string

	Client   string
	SignedIn struct {
		Created, Session, Token string
		Sessions                map[string]string
	}
}

// called expects that the client made a call, and what came of it.
func (p pageSeen) called(t *testing.T, call string) {
	t.Helper()
	if !slices.Contains(p.Calls, call) {
		t.Errorf("no %s among:\n%s", call, strings.Join(p.Calls, "\n"))
	}
}

// TestVendorClient lets the vendor's browser client do what it does, in each of the ways in which it says who it is:
// with the cookie of a browser, as a development browser, and as a native application.
func TestVendorClient(t *testing.T) {
	t.Parallel()
	if _, err := vendorModules(); err != nil {
		testkit.Without(t, "vendor", err)
	}
	b := newVendorBank(t)
	for _, how := range []string{"browser", "development", "native"} {
		t.Run(how, func(t *testing.T) {
			client, ids := b.signIn("vendor-"+how, 3)
			first, second, third := ids[0], ids[1], ids[2]
			var p pageSeen
			driven(t, "client.mjs", map[string]any{"how": how, "api": b.url, "page": vendorPage, "client": client, "service": b.service, "sessions": ids}, &p)
			if p.Failed != "" {
				t.Fatalf("%s\nafter:\n%s", anyToken.ReplaceAllString(p.Failed, "(token)"), strings.Join(p.Calls, "\n"))
			}
			p.called(t, "GET /v1/client 200")

			all := map[string]string{first: "active", second: "active", third: "active"}
			if p.Loaded.User != "alice" || !sameStates(p.Loaded.Sessions, all) || all[p.Loaded.Session] == "" {
				t.Errorf("loaded: %+v", p.Loaded)
			}
			if page := how != "native"; page != slices.Contains(p.Loaded.Cookies, "__session") {
				t.Errorf("the page's cookies: %v", p.Loaded.Cookies)
			}
			if p.Touched.ID != second || p.Touched.Active != second || !p.Touched.Moved {
				t.Errorf("touched: %+v", p.Touched)
			}
			if p.Switched.Session != second {
				t.Errorf("switched: %s", p.Switched.Session)
			}
			if p.Ended.Status != "ended" || !sameStates(p.Ended.Sessions, map[string]string{first: "active", second: "active", third: "ended"}) {
				t.Errorf("ended: %+v", p.Ended)
			}
			if p.Removed.Status != "removed" || !sameStates(p.Removed.Sessions, map[string]string{first: "active", second: "active"}) {
				t.Errorf("removed: %+v", p.Removed)
			}
			if p.Terminated != http.StatusNoContent || p.Noticed.Session != nil || !sameStates(p.Noticed.Sessions, map[string]string{first: "active"}) {
				t.Errorf("terminated: %d, then %+v", p.Terminated, p.Noticed)
			}
			if p.Back != first || p.SignedOut.Session != nil || len(p.SignedOut.Sessions) > 0 || slices.Contains(p.SignedOut.Cookies, "__session") {
				t.Errorf("signed out: %s, then %+v", p.Back, p.SignedOut)
			}
			p.called(t, "DELETE /v1/client/sessions 200")

			for _, c := range []struct {
				what   string
				is     refusal
				status int
				code   string
				long   string
			}{
				{"an unknown template", p.UnknownTemplate, 404, "resource_not_found", "nothing"},
				{"a second end", p.EndedTwice, 400, "invalid_action_for_session", third},
				{"a second remove", p.RemovedTwice, 404, "resource_not_found", third},
				{"a token of a terminated session", p.Afterwards, 401, "signed_out", ""},
			} {
				if c.is.Status != c.status || c.is.Code != c.code || c.is.Message == "" || !strings.Contains(c.is.LongMessage, c.long) {
					t.Errorf("%s: %+v", c.what, c.is)
				}
			}

			// What the page was given is good to a server kit.
			var l looks
			input := map[string]any{
				"api": b.url, "secret": b.key, "pem": b.pem(), "party": vendorPage,
				"tokens": map[string]string{"token": p.Token, "template": p.Template, "switched": p.Switched.Token},
			}
			if how == "native" { // no page, no origin in the tokens
				answerOf(t, exec.Command(vendorVerifier(t)), input, &l)
			} else {
				driven(t, "verify.mjs", input, &l)
			}
			if c := l.good(t, "token"); c["sid"] != p.Loaded.Session {
				t.Errorf("the token: %v", c)
			}
			if c := l.good(t, "switched"); c["sid"] != second {
				t.Errorf("the token after the switch: %v", c)
			}
			if c := l.good(t, "template"); c["aud"] != "backend" {
				t.Errorf("the template token: %v", c)
			}
		})
		t.Run(how+"/first visit", func(t *testing.T) {
			var p pageSeen
			driven(t, "client.mjs", map[string]any{"how": how, "api": b.url, "page": vendorPage, "client": "", "service": b.service}, &p)
			if p.Failed != "" {
				t.Fatalf("%s\nafter:\n%s", anyToken.ReplaceAllString(p.Failed, "(token)"), strings.Join(p.Calls, "\n"))
			}
			p.called(t, map[string]string{"browser": "PUT /v1/client 200", "development": "POST /v1/dev_browser 200", "native": "PUT /v1/client 200"}[how])
			if p.Loaded.Session != "" || len(p.Loaded.Sessions) > 0 || p.Client == "" {
				t.Errorf("loaded: %+v, then client %q", p.Loaded, p.Client)
			}
			is := p.SignedIn
			if is.Created == "" || is.Session != is.Created || is.Token == "" || !sameStates(is.Sessions, map[string]string{is.Created: "active"}) {
				t.Errorf("signed in: %s %s %v", is.Created, is.Session, is.Sessions)
			}
			if p.SignedOut.Session != nil || len(p.SignedOut.Sessions) > 0 {
				t.Errorf("signed out: %+v", p.SignedOut)
			}
		})
	}
	if log := b.Log.String(); anyToken.MatchString(log) {
		t.Error("the log holds a token")
	}
}

func sameStates(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for id, state := range b {
		if a[id] != state {
			return false
		}
	}
	return true
}
