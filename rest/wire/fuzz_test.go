package wire_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// asProblem fails if an error is not a public problem, or repeats a long input.
func asProblem(t *testing.T, err error, input string) {
	t.Helper()
	p := problem.Of(err)
	if p.Kind == problem.Internal {
		t.Fatalf("%q ends in %v", input, err)
	}
	texts := p.Text()
	for _, cause := range p.Causes {
		texts += cause.Text()
	}
	if len(input) > 200 && strings.Contains(texts, input) || !utf8.ValidString(texts) {
		t.Fatalf("the refusal of %q says %q", input, texts)
	}
}

func FuzzIfMatch(f *testing.F) {
	for _, seed := range []string{"*", `"inv_1:3"`, `W/"inv_1:3"`, `"inv_1:3", "inv_1:12"`, `"a,b"`, `"`, `"inv_1:-1"`, `"inv_1:03"`, `"inv_1:99999999999999999999"`, ",", `"x" "y"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("If-Match", header)
		r.Header.Set("If-None-Match", header)
		version, anything, err := wire.ParseIfMatch(r, "inv_1")
		if err != nil {
			asProblem(t, err, header)
			return
		}
		if (version == nil) != anything {
			t.Fatalf("%q is a version, or anything", header)
		}
		if version != nil && *version != wire.NoVersion {
			if *version < 0 || !strings.Contains(header, wire.ETag("inv_1", *version)) {
				t.Fatalf("%q is version %d", header, *version)
			}
			if !wire.NotModified(r, wire.ETag("inv_1", *version)) {
				t.Fatalf("%q matches and does not", header)
			}
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":1,"a":2}`, `[1]`, `{"name":"x","count":3,"deep":{"list":[{"a":null}]}}`, `{"count":1e400}`, "\xff{}", `{"a":"\ud800"}`, `{} {}`,
		strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), `{"when":"2026-01-01T00:00:00Z","flag":"yes"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		request := func(text string) *http.Request {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(text))
			r.Header.Set("Content-Type", "application/json")
			return r
		}
		how := wire.Reading{MediaTypes: []string{"application/json"}, MaxBytes: 1 << 14}
		body, err := wire.Object(request(text), how)
		if err != nil {
			asProblem(t, err, text)
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q is no JSON and was read", text)
		}
		var into struct {
			Name  *string        `json:"name"`
			Count *int           `json:"count"`
			Flag  bool           `json:"flag"`
			List  []string       `json:"list"`
			Deep  map[string]any `json:"deep"`
		}
		body.Into(&into)
		if err := body.Err(); err != nil {
			asProblem(t, err, text)
			return
		}
		again, err := json.Marshal(into)
		if err != nil {
			t.Fatal(err)
		}
		var second struct {
			Name  *string  `json:"name"`
			Count *int     `json:"count"`
			List  []string `json:"list"`
		}
		if err := wire.Decode(request(string(again)), how, &second); err != nil {
			// The output may be longer than the input.
			if len(again) <= 1<<14 {
				t.Fatalf("%q was read, and as %q it is refused: %v", text, again, err)
			}
			return
		}
		if (into.Name == nil) != (second.Name == nil) || into.Name != nil && *into.Name != *second.Name || into.Count != nil && *into.Count != *second.Count {
			t.Fatalf("%q changes on its second way", text)
		}
	})
}

func FuzzList(f *testing.F) {
	for _, seed := range []string{
		"start=0&limit=10", "limit=0", "limit=-1", "start=99999999999999999999", "sortBy=-createdAt,_id", "filter=eq(state,'sent')", "q=a+and+b", "state=sent|revoked",
		"filter=%zz", "a=1;b=2", "state=&state=sent", "filter=in(state,'sent',null)&filter=not(isnull(role))", "emailAddress=A%40b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: "/", RawQuery: query}
		q, err := wire.List(r, domain.InvitationSchema, wire.Named{Name: "state"}, wire.Named{Name: "emailAddress", Field: "emailAddressFolded"})
		if err != nil {
			asProblem(t, err, query)
			return
		}
		if q.Start < 0 || q.Limit < 0 || q.Limit > 1000 {
			t.Fatalf("%q is a page from %d of %d", query, q.Start, q.Limit)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"application/json", "*/*;q=0", "text/html;q=0.5,application/hal+json", ";;;", "a/b;c=\"", "key", strings.Repeat("k", 256), "\u00e4\u0000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		for _, name := range []string{"Accept", "Content-Type", "Idempotency-Key"} {
			r.Header.Set(name, header)
		}
		if err := wire.Accept(r, "application/json", "application/hal+json"); err != nil {
			asProblem(t, err, header)
		}
		if key, err := wire.IdempotencyKey(r); err != nil {
			asProblem(t, err, header)
		} else if key == nil || *key != header {
			t.Fatalf("the key %q is read as something else", header)
		}
		if _, err := wire.Object(r, wire.Reading{MediaTypes: []string{"application/json"}}); err != nil {
			asProblem(t, err, header)
		} else if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(header)), "application/json") {
			t.Fatalf("a body of the type %q was read", header)
		}
	})
}
