package clientsessions_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/tools/txtar"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// told collects which answers the tests of one run have seen, by operation, status and code.
type told struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *told) note(e exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[e.operation+" "+strconv.Itoa(e.status)+" "+e.code] = true
}

// TestContract tells the stories of testdata, then what is refused alike everywhere, and then holds what was seen
// against the OpenAPI document: no status and no code is documented that nobody ever gets, and the other way round.
func TestContract(t *testing.T) {
	t.Parallel()
	all := &told{}
	t.Run("stories", func(t *testing.T) { stories(t, all) })
	t.Run("refusals", func(t *testing.T) { refusals(t, all) })
	t.Run("openapi", func(t *testing.T) {
		e := newWorld(t, testkit.SQLite(t)).send(without(samples["getOpenAPI"], "Cookie"), false)
		all.note(e)
		file, err := os.ReadFile("openapi.json")
		if err != nil || e.body != string(file) {
			t.Errorf("%v: %v", err, e.header)
		}
	})
	if *update || flag.Lookup("test.run").Value.String() != "" {
		return // not all of it was told
	}
	doc, _ := apiDocument()
	documented := map[string]bool{}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status, response := range op.Responses.Map() {
				for _, code := range codes(response.Value) {
					documented[op.OperationID+" "+status+" "+code] = true
				}
			}
		}
	}
	for _, one := range slices.Sorted(maps.Keys(documented)) {
		if !all.seen[one] {
			t.Errorf("nobody ever gets %s", one)
		}
	}
	for _, one := range slices.Sorted(maps.Keys(all.seen)) {
		if !documented[one] && !strings.HasPrefix(one, " ") {
			t.Errorf("%s is not documented", one)
		}
	}
}

var codeLine = regexp.MustCompile("(?m)^- `([a-z_]+)`:")

// codes are those that a documented answer lists; one empty for an answer that is no error.
func codes(r *openapi3.Response) []string {
	var out []string
	for _, found := range codeLine.FindAllStringSubmatch(*r.Description, -1) {
		out = append(out, found[1])
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// stories runs testdata/<operation>/<case>.txtar. A case begins with what it claims, and then has in any order: "do",
// lines of world.do; "request", and "wrong request" for one that the document does not allow, each followed by the
// "reply" that -update writes.
func stories(t *testing.T, all *told) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			was := txtar.Parse(text)
			now := &txtar.Archive{Comment: was.Comment}
			w := newWorld(t, testkit.SQLite(t))
			for _, section := range was.Files {
				if section.Name == "reply" {
					continue
				}
				now.Files = append(now.Files, section)
				content := strings.TrimSpace(string(section.Data))
				switch section.Name {
				case "do":
					for line := range strings.Lines(content) {
						w.do(strings.TrimSpace(line))
					}
				case "request", "wrong request":
					e := w.send(content, section.Name == "wrong request")
					all.note(e)
					now.Files = append(now.Files, txtar.File{Name: "reply", Data: []byte(e.text)})
				default:
					t.Fatalf("no such section: %q", section.Name)
				}
			}
			got := txtar.Format(now)
			switch {
			case *update:
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			case !bytes.Equal(got, text):
				t.Errorf("the answers differ (-update rewrites them):\n%s", difference(string(text), string(got)))
			}
		})
	}
}

// difference shows the lines from the first one that differs.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	part := func(lines []string) string { return strings.Join(lines[n:min(n+12, len(lines))], "\n") }
	return "want:\n" + part(a) + "\n\ngot:\n" + part(b)
}

// samples is a request of a browser for each operation. It succeeds after a login of alice on the laptop, where there
// is a template and the server is one for development.
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

// with adds a header to a request.
func with(request, header string) string {
	line, rest, _ := strings.Cut(request, "\n")
	return line + "\n" + header + "\n" + rest
}

// without takes away a header.
func without(request, name string) string {
	return regexp.MustCompile(`(?m)^`+name+`: .*\n?`).ReplaceAllString(request, "")
}

// query adds a parameter.
func query(request, parameter string) string {
	line, rest, _ := strings.Cut(request, " HTTP/1.1\n")
	sign := "?"
	if strings.Contains(line, "?") {
		sign = "&"
	}
	return line + sign + parameter + " HTTP/1.1\n" + rest
}

// native makes a request of a browser one of a native application.
func native(request, authorization string) string {
	return query(with(without(without(request, "Cookie"), "Origin"), "Authorization: "+authorization), "_is_native=1")
}

// refusals are the same for all operations that they apply to. What would have been done is not done.
func refusals(t *testing.T, all *told) {
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
	same := func(r string) string { return r }
	body := func(text string) func(string) string {
		return func(r string) string {
			head, _, _ := strings.Cut(r, "\n\n")
			return head + "\n\n" + text
		}
	}
	for name, c := range map[string]struct {
		operations []string
		do         string
		change     func(string) string
		want       string
	}{
		"both headers":           {every, "", func(r string) string { return with(r, "Authorization: {laptop}") }, "400 origin_authorization_headers_conflict"},
		"both headers, native":   {every, "", func(r string) string { return query(with(r, "Authorization:"), "_is_native=true") }, "400 origin_authorization_headers_conflict"},
		"native without header":  {every, "", func(r string) string { return query(without(r, "Origin"), "_is_native=1") }, "400 request_header_missing"},
		"two origins":            {every, "", func(r string) string { return with(r, "Origin: "+origin) }, "400 multiple_origin_header_values_forbidden"},
		"two origins in one":     {every, "", func(r string) string { return with(without(r, "Origin"), "Origin: "+origin+", https://x.test") }, "400 multiple_origin_header_values_forbidden"},
		"two authorizations":     {every, "", func(r string) string { return with(native(r, "{laptop}"), "Authorization: {laptop}") }, "400 multiple_authorization_header_values_forbidden"},
		"a foreign origin":       {every, "", func(r string) string { return with(without(r, "Origin"), "Origin: https://evil.test") }, "400 origin_invalid"},
		"an opaque origin":       {every, "", func(r string) string { return with(without(r, "Origin"), "Origin: null") }, "400 origin_invalid"},
		"a longer origin":        {every, "", func(r string) string { return with(without(r, "Origin"), "Origin: "+origin+".evil.test") }, "400 origin_invalid"},
		"a cookie and no origin": {every, "", func(r string) string { return without(r, "Origin") }, "400 request_header_missing"},
		"no version":             {every, "", func(r string) string { return query(r, "__clerk_api_version=2023-01-01") }, "400 api_version_invalid"},
		"no date":                {every, "", func(r string) string { return with(r, "Clerk-API-Version: 9999-99-99") }, "400 api_version_invalid"},
		"an empty version":       {every, "", func(r string) string { return query(r, "__clerk_api_version=") }, "400 api_version_invalid"},
		"two versions": {every, "", func(r string) string {
			return with(query(r, "__clerk_api_version=2021-02-05"), "Clerk-API-Version: 2021-02-05")
		}, "400 api_version_invalid"},
		"a query of no form": {every, "", func(r string) string { return query(r, "x=%zz") }, "400 malformed_request_parameters"},

		"no cookie":               {signedIn, "", func(r string) string { return without(r, "Cookie") }, "401 signed_out"},
		"an empty cookie":         {signedIn, "", func(r string) string { return with(without(r, "Cookie"), "Cookie: __client=") }, "401 signed_out"},
		"nothing at all":          {signedIn, "", func(r string) string { return without(without(r, "Cookie"), "Origin") }, "401 signed_out"},
		"no flag":                 {signedIn, "", func(r string) string { return with(without(without(r, "Cookie"), "Origin"), "Authorization: {laptop}") }, "401 signed_out"},
		"an empty authorization":  {signedIn, "", func(r string) string { return native(r, "") }, "401 signed_out"},
		"an empty bearer":         {signedIn, "", func(r string) string { return native(r, "Bearer ") }, "401 signed_out"},
		"a forged cookie":         {clients, "", func(r string) string { return strings.ReplaceAll(r, "{laptop}", "client.e30.sig") }, "401 authentication_invalid"},
		"a client that is not":    {clients, "", func(r string) string { return strings.ReplaceAll(r, "{laptop}", "{nobody}") }, "401 authentication_invalid"},
		"a session token":         {clients, "", func(r string) string { return native(r, "{session token}") }, "401 authentication_invalid"},
		"another scheme":          {clients, "", func(r string) string { return native(r, "Basic {laptop}") }, "401 authorization_header_format_invalid"},
		"three words":             {clients, "", func(r string) string { return native(r, "Bearer {laptop} x") }, "401 authorization_header_format_invalid"},
		"a dev browser not known": {clients, "", func(r string) string { return query(r, "__clerk_db_jwt=dvb_x") }, "401 dev_browser_unauthenticated"},
		"an old dev browser":      {clients, "", func(r string) string { return query(r, "__dev_session=dvb_x") }, "401 dev_browser_unauthenticated"},

		"the database is down": {stored, "broken database", same, "503 service_unavailable"},
		"a bug":                {stored, "broken bug", same, "500 internal_clerk_error"},
		"too many clients":     {starts, "busy", func(r string) string { return without(r, "Cookie") }, "429 too_many_requests"},

		"JSON": {bodies, "", func(r string) string {
			return strings.Replace(r, "application/x-www-form-urlencoded", "application/json", 1)
		}, "415 unsupported_content_type"},
		"another charset":    {bodies, "", func(r string) string { return strings.Replace(r, "urlencoded", "urlencoded; charset=latin1", 1) }, "415 unsupported_content_type"},
		"a body of no type":  {bodies, "", func(r string) string { return body("x=y")(without(r, "Content-Type")) }, "415 unsupported_content_type"},
		"an encoded body":    {bodies, "", func(r string) string { return with(r, "Content-Encoding: gzip") }, "415 unsupported_content_type"},
		"a body of no form":  {bodies, "", body("x=%zz"), "400 request_body_invalid"},
		"a body of no UTF-8": {bodies, "", body("x=%ff"), "400 request_body_invalid"},
		"a large body":       {bodies, "", body("x=" + strings.Repeat("y", 64<<10)), "413 request_body_too_large"},
		"unknown parameters": {bodies, "", body("password=x"), "422 form_param_unknown"},
		"a parameter twice": {forms, "", func(r string) string {
			if strings.Contains(r, "/touch") {
				return body("intent=&intent=")(r)
			}
			return body("tab_state=x&tab_state=x")(r)
		}, "422 form_param_duplicate"},
		"a key used elsewhere": {keyed, "use k1", func(r string) string { return with(r, "Idempotency-Key: k1") }, "422 idempotency_key_reused"},
		"an unknown session":   {sessions, "", func(r string) string { return strings.ReplaceAll(r, "{sess1}", "sess_0") }, "404 resource_not_found"},
		"no session at all":    {sessions, "", func(r string) string { return strings.ReplaceAll(r, "{sess1}", "x") }, "404 resource_not_found"},
		"a session of others":  {sessions, "login bob phone", func(r string) string { return strings.ReplaceAll(r, "{sess1}", "{sess2}") }, "404 resource_not_found"},
		"a long id":            {sessions, "", func(r string) string { return strings.ReplaceAll(r, "{sess1}", "sess_"+strings.Repeat("x", 200)) }, "404 resource_not_found"},

		"a key of two characters that cannot be printed": {bodies, "", func(r string) string { return with(r, "Idempotency-Key: \u00ad\u00ad") }, "400 malformed_request_parameters"},
		"an unknown method": {only(func(op string) bool { return strings.HasPrefix(samples[op], "POST") }), "", func(r string) string {
			return query(r, "_method=GET")
		}, "400 malformed_request_parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, testkit.SQLite(t))
			for _, line := range []string{"development", "login alice laptop", `template bank {"who":"{{user.username}}"}`} {
				w.do(line)
			}
			before := w.state()
			if c.do != "" {
				w.do(c.do)
			}
			if w.store.err == nil {
				before = w.state()
			}
			for _, op := range c.operations {
				e := w.send(c.change(samples[op]), true)
				all.note(e)
				if got := strconv.Itoa(e.status) + " " + e.code; !strings.HasPrefix(got, c.want) || e.status < 400 {
					t.Errorf("%s: got %s, want %s", op, got, c.want)
				}
				if e.header.Get("Content-Type") != "application/json" || e.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: headers: %v", op, e.header)
				}
				if c.want == "400 origin_invalid" && e.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("%s: a page may read it: %v", op, e.header)
				}
			}
			if strings.Contains(w.log.String(), credential("laptop")) {
				t.Error("the log holds a token")
			}
			w.store.err = nil
			if after := w.state(); after != before {
				t.Errorf("something was done: %s, then %s", before, after)
			}
		})
	}
}

// state is what a refusal must leave as it was.
func (w *world) state() string {
	w.t.Helper()
	client, sessions, err := w.kit.ClientSessions(w.t.Context(), "laptop")
	if err != nil {
		w.t.Fatal(err)
	}
	text, _ := json.Marshal(map[string]any{"client": client, "sessions": sessions})
	return string(text)
}

// TestEveryProblem renders the whole catalogue in this dialect.
func TestEveryProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	var out bytes.Buffer
	for _, d := range problem.All() {
		p := problem.New(d)
		p.AvailableAt = testkit.Epoch.Add(90 * time.Second)
		w.store.err = p
		// A client that cannot be read for this reason is the shortest way to have a problem written.
		r := httptest.NewRequest(http.MethodDelete, "/v1/client?_is_native=1", http.NoBody)
		r.Header.Set("Authorization", credential("laptop"))
		recorder := httptest.NewRecorder()
		w.handler.ServeHTTP(recorder, r)
		e := exchange{status: recorder.Code, header: recorder.Header(), body: recorder.Body.String()}
		out.WriteString("-- " + d.Code + " --\n" + w.normal(e.String()))
	}
	const file = "testdata/problems.golden"
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Errorf("the problems differ (-update rewrites them):\n%s", difference(string(want), out.String()))
	}
}

// TestTheTraceIsThatOfTheLog: whoever reads the caller's trace id finds the line, and the caller finds no internals.
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
		w.handler.ServeHTTP(recorder, r)
		var body struct {
			TraceID string `json:"clerk_trace_id"`
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil || want != "" && body.TraceID != want {
			t.Errorf("%s: %v %s", id, err, body.TraceID)
		}
		for _, part := range []string{"trace_id=" + body.TraceID, "relation", "level=ERROR"} {
			if !strings.Contains(w.log.String(), part) {
				t.Errorf("the log lacks %s: %s", part, w.log.String())
			}
		}
		if strings.Contains(recorder.Body.String(), "relation") {
			t.Errorf("the caller sees internals: %s", recorder.Body)
		}
	}
}

// TestPreflight: pages of allowed origins may send what makes a browser ask first, others may not.
func TestPreflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	ask := func(from string) exchange {
		return w.send("OPTIONS /v1/client HTTP/1.1\nOrigin: "+from+"\nAccess-Control-Request-Method: DELETE", true)
	}
	e := ask(origin)
	if e.status != http.StatusNoContent || e.header.Get("Access-Control-Allow-Origin") != origin ||
		e.header.Get("Access-Control-Allow-Credentials") != "true" || e.header.Get("Vary") != "Origin" {
		t.Errorf("%d %v", e.status, e.header)
	}
	if e := ask("https://evil.test"); e.status != http.StatusBadRequest || e.code != "origin_invalid" || e.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", e.status, e.header)
	}
}

// TestThePageNamesStoriesThatAreThere reads the table of decisions: each names the story that pins it.
func TestThePageNamesStoriesThatAreThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/dialects/client-sessions.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, found := range regexp.MustCompile("`([A-Za-z]+)/([a-z-]+)`").FindAllStringSubmatch(string(text), -1) {
		if _, operation := samples[found[1]]; !operation {
			continue
		}
		named++
		if _, err := os.Stat("testdata/" + found[1] + "/" + found[2] + ".txtar"); err != nil {
			t.Error(err)
		}
	}
	if named == 0 {
		t.Error("the page names no story")
	}
}

// TestAClientListsItsNewestSessions: what is over stays listed, but not for ever; taking all off leaves none behind.
func TestAClientListsItsNewestSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	for range 102 {
		w.do("login alice laptop")
	}
	ids := w.seen["sess"]
	e := w.send(samples["getClient"], false)
	if strings.Contains(e.body, ids[1]) || !strings.Contains(e.body, ids[2]) || strings.Index(e.body, ids[2]) > strings.LastIndex(e.body, ids[101]) {
		t.Error("the newest 100 are listed, in the order of their creation")
	}
	w.send(samples["removeSessions"], false)
	for _, id := range []string{ids[0], ids[101]} {
		if e := w.send(strings.ReplaceAll(samples["getSession"], "{sess1}", id), false); e.status != http.StatusNotFound {
			t.Errorf("%s is still there: %d", id, e.status)
		}
	}
}
