package invitations_test

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

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/invitations"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// told collects which answers the tests of one run have seen, by operation, status and error type.
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
	s.seen[e.operation+" "+http.StatusText(e.status)+" "+e.errorType] = true
}

// TestDocument tells the stories of testdata, then what is refused alike everywhere, and then holds what was seen
// against the OpenAPI document: no status and no error type is documented that nobody ever gets.
func TestDocument(t *testing.T) {
	t.Parallel()
	all := &told{}
	t.Run("stories", func(t *testing.T) { stories(t, all) })
	t.Run("refusals", func(t *testing.T) { refusals(t, all) })
	t.Run("apiDoc", func(t *testing.T) {
		e := newWorld(t).send(samples["getApiDoc"], false)
		all.note(e)
		file, err := os.ReadFile("openapi.json")
		if err != nil || e.body != string(file) || e.header.Get("Content-Type") != "application/json" {
			t.Errorf("%v: %v", err, e.header)
		}
	})
	if *update || flag.Lookup("test.run").Value.String() != "" {
		return // not all of it was told
	}
	doc, _ := document()
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for code, response := range op.Responses.Map() {
				for _, kind := range errorTypes(response.Value) {
					if !all.seen[op.OperationID+" "+statusText(code)+" "+kind] {
						t.Errorf("%s %s: nobody ever gets %s %s", method, path, code, kind)
					}
				}
			}
		}
	}
}

func statusText(code string) string {
	status, _ := strconv.Atoi(code)
	return http.StatusText(status)
}

var typeLine = regexp.MustCompile("(?m)^- `([A-Za-z]+)`:")

// errorTypes are those that a documented answer lists; one empty for an answer that is no error.
func errorTypes(r *openapi3.Response) []string {
	var out []string
	for _, found := range typeLine.FindAllStringSubmatch(*r.Description, -1) {
		out = append(out, found[1])
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

// stories runs testdata/<operation>/<case>.txtar. A case begins with what it claims, and then has in any order:
// "settings", lines of world.set; "clock", how much time passes; "request", and "wrong request" for one that the
// document does not allow, each followed by the "reply" that -update writes.
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
			w := newWorld(t)
			for _, section := range was.Files {
				if section.Name == "reply" {
					continue
				}
				now.Files = append(now.Files, section)
				content := strings.TrimSpace(string(section.Data))
				switch section.Name {
				case "settings":
					for line := range strings.Lines(content) {
						w.set(strings.TrimSpace(line))
					}
				case "clock":
					d, err := time.ParseDuration(content)
					if err != nil {
						t.Fatal(err)
					}
					w.pass(d)
				case "request", "wrong request":
					e := w.send(content, section.Name == "wrong request")
					if section.Name == "wrong request" && e.status < 400 {
						t.Errorf("a wrong request got %d", e.status)
					}
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

// samples is a request for each operation that succeeds after the one of createSample.
var samples = map[string]string{
	"getApi":             "GET /invitations/ HTTP/1.1\nAPI-Key: demo",
	"getApiDoc":          "GET /invitations/apiDoc HTTP/1.1\nAPI-Key: demo",
	"getInvitations":     "GET /invitations/invitations HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer admin",
	"createInvitation":   createSample,
	"getInvitation":      "GET /invitations/invitations/{inv1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer admin",
	"patchInvitation":    "PATCH /invitations/invitations/{inv1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer john\nContent-Type: application/hal+json\n\n{\"sharedSecret\":\"our second holiday\"}",
	"deleteInvitation":   "DELETE /invitations/invitations/{inv1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer john",
	"revokeInvitation":   "POST /invitations/revoked?invitation={inv1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer john",
	"sendInvitation":     "POST /invitations/sent?invitation={inv1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer john",
	"completeInvitation": "POST /invitations/completed?invitation={inv1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer admin",
	"verifyInvitation":   verifySample,
}

const (
	createSample = "POST /invitations/invitations HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer john\nContent-Type: application/hal+json\n\n" +
		`{"emailAddress":"philippa.doe@example.com","sharedSecret":"our first holiday","type":"joint","accountUri":"/accounts/accounts/a-1001","inviterFullName":"John Doe"}`
	verifySample = "POST /invitations/verifications HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa\nContent-Type: application/hal+json\n\n" +
		`{"invitationId":"{inv1}","sharedSecret":"our first holiday"}`
)

// with adds a header to a request.
func with(request, header string) string {
	line, rest, _ := strings.Cut(request, "\n")
	return line + "\n" + header + "\n" + rest
}

// without takes away a header.
func without(request, name string) string {
	return regexp.MustCompile(`(?m)^`+name+`: .*\n?`).ReplaceAllString(request, "")
}

var bearer = regexp.MustCompile(`Bearer \w+`)

// as changes who asks.
func as(request, token string) string { return bearer.ReplaceAllString(request, "Bearer "+token) }

// refusals are the same for all operations that they apply to. What would have been done is not done.
func refusals(t *testing.T, all *told) {
	every := slices.Sorted(maps.Keys(samples))
	tokens := slices.DeleteFunc(slices.Clone(every), func(op string) bool { return op == "getApi" || op == "getApiDoc" })
	bodies := []string{"createInvitation", "patchInvitation", "verifyInvitation"}
	actions := []string{"revokeInvitation", "sendInvitation", "completeInvitation"}
	guarded := append([]string{"patchInvitation"}, actions...)
	conditional := append([]string{"deleteInvitation"}, guarded...)
	keyed := append([]string{"createInvitation", "verifyInvitation"}, conditional...)
	body := func(text string) func(string) string {
		return func(r string) string {
			head, _, _ := strings.Cut(r, "\n\n")
			return head + "\n\n" + text
		}
	}
	for name, c := range map[string]struct {
		operations []string
		setting    string
		change     func(string) string
		want       string
	}{
		"no API key":         {every, "", func(r string) string { return without(r, "API-Key") }, "401 invalidApiKey"},
		"an unknown API key": {every, "", func(r string) string { return with(without(r, "API-Key"), "API-Key: other") }, "401 invalidApiKey"},
		"keys cannot be read": {every, "", func(r string) string {
			return with(without(without(r, "API-Key"), "Authorization"), "Authorization: Bearer doubtful")
		}, "503 serviceUnavailable"},
		"no token":               {tokens, "", func(r string) string { return without(r, "Authorization") }, "401 unauthorized"},
		"a forged token":         {tokens, "", func(r string) string { return as(r, "forged") }, "401 unauthorized"},
		"an expired token":       {tokens, "", func(r string) string { return as(r, "expired") }, "401 sessionExpired"},
		"an issuer out of reach": {tokens, "", func(r string) string { return as(r, "doubtful") }, "503 serviceUnavailable"},
		"no scope":               {tokens, "", func(r string) string { return as(r, "nothing") }, "403 accessDenied"},
		"another media type":     {every, "", func(r string) string { return with(r, "Accept: text/html") }, "406 notAcceptable"},
		"the database is down":   {tokens, "broken database", func(r string) string { return r }, "503 serviceUnavailable"},
		"a bug":                  {tokens, "broken bug", func(r string) string { return r }, "500 internalError"},
		"a body of another type": {bodies, "", func(r string) string { return with(without(r, "Content-Type"), "Content-Type: text/plain") }, "415 unsupportedMediaType"},
		"a body of no type":      {bodies, "", func(r string) string { return without(r, "Content-Type") }, "415 unsupportedMediaType"},
		"no body":                {bodies, "", body(""), "400 malformedRequestBodyBadRequest"},
		"a body that is null":    {bodies, "", body("null"), "400 malformedRequestBodyBadRequest"},
		"a body that is a list":  {bodies, "", body("[]"), "400 malformedRequestBodyBadRequest"},
		"two bodies":             {bodies, "", body("{}{}"), "400 malformedRequestBodyBadRequest"},
		"a member twice":         {bodies, "", body(`{"sharedSecret":"12345678","sharedSecret":"12345678"}`), "400 malformedRequestBodyBadRequest"},
		"an empty body":          {bodies, "", body("{}"), "400 invalidRequestBody"},
		"a body that is large":   {bodies, "", body(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`), "413 requestBodyTooLarge"},
		"no reference":           {actions, "", func(r string) string { return strings.Replace(r, "?invitation={inv1}", "", 1) }, "400 missingParameter"},
		"an empty reference":     {actions, "", func(r string) string { return strings.Replace(r, "={inv1}", "=", 1) }, "400 missingParameter"},
		"two references":         {actions, "", func(r string) string { return strings.Replace(r, "={inv1}", "={inv1}&invitation=x", 1) }, "400 invalidParameter"},
		"a long reference":       {actions, "", func(r string) string { return strings.Replace(r, "={inv1}", "="+strings.Repeat("x", 513), 1) }, "400 invalidParameter"},
		"an unknown reference":   {actions, "", func(r string) string { return strings.Replace(r, "={inv1}", "=inv_0", 1) }, "422 invalidInvitationId"},
		"an If-Match of no tags": {conditional, "", func(r string) string { return with(r, "If-Match: 1") }, "400 invalidParameter"},
		"a stale If-Match":       {conditional, "", func(r string) string { return with(r, `If-Match: "{inv1}:7"`) }, "412 ifMatchHeaderDoesNotMatch"},
		"a foreign If-Match":     {conditional, "", func(r string) string { return with(r, `If-Match: "other", W/"{inv1}:1"`) }, "412 ifMatchHeaderDoesNotMatch"},
		"no If-Match":            {guarded, "requireIfMatch", func(r string) string { return r }, "428 ifMatchHeaderRequired"},
		"a reused key":           {keyed, "", func(r string) string { return with(r, "Idempotency-Key: taken") }, "422 idempotencyKeyReused"},
		"two keys":               {keyed, "", func(r string) string { return with(r, "Idempotency-Key: a\nIdempotency-Key: b") }, "400 invalidParameter"},
		"a long key":             {keyed, "", func(r string) string { return with(r, "Idempotency-Key: "+strings.Repeat("x", 256)) }, "400 invalidParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.send(createSample, false)
			for _, op := range c.operations {
				request := c.change(samples[op])
				if strings.Contains(request, "Idempotency-Key: taken") {
					caller := bearer.FindString(request)
					w.send(with(bearer.ReplaceAllString(strings.Replace(verifySample, "{inv1}", "inv_0", 1), caller), "Idempotency-Key: taken"), false)
				}
				before := w.send(samples["getInvitation"], false)
				if c.setting != "" {
					w.set(c.setting)
				}
				e := w.send(request, true)
				all.note(e)
				if got := strconv.Itoa(e.status) + " " + e.errorType; got != c.want {
					t.Errorf("%s: want %s, got %s", op, c.want, e.text)
				}
				if e.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s may be stored: %s", op, e.text)
				}
				w.store.err = nil
				if after := w.send(samples["getInvitation"], false); after.body != before.body || after.status != http.StatusOK {
					t.Errorf("%s: something was done: %s", op, after.text)
				}
			}
		})
	}
}

func TestTheDocumentIsValid(t *testing.T) {
	t.Parallel()
	doc, _ := document()
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			documented = append(documented, op.OperationID)
		}
	}
	slices.Sort(documented)
	if samples := slices.Sorted(maps.Keys(samples)); !slices.Equal(documented, samples) {
		t.Errorf("documented %v\ntested %v", documented, samples)
	}
}

// TestDocumentAndRulesAgree sends bodies at the edges of the constraints: what the document's schema allows is created,
// and what it forbids is refused.
func TestDocumentAndRulesAgree(t *testing.T) {
	t.Parallel()
	doc, _ := document()
	schema := doc.Components.Schemas["createInvitation"].Value
	w := newWorld(t)
	long := func(n int) string { return strings.Repeat("ä", n) }
	none := struct{}{}
	for member, values := range map[string]map[bool][]any{
		"sharedSecret":    {true: {long(8), long(100)}, false: {long(7), long(101), "", 12345678, none}},
		"emailAddress":    {true: {"a@b", long(252) + "@b", "a+b@c.d"}, false: {long(253) + "@b", "a", "a@", "@b", "a@b@c", "a b@c", "a@b,c@d", "<a@b>", none}},
		"type":            {false: {"friend", "Joint", "", none}},
		"inviterFullName": {true: {"x", long(128)}, false: {"", long(129), none}},
		"accountUri": {
			true:  {"/accounts/accounts/a-1001", "https://api.devbank.example.com/accounts/accounts/a-1001"},
			false: {"", "a-1001", "/accounts/accounts/", "/accounts/accounts/a-1001/", "/accounts/accounts/a-1001?x=1", "/organizations/organizations/o-2001", 1001, none},
		},
		"organizationUri": {false: {"/organizations/organizations/o-2001"}},
		"role":            {false: {"Accountant"}},
		"firstName":       {true: {"", long(256)}, false: {long(257), 1}},
		"lastName":        {true: {"", long(256)}, false: {long(257), true}},
		"identification":  {true: {"6789", "anything at all", long(500)}, false: {6789}},
		"unknown":         {true: {1}},
		"_id":             {true: {"mine"}},
	} {
		for good, list := range values {
			for _, value := range list {
				_, text, _ := strings.Cut(createSample, "\n\n")
				body := map[string]any{}
				if err := json.Unmarshal([]byte(text), &body); err != nil {
					t.Fatal(err)
				}
				body[member] = value
				if value == none {
					delete(body, member)
				}
				sent, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				var decoded any
				if err := json.Unmarshal(sent, &decoded); err != nil {
					t.Fatal(err)
				}
				if err := schema.VisitJSON(decoded); (err == nil) != good {
					t.Errorf("%s %v: the document says %v", member, value, err)
				}
				e := w.send(strings.Replace(createSample, text, string(sent), 1), true)
				if want := map[bool]int{true: http.StatusCreated, false: http.StatusBadRequest}[good]; e.status != want {
					t.Errorf("%s %v: want %d, got %s", member, value, want, e.text)
				}
			}
		}
	}
}

// TestThePageNamesStoriesThatAreThere reads the tables of decisions: each names the story that pins it.
func TestThePageNamesStoriesThatAreThere(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"conventions", "invitations"} {
		text, err := os.ReadFile("../../docs/dialects/" + page + ".md")
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
				t.Errorf("%s: %v", page, err)
			}
		}
		if named == 0 {
			t.Errorf("%s names no story", page)
		}
	}
}

// TestEveryProblem renders the whole catalogue in this dialect.
func TestEveryProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var out bytes.Buffer
	for _, d := range problem.All() {
		p := problem.New(d)
		p.AvailableAt = begin.Add(90 * time.Second)
		w.options.Service = &domain.Service{Now: w.clock}
		// A token that was refused for this reason is the shortest way to have a problem written.
		r := httptest.NewRequest(http.MethodGet, "/invitations/invitations", http.NoBody)
		r = r.WithContext(domain.WithActor(r.Context(), domain.Actor{APIKey: "demo", Refused: p}))
		recorder := httptest.NewRecorder()
		invitations.New(w.options).ServeHTTP(recorder, r)
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

func TestInternalErrorsAreForTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("broken bug")
	e := w.send(samples["getInvitations"], false)
	var body struct {
		Error struct {
			ID string `json:"_id"`
		} `json:"_error"`
	}
	if err := json.Unmarshal([]byte(e.body), &body); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(e.body, "relation") {
		t.Errorf("the caller sees internals: %s", e.body)
	}
	for _, part := range []string{"error_id=" + body.Error.ID, "relation", "level=ERROR"} {
		if !strings.Contains(w.log.String(), part) {
			t.Errorf("the log lacks %s: %s", part, w.log.String())
		}
	}
}

// TestTheErrorIDIsInTheLog: the log has the _id of every error, whether it is
// the fault of the caller, an outage or a bug.
func TestTheErrorIDIsInTheLog(t *testing.T) {
	t.Parallel()
	request := samples["getInvitations"]
	for _, c := range []struct{ setting, request, level string }{
		{"", without(request, "API-Key"), "INFO"},
		{"", without(request, "Authorization"), "INFO"},
		{"", strings.Replace(request, " HTTP/1.1", "/nothing HTTP/1.1", 1), "INFO"},
		{"", with(request, "Accept: text/html"), "INFO"},
		{"broken database", request, "WARN"},
		{"broken bug", request, "ERROR"},
	} {
		w := newWorld(t)
		if c.setting != "" {
			w.set(c.setting)
		}
		e := w.send(c.request, true)
		var body struct {
			Error struct {
				ID string `json:"_id"`
			} `json:"_error"`
		}
		if err := json.Unmarshal([]byte(e.body), &body); err != nil || body.Error.ID == "" {
			t.Fatalf("%v: %s", err, e.text)
		}
		for _, part := range []string{"error_id=" + body.Error.ID, "api=invitations", "level=" + c.level} {
			if !strings.Contains(w.log.String(), part) {
				t.Errorf("%d: the log lacks %s: %s", e.status, part, w.log.String())
			}
		}
	}
}
