package auth

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzAuthorization: a header is parsed or rejected, and no error contains a part of it.
func FuzzAuthorization(f *testing.F) {
	encode := base64.RawURLEncoding.EncodeToString
	for _, seed := range []string{
		"", "Bearer", "Bearer x", "bearer  a.b.c", "Basic YTpi", "Bearer a b", "Bearer a,b",
		"Bearer " + encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(`{"sub":"x"}`)) + ".AA",
		"Bearer " + encode([]byte(`{"alg":"RS256","kid":"k","crit":["x"]}`)) + "." + encode([]byte(`{}`)) + ".AA",
		"Bearer " + encode([]byte(`{"alg":["RS256"]}`)) + "." + encode([]byte(`[]`)) + ".AA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		raw, ok := bearer(header)
		if !ok {
			return
		}
		if raw == "" || strings.ContainsAny(raw, " \t,") || !strings.HasSuffix(strings.TrimSpace(header), raw) {
			t.Fatalf("%q has the token %q", header, raw)
		}
		parsed, err := parse(raw)
		if err != nil {
			if len(raw) > 24 && strings.Contains(err.Error(), raw) {
				t.Fatalf("the error contains the token: %v", err)
			}
			return
		}
		if strings.Count(raw, ".") != 2 || len(parsed.signature) == 0 || !strings.HasPrefix(raw, string(parsed.signingInput)+".") {
			t.Fatalf("%q is parsed as %q", raw, parsed.signingInput)
		}
	})
}

// FuzzForwarded: the address is the peer's, or one that a trusted proxy reported, and nothing else.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []struct{ socket, xff, forwarded string }{
		{"192.0.2.7:1", "203.0.113.1", ""},
		{"10.0.0.1:1", "1.1.1.1, 203.0.113.1", ""},
		{"10.0.0.1:1", "", `for="[2001:db8::1]:55"; proto=https`},
		{"10.0.0.1:1", "", `for="`},
		{"10.0.0.1:1", "unknown", ""},
		{"[fe80::1%eth0]:1", "", "for=_hidden, for=10.0.0.2"},
		{"", "", ""},
		{"10.0.0.1:1", ",", ""},
	} {
		f.Add(seed.socket, seed.xff, seed.forwarded)
	}
	believed := newProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.Fuzz(func(t *testing.T, socket, xff, forwarded string) {
		h := http.Header{}
		if xff != "" {
			h.Set("X-Forwarded-For", xff)
		}
		if forwarded != "" {
			h.Set("Forwarded", forwarded)
		}
		got := believed.client(socket, h)
		peer, ok := parseAddress(socket)
		switch {
		case !ok && got != "":
			t.Fatalf("a peer without an address is %q", got)
		case ok && !believed.contains(peer) && got != peer.String():
			t.Fatalf("the headers of the untrusted peer %s are accepted: %q", peer, got)
		case got != "":
			if _, err := netip.ParseAddr(got); err != nil {
				t.Fatalf("%q is not an address", got)
			}
		}
	})
}

func FuzzKeySet(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[]}`, `{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kty":"oct","k":"AA"}]}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`, `{}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, _, err := readKeys(document)
		if err != nil {
			return
		}
		for _, k := range keys {
			for _, alg := range k.algs {
				if !asymmetric(alg) {
					t.Fatalf("a published key may be used with %s", alg)
				}
			}
			// Every parsed key must be usable without a panic.
			set := &keySet{keys: keys}
			set.verifies(token{alg: k.algs[0], kid: k.id, signingInput: []byte("a.b"), signature: []byte("c")})
		}
	})
}
