package identity_test

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
	"github.com/gatehouse/gatehouse/rest/identity"
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

// samples is a request for each operation that succeeds after those of prepare.
var samples = map[string]string{
	"getApi":                 "GET /identity/ HTTP/1.1\nAPI-Key: demo",
	"getApiDoc":              "GET /identity/apiDoc HTTP/1.1\nAPI-Key: demo",
	"getFraudRiskReports":    "GET /identity/fraudRiskReports HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer admin",
	"createFraudRiskReport":  "POST /identity/fraudRiskReports HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa\nContent-Type: application/hal+json\n\n" + linkBody,
	"getFraudRiskReport":     "GET /identity/fraudRiskReports/{frr1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa",
	"getQuizzes":             "GET /identity/quizzes HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer admin",
	"createQuiz":             "POST /identity/quizzes HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa\nContent-Type: application/hal+json\n\n" + linkBody,
	"getQuiz":                "GET /identity/quizzes/{quiz1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa",
	"createQuizQuestions":    "POST /identity/quizzes/{quiz1}/questions HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa",
	"scoreQuiz":              "POST /identity/quizzes/{quiz2}/answers HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa\nContent-Type: application/hal+json\n\n" + rightBody,
	"getContactVerification": "GET /identity/contactVerification?contactUri=/contacts/contacts/c-philippa HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa",
	"createApproval":         "POST /identity/approvals?contactUri=/contacts/contacts/c-philippa HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer admin",
	"getApproval":            "GET /identity/approvals/{appr1} HTTP/1.1\nAPI-Key: demo\nAuthorization: Bearer philippa",
}

const (
	linkBody  = `{"_links":{"apiture:contact":{"href":"/contacts/contacts/c-philippa"}}}`
	rightBody = `{"answers":[{"questionId":"1","answer":"9 Elm Avenue, Raleigh"},{"questionId":"2","answer":"(919) 555-0100"},{"questionId":"3","answer":"Tidewater Marine"}]}`
)

// prepare makes a report, a quiz, a quiz that was asked, and an approval.
func prepare(w *world) {
	w.t.Helper()
	for _, request := range []string{
		samples["createFraudRiskReport"], samples["createQuiz"], samples["createQuiz"],
		strings.Replace(samples["createQuizQuestions"], "{quiz1}", "{quiz2}", 1), samples["createApproval"],
	} {
		if e := w.send(request, false); e.status != http.StatusCreated {
			w.t.Fatal(e.text)
		}
	}
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

var bearer = regexp.MustCompile(`Bearer \w+`)

// as changes who asks.
func as(request, token string) string { return bearer.ReplaceAllString(request, "Bearer "+token) }

// refusals are the same for all operations that they apply to. What would have been done is not done.
func refusals(t *testing.T, all *told) {
	every := slices.Sorted(maps.Keys(samples))
	tokens := slices.DeleteFunc(slices.Clone(every), func(op string) bool { return op == "getApi" || op == "getApiDoc" })
	bodies := []string{"createFraudRiskReport", "createQuiz", "scoreQuiz"}
	made := []string{"createFraudRiskReport", "createQuiz"}
	acts := []string{"createQuizQuestions", "scoreQuiz"}
	keyed := append(append([]string{"createApproval"}, acts...), made...)
	lists := []string{"getFraudRiskReports", "getQuizzes"}
	abouts := []string{"getContactVerification", "createApproval"}
	body := func(text string) func(string) string {
		return func(r string) string {
			head, _, _ := strings.Cut(r, "\n\n")
			return head + "\n\n" + text
		}
	}
	query := func(text string) func(string) string {
		return func(r string) string { return strings.Replace(r, " HTTP/1.1", text+" HTTP/1.1", 1) }
	}
	uri := func(text string) func(string) string {
		return func(r string) string { return strings.Replace(r, "contactUri=/contacts/contacts/c-philippa", text, 1) }
	}
	same := func(r string) string { return r }
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
		"no token":                  {tokens, "", func(r string) string { return without(r, "Authorization") }, "401 unauthorized"},
		"a forged token":            {tokens, "", func(r string) string { return as(r, "forged") }, "401 unauthorized"},
		"an expired token":          {tokens, "", func(r string) string { return as(r, "expired") }, "401 sessionExpired"},
		"an issuer out of reach":    {tokens, "", func(r string) string { return as(r, "doubtful") }, "503 serviceUnavailable"},
		"no scope":                  {tokens, "", func(r string) string { return as(r, "nothing") }, "403 accessDenied"},
		"another media type":        {every, "", func(r string) string { return with(r, "Accept: text/html") }, "406 notAcceptable"},
		"the database is down":      {tokens, "broken database", same, "503 serviceUnavailable"},
		"a bug":                     {tokens, "broken bug", same, "500 internalError"},
		"a body of another type":    {bodies, "", func(r string) string { return with(without(r, "Content-Type"), "Content-Type: text/plain") }, "415 unsupportedMediaType"},
		"no body":                   {bodies, "", body(""), "400 malformedRequestBodyBadRequest"},
		"a body that is null":       {bodies, "", body("null"), "400 malformedRequestBodyBadRequest"},
		"a body that is a list":     {bodies, "", body("[]"), "400 malformedRequestBodyBadRequest"},
		"an empty body":             {bodies, "", body("{}"), "400 invalidRequestBody"},
		"a body of wrong types":     {bodies, "", body(`{"taxId":1,"answers":1}`), "400 invalidRequestBody"},
		"a body that is large":      {bodies, "", body(`{"x":"` + strings.Repeat("x", 1<<20) + `"}`), "413 requestBodyTooLarge"},
		"a link of another kind":    {made, "", body(`{"_links":{"apiture:contact":{"href":"/accounts/accounts/c-philippa"}}}`), "400 invalidContactLink"},
		"a link that is an id":      {made, "", body(`{"_links":{"apiture:contact":{"href":"c-philippa"}}}`), "400 invalidContactLink"},
		"a link without an address": {made, "", body(`{"_links":{"apiture:contact":{}}}`), "400 invalidContactLink"},
		"a link to nobody":          {made, "", body(`{"_links":{"apiture:contact":{"href":"/contacts/contacts/c-nobody"}}}`), "400 invalidContactLink"},
		"a link to another's":       {made, "", body(`{"_links":{"apiture:contact":{"href":"/contacts/contacts/c-jane"}}}`), "400 invalidContactLink"},
		"a contact that is half":    {made, "", body(`{"_links":{"apiture:contact":{"href":"/contacts/contacts/c-half"}}}`), "400 incompleteIdentity"},
		"a provider that is down":   {[]string{"createFraudRiskReport", "createQuizQuestions"}, "provider down", same, "503 providerUnavailable"},
		"too many quizzes":          {[]string{"createQuizQuestions"}, "quizLimit 1", same, "429 tooManyRequests"},
		"answers that do not fit":   {[]string{"scoreQuiz"}, "", body(`{"answers":[{"questionId":"1","answer":"nowhere"}]}`), "400 invalidQuizAnswers"},
		"no questions to answer":    {[]string{"scoreQuiz"}, "", func(r string) string { return strings.Replace(r, "{quiz2}", "{quiz1}", 1) }, "409 invalidQuizState"},
		"questions a second time":   {[]string{"createQuizQuestions"}, "", func(r string) string { return strings.Replace(r, "{quiz1}", "{quiz2}", 1) }, "409 invalidQuizState"},
		"somebody else's quiz":      {append([]string{"getQuiz"}, acts...), "", func(r string) string { return as(r, "stranger") }, "404 noSuchQuiz"},
		"somebody else's report":    {[]string{"getFraudRiskReport"}, "", func(r string) string { return as(r, "stranger") }, "404 noSuchFraudRiskReport"},
		"somebody else's approval":  {[]string{"getApproval"}, "", func(r string) string { return as(r, "stranger") }, "404 noSuchApproval"},
		"an id that is not there":   {acts, "", func(r string) string { return strings.NewReplacer("{quiz1}", "quiz_0", "{quiz2}", "quiz_0").Replace(r) }, "404 noSuchQuiz"},
		"an id that cannot be": {acts, "", func(r string) string {
			return strings.NewReplacer("{quiz1}", strings.Repeat("x", 600), "{quiz2}", strings.Repeat("x", 600)).Replace(r)
		}, "404 noSuchQuiz"},
		"no contact":                {abouts, "", uri(""), "400 missingParameter"},
		"an empty contact":          {abouts, "", uri("contactUri="), "400 missingParameter"},
		"two contacts":              {abouts, "", query("&contactUri=x"), "400 invalidParameter"},
		"a contact of another kind": {abouts, "", uri("contactUri=/accounts/accounts/x"), "400 invalidContactLink"},
		"a method that is none":     {abouts, "", query("&type=horoscope"), "400 invalidParameterValue"},
		"nobody's verification":     {[]string{"getContactVerification"}, "", uri("contactUri=/contacts/contacts/c-nobody"), "400 invalidContactLink"},
		"nobody's approval":         {[]string{"createApproval"}, "", uri("contactUri=/contacts/contacts/c-nobody"), "422 invalidContactUri"},
		"no administrator":          {[]string{"createApproval"}, "", func(r string) string { return as(r, "jane") }, "403 accessDenied"},
		"one's own approval":        {[]string{"createApproval"}, "", func(r string) string { return as(r, "selfish") }, "403 accessDenied"},
		"a wrong page":              {lists, "", query("?start=-1"), "400 invalidParameter"},
		"a wrong filter":            {lists, "", query("?filter=eq("), "400 invalidFilter"},
		"a filter by personal data": {lists, "", query("?filter=eq(inputs.identity.lastName,'Doe')"), "422 invalidFilter"},
		"a wrong search":            {lists, "", query("?q=%22x"), "400 invalidQuery"},
		"a wrong order":             {lists, "", query("?sortBy=,"), "400 invalidSortCriteria"},
		"an order by what is not":   {lists, "", query("?sortBy=inputs"), "422 invalidSortCriteria"},
		"a type that is none":       {[]string{"getFraudRiskReports"}, "", query("?type=horoscope"), "422 invalidParameterValue"},
		"a time that is none":       {[]string{"getQuizzes"}, "", query("?createdAt=yesterday"), "422 invalidParameterValue"},
		"an empty alternative":      {[]string{"getQuizzes"}, "", query("?expiredAt=2020-06-01T13:08:31Z%7C"), "400 invalidParameter"},
		"an If-Match of no tags":    {acts, "", func(r string) string { return with(r, "If-Match: 1") }, "400 invalidParameter"},
		"a stale If-Match":          {acts, "", func(r string) string { return with(r, `If-Match: "{quiz1}:7", "{quiz2}:7"`) }, "412 ifMatchHeaderDoesNotMatch"},
		"a reused key":              {keyed, "", func(r string) string { return with(r, "Idempotency-Key: taken") }, "422 idempotencyKeyReused"},
		"two keys":                  {keyed, "", func(r string) string { return with(r, "Idempotency-Key: a\nIdempotency-Key: b") }, "400 invalidParameter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepare(w)
			for _, op := range c.operations {
				request := c.change(samples[op])
				if strings.Contains(request, "Idempotency-Key: taken") {
					request = strings.Replace(request, "Key: taken", "Key: taken-"+op, 1)
					caller, first := bearer.FindString(request), samples["createQuiz"]
					if caller == "Bearer admin" {
						first = strings.Replace(first, "c-philippa", "c-jane", 1)
					} else if op == "createQuiz" {
						first = samples["createFraudRiskReport"]
					}
					w.send(with(bearer.ReplaceAllString(first, caller), "Idempotency-Key: taken-"+op), false)
				}
				state := []string{samples["getQuizzes"], samples["getFraudRiskReports"], samples["getContactVerification"]}
				var before []string
				for _, s := range state {
					before = append(before, w.send(s, false).body)
				}
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
				w.provider.mood, w.service.Settings.QuizLimit.Limit = "", 5
				for i, s := range state {
					if after := w.send(s, false); after.body != before[i] {
						t.Errorf("%s: something was done: %s", op, after.text)
					}
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
	schema := doc.Components.Schemas["createQuiz"].Value
	w := newWorld(t)
	long := func(n int) string { return strings.Repeat("ä", n) }
	for member, values := range map[string]map[bool][]any{
		"taxId":      {true: {"1", long(128)}, false: {"", long(129), 1}},
		"firstName":  {true: {"x", long(128)}, false: {"", long(129)}},
		"lastName":   {true: {"x", long(128)}, false: {"", long(129)}},
		"address1":   {true: {"x", long(512)}, false: {"", long(513)}},
		"address2":   {true: {"x", long(512)}, false: {"", long(513), true}},
		"city":       {true: {"x", long(64)}, false: {"", long(65)}},
		"region":     {true: {"x", long(128)}, false: {"", long(129)}},
		"postalCode": {true: {"x", long(32)}, false: {"", long(33), 28401}},
		"phone":      {true: {"1", long(32)}, false: {"", long(33)}},
		"birthdate":  {true: {"1985-06-15", "2000-02-29"}, false: {"", "1985-6-15", "15.06.1985", "1985-13-01", "3985-01-01", "1985-06-15T00:00:00Z"}},
		"email":      {true: {"a@b.c"}, false: {"a", long(255) + "@b", 1}},
		"ipAddress":  {true: {"198.51.100.7"}, false: {"", "198.51.100", "2001:db8::1", "300.1.1.1"}},
		"_error":     {true: {map[string]any{"message": "ignored"}}},
		"_id":        {true: {"mine"}},
	} {
		for good, list := range values {
			for _, value := range list {
				body := map[string]any{
					"taxId": "219-55-0142", "firstName": "Max", "lastName": "Pike", "address1": "1 Main St", "city": "Durham", "region": "NC",
					"postalCode": "27701", "phone": "1", "birthdate": "1985-06-15",
				}
				body[member] = value
				sent, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				var decoded any
				if err := json.Unmarshal(sent, &decoded); err != nil {
					t.Fatal(err)
				}
				if err := schema.VisitJSON(decoded, openapi3.EnableFormatValidation()); (err == nil) != good {
					t.Errorf("%s %v: the document says %v", member, value, err)
				}
				e := w.send(strings.Replace(samples["createQuiz"], linkBody, string(sent), 1), true)
				if want := map[bool]int{true: http.StatusCreated, false: http.StatusBadRequest}[good]; e.status != want {
					t.Errorf("%s %v: want %d, got %s", member, value, want, e.text)
				}
				if text, ok := value.(string); ok && !good && len(text) > 4 && strings.Contains(e.body, text) {
					t.Errorf("%s: the refusal has the value: %s", member, e.text)
				}
			}
		}
	}
}

// TestThePageNamesStoriesThatAreThere reads the tables of decisions: each names the story that pins it.
func TestThePageNamesStoriesThatAreThere(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"identity"} {
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
		r := httptest.NewRequest(http.MethodGet, "/identity/quizzes", http.NoBody)
		r = r.WithContext(domain.WithActor(r.Context(), domain.Actor{APIKey: "demo", Refused: p}))
		recorder := httptest.NewRecorder()
		identity.New(w.options).ServeHTTP(recorder, r)
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
	e := w.send(samples["getQuizzes"], false)
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
	request := samples["getQuizzes"]
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
		for _, part := range []string{"error_id=" + body.Error.ID, "api=identity", "level=" + c.level} {
			if !strings.Contains(w.log.String(), part) {
				t.Errorf("%d: the log lacks %s: %s", e.status, part, w.log.String())
			}
		}
	}
}
