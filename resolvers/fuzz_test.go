package resolvers

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

// FuzzRequest: the response to any request, GET or POST, is JSON of the protocol, never an incident, and contains no
// part of an unreadable body. The caller is anonymous, so no rule needs a database.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"query":"{ version { version } }"}`, `{"query":"query($id: ID!) { node(id: $id) { id } }","variables":{"id":"inv_1"}}`, `{"query":"{ a: version { version } b: lifecycle(of: QUIZ) { name } }"}`,
		`{"query":"mutation { verifyEmail(input: {token: \"\"}) { problems { code } } }"}`, `{"query":"{"}`, `{"query":5}`, `[{"query":"{ version { version } }"}]`, `{"query":"{ __schema { types { name } } }"}`,
		`{"query":"fragment A on Query { ...A } { ...A }"}`, `{"query":"query @skip(if: true) { version { version } }"}`, `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}`,
		`{"query":"{ version { version } }","operationName":"X"}`, "\xff", `{"query":"{ version { version } }"} x`, `{"query":"\"\"\"block\"\"\" { version { version } }"}`,
		`{"query":"{ invitations(where: {state: {eq: SENT}}, first: 99999999999) { nodes { id } } }"}`,
	} {
		f.Add(seed)
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	handler := New(Options{
		Service: &domain.Service{Now: func() time.Time { return at }}, Log: slog.New(slog.NewTextHandler(&log, nil)), Version: "v", Commit: "c", Go: "g",
	})
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Contains(body, "verifyEmail") || strings.Contains(body, "invitationPreview") {
			return // these two need no token, and would access the missing database
		}
		log.Reset()
		var in struct {
			Query string `json:"query"`
		}
		_ = json.Unmarshal([]byte(body), &in)
		post := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		post.Header.Set("Content-Type", "application/json")
		for _, r := range []*http.Request{post, httptest.NewRequest(http.MethodGet, "/graphql?query="+url.QueryEscape(in.Query), nil)} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			var answer struct {
				Data   any
				Errors []struct {
					Message    string
					Extensions struct{ Code string }
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatalf("%q is answered with %q", body, w.Body)
			}
			if w.Code >= 500 || strings.Contains(log.String(), "panic") {
				t.Fatalf("%q is answered with %d %s\n%s", body, w.Code, w.Body, log.String())
			}
			if len(answer.Errors) > 5 {
				t.Fatalf("%d errors", len(answer.Errors))
			}
			for _, e := range answer.Errors {
				switch e.Extensions.Code {
				case codeUnauthenticated, codeForbidden, codeBadDocument, codeTooComplex, "PERSISTED_QUERY_NOT_FOUND":
				default:
					t.Fatalf("%q is answered with the code %q: %s", body, e.Extensions.Code, w.Body)
				}
				if len(body) > 64 && strings.Contains(e.Message, body) {
					t.Fatalf("the answer repeats the body: %q", e.Message)
				}
			}
		}
	})
}
