package clientsessions

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain/problem"
)

func FuzzForm(f *testing.F) {
	for _, seed := range []string{"", "intent=focus", "intent=focus&intent=select_org", "a=b", "intent=%zz", "intent=%ff", "a;b", "active_organization_id=", strings.Repeat("a=1&", 99), "token=secret%2Fvalue"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		takes := []string{"intent", "active_organization_id", "token"}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
		r.Header.Set("Content-Type", formType)
		read, err := readForm(r, takes)
		if err != nil {
			p := problem.Of(err)
			if p.Kind == problem.Internal {
				t.Fatalf("%q ends in %v", text, err)
			}
			for _, cause := range append(p.Causes, p) {
				if len(cause.Text()) > 300 {
					t.Fatalf("the refusal of %q says %q", text, cause.Text())
				}
			}
			return
		}
		again := url.Values{}
		for name, value := range read {
			if !slices.Contains(takes, name) {
				t.Fatalf("%q has the parameter %q", text, name)
			}
			again.Set(name, value)
		}
		values, err := url.ParseQuery(text)
		if err != nil || again.Encode() != values.Encode() {
			t.Fatalf("%q is read as %q", text, again.Encode())
		}
	})
}

// FuzzCaller: any headers are accepted or refused, and an error repeats none of them.
func FuzzCaller(f *testing.F) {
	f.Add("Bearer token", "", "", "_is_native=1", "2025-11-10")
	f.Add("", "https://bank.example", "__client=abc", "", "")
	f.Add("a,b", "null", "__client=\"", "_method=DELETE&__clerk_db_jwt=x", "2021-02-30")
	f.Fuzz(func(t *testing.T, authorization, origin, cookie, query, version string) {
		a := &api{Options: Options{AllowedOrigins: []string{"https://bank.example"}, Development: true}}
		r := httptest.NewRequest(http.MethodPost, "/v1/client", nil)
		r.URL.RawQuery = query
		for name, value := range map[string]string{"Authorization": authorization, "Origin": origin, "Cookie": cookie, "Clerk-Api-Version": version} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		who, err := a.read(r)
		if err == nil {
			if who.origin != "" && !slices.Contains(a.AllowedOrigins, who.origin) {
				t.Fatalf("the origin %q was let in", who.origin)
			}
			return
		}
		p := problem.Of(err)
		if p.Kind == problem.Internal {
			t.Fatal(err)
		}
		for _, secret := range []string{authorization, cookie} {
			if len(secret) > 20 && strings.Contains(p.Error(), secret) {
				t.Fatalf("the refusal repeats a credential: %v", p)
			}
		}
	})
}
