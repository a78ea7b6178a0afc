package auth_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// store holds the API keys and sessions of the database in memory.
type store struct {
	hash []byte
	down bool
	// ended holds the sessions that are no longer active.
	ended map[string]bool
}

func (s store) APIKey(_ context.Context, hash []byte) (string, bool, error) {
	if s.down {
		return "", false, errors.New("no connection")
	}
	return "front end", bytes.Equal(hash, s.hash), nil
}

func (s store) SessionOver(_ context.Context, sid string) (bool, error) {
	if s.down {
		return false, errors.New("no connection")
	}
	return s.ended[sid], nil
}

// ask sends a request through the middleware and returns the actor in its context.
func ask(t *testing.T, a *auth.Authenticator, change func(*http.Request)) domain.Actor {
	t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	r.RemoteAddr = "192.0.2.7:4711"
	if change != nil {
		change(r)
	}
	var actor domain.Actor
	reached := false
	w := httptest.NewRecorder()
	a.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		actor, reached = domain.ActorFrom(r.Context()), true
	})).ServeHTTP(w, r)
	if !reached || w.Body.Len() != 0 || len(w.Header()) != 0 {
		t.Fatal("the middleware answered")
	}
	return actor
}

func with(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

func nobody(t *testing.T, a domain.Actor, why *problem.Definition) {
	t.Helper()
	if a.Known() || a.ID != "" || a.Email != "" || a.Scopes != nil || a.SessionID != "" {
		t.Errorf("somebody: %+v", a)
	}
	if why == nil && a.Refused != nil || why != nil && (a.Refused == nil || a.Refused.Definition != why) {
		t.Errorf("refused with %v", a.Refused)
	}
}

func TestMiddlewareBearer(t *testing.T) {
	t.Parallel()
	c := newClock()
	d := openDevelopmentIssuer(t, t.TempDir(), "", c)
	a := auth.New(auth.Config{Verifier: d})
	raw := issue(t, d, auth.TokenRequest{Subject: "u1", Scope: "banking/read", ClientID: "app", TTL: time.Hour, Claims: map[string]string{
		"email": "ada@example.com", "username": "ada", "customerId": "42", "customerGroup": "g", "sid": "s1",
	}})
	want := domain.Actor{
		ID: "u1", Username: "ada", Email: "ada@example.com", CustomerID: "42", CustomerGroup: "g", ClientID: "app", SessionID: "s1",
		Scopes: []string{"banking/read"}, ExpiresAt: c.now().Add(time.Hour), Address: "192.0.2.7",
	}
	for _, value := range []string{"Bearer " + raw, "bearer " + raw, "BEARER  " + raw, " Bearer " + raw + " "} {
		if got := ask(t, a, with("Authorization", value)); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v", got)
		}
	}
	nobody(t, ask(t, a, nil), nil)
	nobody(t, ask(t, a, with("Authorization", "")), nil)
	for claim, values := range map[string][]string{
		"no scheme":                {raw},
		"another scheme":           {"Basic dTpw"},
		"a scheme alone":           {"Bearer"},
		"a scheme and a space":     {"Bearer "},
		"two tokens":               {"Bearer " + raw + " " + raw},
		"two values in one":        {"Bearer " + raw + ",Bearer " + raw},
		"two headers":              {"Bearer " + raw, "Bearer " + raw},
		"a good and an empty one":  {"Bearer " + raw, ""},
		"nonsense":                 {"Bearer nonsense"},
		"a token that was changed": {"Bearer " + raw[:len(raw)-2]},
	} {
		t.Run(claim+" is refused", func(t *testing.T) {
			t.Parallel()
			got := ask(t, a, with("Authorization", values...))
			nobody(t, got, problem.Unauthorized)
			if got.Address != "192.0.2.7" {
				t.Errorf("address %q", got.Address)
			}
			if got.Refused != nil && strings.Contains(got.Refused.Error(), raw[:20]) {
				t.Errorf("the problem shows the token: %v", got.Refused)
			}
		})
	}
	t.Run("an expired one is told apart", func(t *testing.T) {
		t.Parallel()
		later := newClock()
		dir := t.TempDir()
		short := issue(t, openDevelopmentIssuer(t, dir, "", later), auth.TokenRequest{Subject: "u1", TTL: time.Minute})
		later.advance(time.Hour)
		a := auth.New(auth.Config{Verifier: openDevelopmentIssuer(t, dir, "", later)})
		nobody(t, ask(t, a, with("Authorization", "Bearer "+short)), problem.SessionExpired)
	})
	t.Run("an issuer never reached is told apart", func(t *testing.T) {
		t.Parallel()
		s := newRSA("k", "RS256", 0)
		i := newIssuer(t, s.public(t, nil))
		i.set(func() { i.down = true })
		a := auth.New(auth.Config{Verifier: i.verifier(t, c)})
		nobody(t, ask(t, a, with("Authorization", "Bearer "+s.sign(t, nil, i.claims(c, nil)))), problem.ServiceUnavailable)
		nobody(t, ask(t, a, nil), nil)
	})
}

func TestMiddlewareAPIKey(t *testing.T) {
	t.Parallel()
	c := newClock()
	d := openDevelopmentIssuer(t, t.TempDir(), "", c)
	key, hash := auth.NewAPIKey()
	other, _ := auth.NewAPIKey()
	if other == key || !strings.HasPrefix(key, "gh_") || len(key) != 46 || len(hash) != 32 {
		t.Errorf("key %s", key)
	}
	up := auth.New(auth.Config{Verifier: d, Keys: store{hash: hash}})
	token := "Bearer " + issue(t, d, auth.TokenRequest{Subject: "u1", TTL: time.Hour})

	got := ask(t, up, func(r *http.Request) {
		r.Header.Set("API-Key", key)
		r.Header.Set("Authorization", token)
	})
	if got.APIKey != "front end" || got.ID != "u1" {
		t.Errorf("got %+v", got)
	}
	got = ask(t, up, func(r *http.Request) {
		r.Header.Set("API-Key", key)
		r.Header.Set("Authorization", "Bearer x")
	})
	if nobody(t, got, problem.Unauthorized); got.APIKey != "front end" {
		t.Errorf("the client is forgotten: %+v", got)
	}
	for claim, values := range map[string][]string{
		"unknown": {other}, "shortened": {key[:45]}, "without prefix": {key[3:]}, "twice": {key, key}, "empty": {""},
		"long": {key + strings.Repeat("x", 200)},
	} {
		t.Run(claim+" is no client, and no refusal", func(t *testing.T) {
			t.Parallel()
			got := ask(t, up, func(r *http.Request) {
				r.Header["Api-Key"] = values
				r.Header.Set("Authorization", token)
			})
			if got.APIKey != "" || got.ID != "u1" || got.Refused != nil {
				t.Errorf("got %+v", got)
			}
		})
	}
	down := auth.New(auth.Config{Verifier: d, Keys: store{hash: hash, down: true}})
	nobody(t, ask(t, down, func(r *http.Request) {
		r.Header.Set("API-Key", key)
		r.Header.Set("Authorization", token)
	}), problem.ServiceUnavailable)
	if got := ask(t, down, with("Authorization", token)); got.ID != "u1" {
		t.Errorf("without an API key the database is not needed: %+v", got)
	}
	if got := ask(t, auth.New(auth.Config{Verifier: d}), with("API-Key", key)); got.APIKey != "" || got.Refused != nil {
		t.Errorf("no keys at all: %+v", got)
	}
}

func TestMiddlewareSession(t *testing.T) {
	t.Parallel()
	d := openDevelopmentIssuer(t, t.TempDir(), "", newClock())
	sessions := store{ended: map[string]bool{"ended": true}}
	a := auth.New(auth.Config{Verifier: d, Sessions: sessions})
	of := func(sid string) func(*http.Request) {
		r := auth.TokenRequest{Subject: "u1", TTL: time.Hour}
		if sid != "" {
			r.Claims = map[string]string{"sid": sid}
		}
		return with("Authorization", "Bearer "+issue(t, d, r))
	}
	for _, sid := range []string{"active", "of another issuer", ""} {
		if got := ask(t, a, of(sid)); got.ID != "u1" || got.SessionID != sid {
			t.Errorf("sid %q: %+v", sid, got)
		}
	}
	nobody(t, ask(t, a, of("ended")), problem.SessionExpired)
	// The token is cached as valid; its session is checked again.
	again := of("active")
	if got := ask(t, a, again); got.ID != "u1" {
		t.Errorf("got %+v", got)
	}
	sessions.ended["active"] = true
	nobody(t, ask(t, a, again), problem.SessionExpired)
	down := auth.New(auth.Config{Verifier: d, Sessions: store{down: true}})
	nobody(t, ask(t, down, of("active")), problem.ServiceUnavailable)
	if got := ask(t, down, of("")); got.ID != "u1" {
		t.Errorf("without sid the database is not needed: %+v", got)
	}
}

// A WebSocket sends its token in its first message: the identity changes, the address does not.
func TestAuthenticate(t *testing.T) {
	t.Parallel()
	d := openDevelopmentIssuer(t, t.TempDir(), "", newClock())
	a := auth.New(auth.Config{Verifier: d})
	ctx := domain.WithActor(context.Background(), domain.Actor{ID: "before", Email: "x", Address: "192.0.2.9", APIKey: "front end"})
	got := a.Authenticate(ctx, "bearer "+issue(t, d, auth.TokenRequest{Subject: "u1", TTL: time.Hour}))
	if got.ID != "u1" || got.Email != "" || got.Address != "192.0.2.9" || got.APIKey != "front end" {
		t.Errorf("got %+v", got)
	}
	got = a.Authenticate(ctx, "bearer x")
	if nobody(t, got, problem.Unauthorized); got.Address != "192.0.2.9" {
		t.Errorf("got %+v", got)
	}
	nobody(t, a.Authenticate(ctx, ""), nil)
	nobody(t, a.Authenticate(context.Background(), "Basic x"), problem.Unauthorized)
}

func TestMiddlewareAddress(t *testing.T) {
	t.Parallel()
	d := openDevelopmentIssuer(t, t.TempDir(), "", newClock())
	a := auth.New(auth.Config{Verifier: d, TrustedProxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::ffff:172.16.0.0/108"), netip.MustParsePrefix("2001:db8:ffff::/48"),
	}})
	const xff, fwd = "X-Forwarded-For", "Forwarded"
	for _, c := range []struct {
		claim, socket string
		header        string
		values        []string
		want          string
	}{
		{"the socket's own", "192.0.2.7:1", "", nil, "192.0.2.7"},
		{"IPv4 in IPv6 is IPv4", "[::ffff:192.0.2.7]:1", "", nil, "192.0.2.7"},
		{"a zone is dropped", "[fe80::1%eth0]:1", "", nil, "fe80::1"},
		{"no IP address", "@", xff, []string{"203.0.113.1"}, ""},
		{"a stranger's header is not believed", "192.0.2.7:1", xff, []string{"203.0.113.1"}, "192.0.2.7"},
		{"a stranger's Forwarded is not believed", "192.0.2.7:1", fwd, []string{"for=203.0.113.1"}, "192.0.2.7"},
		{"a proxy without a header", "10.0.0.1:1", "", nil, "10.0.0.1"},
		{"a proxy names the client", "10.0.0.1:1", xff, []string{"203.0.113.1"}, "203.0.113.1"},
		{"a proxy that speaks IPv6", "[::ffff:10.0.0.1]:1", xff, []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		{"a network written in IPv6", "172.16.3.4:1", xff, []string{"203.0.113.1"}, "203.0.113.1"},
		{"a network beside it", "172.32.3.4:1", xff, []string{"203.0.113.1"}, "172.32.3.4"},
		{"a chain of proxies", "10.0.0.1:1", xff, []string{"203.0.113.1, 10.0.0.3,10.0.0.2"}, "203.0.113.1"},
		{"what the client wrote itself is not believed", "10.0.0.1:1", xff, []string{"1.1.1.1, 203.0.113.1"}, "203.0.113.1"},
		{"nor a proxy's address that it wrote", "10.0.0.1:1", xff, []string{"10.0.0.9, 203.0.113.1"}, "203.0.113.1"},
		{"several lines are one list", "10.0.0.1:1", xff, []string{"1.1.1.1", "203.0.113.1", "10.0.0.2"}, "203.0.113.1"},
		{"only proxies", "10.0.0.1:1", xff, []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"with ports", "10.0.0.1:1", xff, []string{"203.0.113.1:55"}, "203.0.113.1"},
		{"IPv6 with a port", "10.0.0.1:1", xff, []string{"[2001:db8::1]:55"}, "2001:db8::1"},
		{"IPv6 in brackets", "[2001:db8:ffff::1]:1", xff, []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"nonsense stops at the proxy", "10.0.0.1:1", xff, []string{"203.0.113.1, unknown"}, "10.0.0.1"},
		{"nonsense farther away does no harm", "10.0.0.1:1", xff, []string{"unknown, 203.0.113.1"}, "203.0.113.1"},
		{"an empty header", "10.0.0.1:1", xff, []string{""}, "10.0.0.1"},
		{"Forwarded", "10.0.0.1:1", fwd, []string{`for=203.0.113.1;proto=https;by=10.0.0.1`}, "203.0.113.1"},
		{"Forwarded, quoted", "10.0.0.1:1", fwd, []string{`proto=https; For="[2001:db8::1]:55"`}, "2001:db8::1"},
		{"Forwarded, a chain", "10.0.0.1:1", fwd, []string{`for=1.1.1.1, for=203.0.113.1`, `for="10.0.0.2"`}, "203.0.113.1"},
		{"Forwarded, hidden", "10.0.0.1:1", fwd, []string{`for=203.0.113.1, for=_secret`}, "10.0.0.1"},
		{"Forwarded without for", "10.0.0.1:1", fwd, []string{`for=203.0.113.1, proto=https`}, "10.0.0.1"},
		{"Forwarded, a quote left open", "10.0.0.1:1", fwd, []string{`for=1.1.1.1;x=", for=203.0.113.1`}, "10.0.0.1"},
		{"Forwarded, a quote that swallows", "10.0.0.1:1", fwd, []string{`for=1.1.1.1;x=", for="203.0.113.1";host="h"`}, "10.0.0.1"},
		{"Forwarded, an escape", "10.0.0.1:1", fwd, []string{`for="203.0.113.1\""`}, "10.0.0.1"},
		{"Forwarded, nonsense", "10.0.0.1:1", fwd, []string{`=;,=`}, "10.0.0.1"},
	} {
		t.Run(c.claim, func(t *testing.T) {
			t.Parallel()
			got := ask(t, a, func(r *http.Request) {
				r.RemoteAddr = c.socket
				if c.header != "" {
					r.Header[c.header] = c.values
				}
			})
			if got.Address != c.want {
				t.Errorf("got %q, want %q", got.Address, c.want)
			}
		})
	}
	t.Run("of both headers X-Forwarded-For counts", func(t *testing.T) {
		t.Parallel()
		got := ask(t, a, func(r *http.Request) {
			r.RemoteAddr = "10.0.0.1:1"
			r.Header.Set(xff, "203.0.113.1")
			r.Header.Set(fwd, "for=1.1.1.1")
		})
		if got.Address != "203.0.113.1" {
			t.Errorf("got %q", got.Address)
		}
	})
}
