package clientsessions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/resttest"
	"github.com/gatehouse/gatehouse/testkit"
)

func suite() resttest.Suite {
	return resttest.Suite{
		Document: document, APIDoc: "getOpenAPI", Samples: samples, Refusals: refusals(), Strict: true,
		New: func(t testing.TB) *resttest.World { return newWorld(t, testkit.SQLite(t)).World },
		Prepare: func(w *resttest.World) {
			for _, line := range []string{"development", "login alice laptop", `template bank {"who":"{{user.username}}"}`} {
				w.Setup(line)
			}
		},
	}
}

// TestContract compares the dialect with its contract.
func TestContract(t *testing.T) { suite().TestDocument(t) }

func TestTheDocumentIsValid(t *testing.T) { suite().TestTheDocumentIsValid(t) }

func TestThePageNamesCasesThatExist(t *testing.T) {
	suite().TestThePageNamesCasesThatExist(t, "client-sessions")
}

func TestEveryProblem(t *testing.T) {
	suite().TestEveryProblem(t, func(w *resttest.World, p *problem.Problem) resttest.Exchange {
		// A failed lookup of the client with this problem is the shortest way to an error response.
		w.Store.Fail(p)
		r := httptest.NewRequest(http.MethodDelete, "/v1/client?_is_native=1", http.NoBody)
		r.Header.Set("Authorization", credential("laptop"))
		return w.Serve(r)
	})
}

// samples are browser requests for each operation. They succeed after a login of alice on the laptop, with a template
// and on a development server.
var samples = map[string]string{
	"getSession":          browser("GET /v1/client/sessions/{sess1}"),
	"touchSession":        browser("POST /v1/client/sessions/{sess1}/touch", "active_organization_id=org-acme&intent=focus"),
	"endSession":          browser("POST /v1/client/sessions/{sess1}/end", ""),
	"removeSession":       browser("POST /v1/client/sessions/{sess1}/remove", ""),
	"createSessionToken":  browser("POST /v1/client/sessions/{sess1}/tokens", "organization_id="),
	"createTemplateToken": browser("POST /v1/client/sessions/{sess1}/tokens/bank", ""),
	"getClient":           browser("GET /v1/client"),
	"putClient":           browser("PUT /v1/client", ""),
	"postClient":          browser("POST /v1/client", ""),
	"endClient":           browser("POST /v1/client?_method=DELETE", ""),
	"removeSessions":      browser("DELETE /v1/client/sessions", ""),
	"getMySessions":       browser("GET /v1/me/sessions/active?_clerk_session_id={sess1}"),
	"revokeMySession":     browser("POST /v1/me/sessions/{sess1}/revoke", ""),
	"getEnvironment":      browser("GET /v1/environment"),
	"patchEnvironment":    browser("POST /v1/environment?_method=PATCH", ""),
	"createDevBrowser":    browser("POST /v1/dev_browser", ""),
	"getOpenAPI":          browser("GET /v1/openapi.json"),
}

func browser(line string, body ...string) string {
	request := line + " HTTP/1.1\nCookie: __client={laptop}\nOrigin: " + origin
	if len(body) > 0 {
		request += "\nContent-Type: application/x-www-form-urlencoded\n\n" + body[0]
	}
	return request
}

// native converts a browser request into one of a native application.
func native(request, authorization string) string {
	return resttest.Query(resttest.With(resttest.Without(resttest.Without(request, "Cookie"), "Origin"), "Authorization: "+authorization), "_is_native=1")
}

func refusals() map[string]resttest.Refusal {
	every := slices.Sorted(maps.Keys(samples))
	only := func(keep func(op string) bool) []string {
		return slices.DeleteFunc(slices.Clone(every), func(op string) bool { return !keep(op) })
	}
	open := []string{"getEnvironment", "patchEnvironment", "createDevBrowser", "getOpenAPI"}
	starts := []string{"putClient", "postClient", "createDevBrowser"}
	clients := only(func(op string) bool { return !slices.Contains(open, op) && !slices.Contains(starts, op) })
	signedIn := only(func(op string) bool { return slices.Contains(clients, op) && op != "getClient" })
	stored := only(func(op string) bool { return slices.Contains(clients, op) || slices.Contains(starts, op) })
	bodies := only(func(op string) bool { return !strings.HasPrefix(op, "get") })
	sessions := only(func(op string) bool { return strings.Contains(samples[op], "{sess1}") })
	forms := []string{"touchSession", "createSessionToken", "createTemplateToken"}
	keyed := append([]string{"endSession", "removeSession", "revokeMySession"}, forms...)
	body := func(text string) func(string) string {
		return func(r string) string { return resttest.Body(r, text) }
	}
	refused := resttest.Refused
	return map[string]resttest.Refusal{
		"both headers":          refused(every, "", func(r string) string { return resttest.With(r, "Authorization: {laptop}") }, "400 origin_authorization_headers_conflict"),
		"both headers, native":  refused(every, "", func(r string) string { return resttest.Query(resttest.With(r, "Authorization:"), "_is_native=true") }, "400 origin_authorization_headers_conflict"),
		"native without header": refused(every, "", func(r string) string { return resttest.Query(resttest.Without(r, "Origin"), "_is_native=1") }, "400 request_header_missing"),
		"two origins":           refused(every, "", func(r string) string { return resttest.With(r, "Origin: "+origin) }, "400 multiple_origin_header_values_forbidden"),
		"two origins in one": refused(every, "", func(r string) string {
			return resttest.With(resttest.Without(r, "Origin"), "Origin: "+origin+", https://x.test")
		}, "400 multiple_origin_header_values_forbidden"),
		"two authorizations": refused(every, "", func(r string) string { return resttest.With(native(r, "{laptop}"), "Authorization: {laptop}") }, "400 multiple_authorization_header_values_forbidden"),
		"a foreign origin": refused(every, "", func(r string) string {
			return resttest.With(resttest.Without(r, "Origin"), "Origin: https://evil.test")
		}, "400 origin_invalid"),
		"an opaque origin": refused(every, "", func(r string) string { return resttest.With(resttest.Without(r, "Origin"), "Origin: null") }, "400 origin_invalid"),
		"a longer origin": refused(every, "", func(r string) string {
			return resttest.With(resttest.Without(r, "Origin"), "Origin: "+origin+".evil.test")
		}, "400 origin_invalid"),
		"a cookie and no origin": refused(every, "", func(r string) string { return resttest.Without(r, "Origin") }, "400 request_header_missing"),
		"no version":             refused(every, "", func(r string) string { return resttest.Query(r, "__clerk_api_version=2023-01-01") }, "400 api_version_invalid"),
		"no date":                refused(every, "", func(r string) string { return resttest.With(r, "Clerk-API-Version: 9999-99-99") }, "400 api_version_invalid"),
		"an empty version":       refused(every, "", func(r string) string { return resttest.Query(r, "__clerk_api_version=") }, "400 api_version_invalid"),
		"two versions": refused(every, "", func(r string) string {
			return resttest.With(resttest.Query(r, "__clerk_api_version=2021-02-05"), "Clerk-API-Version: 2021-02-05")
		}, "400 api_version_invalid"),
		"a query of no form": refused(every, "", func(r string) string { return resttest.Query(r, "x=%zz") }, "400 malformed_request_parameters"),

		"no cookie":       refused(signedIn, "", func(r string) string { return resttest.Without(r, "Cookie") }, "401 signed_out"),
		"an empty cookie": refused(signedIn, "", func(r string) string { return resttest.With(resttest.Without(r, "Cookie"), "Cookie: __client=") }, "401 signed_out"),
		"nothing at all":  refused(signedIn, "", func(r string) string { return resttest.Without(resttest.Without(r, "Cookie"), "Origin") }, "401 signed_out"),
		"no flag": refused(signedIn, "", func(r string) string {
			return resttest.With(resttest.Without(resttest.Without(r, "Cookie"), "Origin"), "Authorization: {laptop}")
		}, "401 signed_out"),
		"an empty authorization":  refused(signedIn, "", func(r string) string { return native(r, "") }, "401 signed_out"),
		"an empty bearer":         refused(signedIn, "", func(r string) string { return native(r, "Bearer ") }, "401 signed_out"),
		"a forged cookie":         refused(clients, "", func(r string) string { return strings.ReplaceAll(r, "{laptop}", "client.e30.sig") }, "401 authentication_invalid"),
		"a client that is not":    refused(clients, "", func(r string) string { return strings.ReplaceAll(r, "{laptop}", "{nobody}") }, "401 authentication_invalid"),
		"a session token":         refused(clients, "", func(r string) string { return native(r, "{session token}") }, "401 authentication_invalid"),
		"another scheme":          refused(clients, "", func(r string) string { return native(r, "Basic {laptop}") }, "401 authorization_header_format_invalid"),
		"three words":             refused(clients, "", func(r string) string { return native(r, "Bearer {laptop} x") }, "401 authorization_header_format_invalid"),
		"a dev browser not known": refused(clients, "", func(r string) string { return resttest.Query(r, "__clerk_db_jwt=dvb_x") }, "401 dev_browser_unauthenticated"),
		"an old dev browser":      refused(clients, "", func(r string) string { return resttest.Query(r, "__dev_session=dvb_x") }, "401 dev_browser_unauthenticated"),

		"the database is down": refused(stored, "broken database", resttest.Same, "503 service_unavailable"),
		"a bug":                refused(stored, "broken bug", resttest.Same, "500 internal_clerk_error"),
		"too many clients":     refused(starts, "busy", func(r string) string { return resttest.Without(r, "Cookie") }, "429 too_many_requests"),

		"JSON": refused(bodies, "", func(r string) string {
			return strings.Replace(r, "application/x-www-form-urlencoded", "application/json", 1)
		}, "415 unsupported_content_type"),
		"another charset":    refused(bodies, "", func(r string) string { return strings.Replace(r, "urlencoded", "urlencoded; charset=latin1", 1) }, "415 unsupported_content_type"),
		"a body of no type":  refused(bodies, "", func(r string) string { return body("x=y")(resttest.Without(r, "Content-Type")) }, "415 unsupported_content_type"),
		"an encoded body":    refused(bodies, "", func(r string) string { return resttest.With(r, "Content-Encoding: gzip") }, "415 unsupported_content_type"),
		"a body of no form":  refused(bodies, "", body("x=%zz"), "400 request_body_invalid"),
		"a body of no UTF-8": refused(bodies, "", body("x=%ff"), "400 request_body_invalid"),
		"a large body":       refused(bodies, "", body("x="+strings.Repeat("y", 64<<10)), "413 request_body_too_large"),
		"unknown parameters": refused(bodies, "", body("password=x"), "422 form_param_unknown"),
		"a parameter twice": refused(forms, "", func(r string) string {
			if strings.Contains(r, "/touch") {
				return body("intent=&intent=")(r)
			}
			return body("tab_state=x&tab_state=x")(r)
		}, "422 form_param_duplicate"),
		"a key used elsewhere": refused(keyed, "use k1", func(r string) string { return resttest.With(r, "Idempotency-Key: k1") }, "422 idempotency_key_reused"),
		"an unknown session":   refused(sessions, "", func(r string) string { return strings.ReplaceAll(r, "{sess1}", "sess_0") }, "404 resource_not_found"),
		"no session at all":    refused(sessions, "", func(r string) string { return strings.ReplaceAll(r, "{sess1}", "x") }, "404 resource_not_found"),
		"a session of others":  refused(sessions, "login bob phone", func(r string) string { return strings.ReplaceAll(r, "{sess1}", "{sess2}") }, "404 resource_not_found"),
		"a long id":            refused(sessions, "", func(r string) string { return strings.ReplaceAll(r, "{sess1}", "sess_"+strings.Repeat("x", 200)) }, "404 resource_not_found"),

		"a key of two characters that cannot be printed": refused(bodies, "", func(r string) string { return resttest.With(r, "Idempotency-Key: \u00ad\u00ad") }, "400 malformed_request_parameters"),
		"an unknown method": refused(only(func(op string) bool { return strings.HasPrefix(samples[op], "POST") }), "", func(r string) string {
			return resttest.Query(r, "_method=GET")
		}, "400 malformed_request_parameters"),
	}
}

// TestTheTraceIsThatOfTheLog: the trace id of the response is in the log line, and the response has no internals.
func TestTheTraceIsThatOfTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	w.do("broken bug")
	for id, want := range map[string]string{
		"0123456789abcdef0123456789abcdef": "0123456789abcdef0123456789abcdef",
		"check-7":                          "",
	} {
		recorder := httptest.NewRecorder()
		recorder.Header().Set("X-Request-Id", id)
		r := httptest.NewRequest(http.MethodGet, "/v1/client?_is_native=1", http.NoBody)
		r.Header.Set("Authorization", credential("laptop"))
		w.Handler().ServeHTTP(recorder, r)
		var body struct {
			TraceID string `json:"clerk_trace_id"`
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil || want != "" && body.TraceID != want {
			t.Errorf("%s: %v %s", id, err, body.TraceID)
		}
		for _, part := range []string{"trace_id=" + body.TraceID, "relation", "level=ERROR"} {
			if !strings.Contains(w.Log(), part) {
				t.Errorf("the log lacks %s: %s", part, w.Log())
			}
		}
		if strings.Contains(recorder.Body.String(), "relation") {
			t.Errorf("the caller sees internals: %s", recorder.Body)
		}
	}
}

// TestPreflight: pages of allowed origins may send requests that need a preflight, others may not.
func TestPreflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	ask := func(from string) resttest.Exchange {
		return w.Send("OPTIONS /v1/client HTTP/1.1\nOrigin: "+from+"\nAccess-Control-Request-Method: DELETE", true)
	}
	e := ask(origin)
	if e.Status != http.StatusNoContent || e.Header.Get("Access-Control-Allow-Origin") != origin ||
		e.Header.Get("Access-Control-Allow-Credentials") != "true" || e.Header.Get("Vary") != "Origin" {
		t.Errorf("%d %v", e.Status, e.Header)
	}
	if e := ask("https://evil.test"); e.Status != http.StatusBadRequest || e.Type != "origin_invalid" || e.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", e.Status, e.Header)
	}
}

// TestAClientListsItsNewestSessions: all live sessions are listed, and the ten newest of those that have ended, in the order
// of their creation; removing all sessions leaves none.
func TestAClientListsItsNewestSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	const sessions, dead = 15, 13
	for range sessions {
		w.do("login alice laptop")
	}
	ids := w.seen["sess"]
	for n := range dead {
		w.do(fmt.Sprintf("end {sess%d}", n+2))
	}
	e := w.Send(samples["getClient"], false)
	last := -1
	for n, id := range ids {
		at := strings.Index(e.Body, id)
		if hidden := n >= 1 && n <= dead-10; hidden != (at < 0) {
			t.Errorf("session %d is listed: %t", n+1, at >= 0)
		}
		if at >= 0 && at < last {
			t.Errorf("session %d is not in the order of creation", n+1)
		}
		last = max(last, at)
	}
	w.Send(samples["removeSessions"], false)
	for _, id := range []string{ids[0], ids[1], ids[sessions-1]} {
		if e := w.Send(strings.ReplaceAll(samples["getSession"], "{sess1}", id), false); e.Status != http.StatusNotFound {
			t.Errorf("%s is still there: %d", id, e.Status)
		}
	}
}
