package customersessions_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/customersessions"
	"github.com/gatehouse/gatehouse/rest/resttest"
	"github.com/gatehouse/gatehouse/testkit"
)

func suite() resttest.Suite {
	return resttest.Suite{
		Document: document, APIDoc: "getApiDoc", Samples: samples, Refusals: refusals(), Before: useKey,
		New:     func(t testing.TB) *resttest.World { return newWorld(t, testkit.SQLite(t)).World },
		Prepare: func(w *resttest.World) { w.Clock.Pass(time.Minute) },
	}
}

func TestDocument(t *testing.T) { suite().TestDocument(t) }

func TestTheDocumentIsValid(t *testing.T) { suite().TestTheDocumentIsValid(t) }

func TestThePageNamesCasesThatExist(t *testing.T) {
	suite().TestThePageNamesCasesThatExist(t, "customer-sessions")
}

func TestEveryProblem(t *testing.T) {
	suite().TestEveryProblem(t, func(w *resttest.World, p *problem.Problem) resttest.Exchange { return refuse(w, p) })
}

// refuse sends a request with a token that was refused with a problem, the shortest way to an error response.
func refuse(w *resttest.World, p *problem.Problem) resttest.Exchange {
	r := httptest.NewRequest(http.MethodPost, "/system/terminatedCustomerSessions", http.NoBody)
	return w.Serve(r.WithContext(domain.WithActor(r.Context(), domain.Actor{Refused: p})))
}

func TestTheErrorIDIsInTheLog(t *testing.T) {
	request, resource := samples["terminateCustomerSession"], []string{"resource=/system/terminatedCustomerSessions"}
	suite().TestTheErrorIDIsInTheLog(t, func(body []byte) string { return decode(body).ID }, "error_id",
		resttest.Logged{Setting: "broken database", Request: request, Level: "WARN", Attributes: resource},
		resttest.Logged{Setting: "broken bug", Request: request, Level: "ERROR", Attributes: resource},
	)
}

// TestThePageNamesTestsThatExist checks that the tests in the table of decisions exist.
func TestThePageNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/dialects/customer-sessions.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("customersessions_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(source), "func "+match[1]+"(") {
			t.Errorf("there is no %s", match[1])
		}
	}
}

// TestAttributesThatCannotBeWritten: a problem is sent without attributes that cannot be encoded.
func TestAttributesThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	p := problem.New(problem.SessionTerminated).With("currentState", "revoked").With("at", begin).With("odd", func() {}).Join(problem.New(problem.InvalidInput))
	e := refuse(w.World, p)
	w.check(&e)
	if e.Type != "sessionTerminated" || e.Status != http.StatusUnprocessableEntity || strings.Contains(e.Body, "attributes") {
		t.Error(e.Text)
	}
}

// samples are successful requests for each operation.
var samples = map[string]string{
	"terminateCustomerSession": "POST /system/terminatedCustomerSessions HTTP/1.1\nAuthorization: Bearer service\nContent-Type: application/json\n\n" + `{"sessionId":"{handle1}"}`,
	"resumeCustomerSession":    "POST /system/resumedCustomerSessions HTTP/1.1\nAuthorization: Bearer service\nContent-Type: application/json\n\n" + `{"sessionId":"{handle1}"}`,
	"getApiDoc":                "GET /system/apiDoc HTTP/1.1\nAuthorization: Bearer customer",
}

// useKey uses the key "taken" for another call if the request has it.
func useKey(w *resttest.World, _, request string) string {
	if strings.Contains(request, "Idempotency-Key: taken") {
		other := resttest.Body(samples["terminateCustomerSession"], `{"sessionId":"{handle2}"}`)
		w.Send(resttest.With(other, "Idempotency-Key: taken"), false)
	}
	return request
}

func refusals() map[string]resttest.Refusal {
	every := slices.Sorted(maps.Keys(samples))
	acts := []string{"resumeCustomerSession", "terminateCustomerSession"}
	body := func(text string) func(string) string {
		return func(r string) string { return resttest.Body(r, text) }
	}
	header := func(h string) func(string) string { return func(r string) string { return resttest.With(r, h) } }
	token := func(name string) func(string) string { return func(r string) string { return resttest.As(r, name) } }
	refused := resttest.Refused
	return map[string]resttest.Refusal{
		"no token":               refused(every, "", func(r string) string { return resttest.Without(r, "Authorization") }, "401 unauthorized"),
		"a forged token":         refused(every, "", token("forged"), "401 unauthorized"),
		"an expired token":       refused(every, "", token("expired"), "401 sessionExpired"),
		"a client token":         refused(every, "", token("browser"), "401 unauthorized"),
		"an issuer out of reach": refused(every, "", token("doubtful"), "503 serviceUnavailable"),
		"no scope":               refused(acts, "", token("customer"), "403 forbidden"),
		"a scope for reading":    refused(acts, "", token("auditor"), "403 forbidden"),
		"another media type":     refused(every, "", header("Accept: text/html"), "406 notAcceptable"),
		"no media type":          refused(every, "", header("Accept: application/*;q=0"), "406 notAcceptable"),
		"the database is down":   refused(acts, "broken database", resttest.Same, "503 serviceUnavailable"),
		"a bug":                  refused(acts, "broken bug", resttest.Same, "500 internalError"),
		"a body of another type": refused(acts, "", func(r string) string {
			return resttest.With(resttest.Without(r, "Content-Type"), "Content-Type: text/plain")
		}, "415 unsupportedMediaType"),
		"a body of HAL": refused(acts, "", func(r string) string {
			return resttest.With(resttest.Without(r, "Content-Type"), "Content-Type: application/hal+json")
		}, "415 unsupportedMediaType"),
		"a body of another set":   refused(acts, "", func(r string) string { return strings.Replace(r, "/json", "/json;charset=latin1", 1) }, "415 unsupportedMediaType"),
		"a body of no type":       refused(acts, "", func(r string) string { return resttest.Without(r, "Content-Type") }, "415 unsupportedMediaType"),
		"no body":                 refused(acts, "", body(""), "400 badRequest"),
		"no JSON":                 refused(acts, "", body("sessionId"), "400 badRequest"),
		"a body that is null":     refused(acts, "", body("null"), "400 badRequest"),
		"a body that is a list":   refused(acts, "", body(`["{handle1}"]`), "400 badRequest"),
		"a body that is a string": refused(acts, "", body(`"{handle1}"`), "400 badRequest"),
		"two bodies":              refused(acts, "", body(`{"sessionId":"{handle1}"}{}`), "400 badRequest"),
		"a member twice":          refused(acts, "", body(`{"sessionId":"{handle1}","sessionId":"{handle1}"}`), "400 badRequest"),
		"an empty body":           refused(acts, "", body("{}"), "400 badRequest"),
		"another spelling":        refused(acts, "", body(`{"sessionid":"{handle1}"}`), "400 badRequest"),
		"null":                    refused(acts, "", body(`{"sessionId":null}`), "400 badRequest"),
		"a number":                refused(acts, "", body(`{"sessionId":1}`), "400 badRequest"),
		"an object":               refused(acts, "", body(`{"sessionId":{"id":"{handle1}"}}`), "400 badRequest"),
		"an empty id":             refused(acts, "", body(`{"sessionId":""}`), "400 badRequest"),
		"a long id":               refused(acts, "", body(`{"sessionId":"`+strings.Repeat("ä", 129)+`"}`), "400 badRequest"),
		"an id with a zero":       refused(acts, "", body(`{"sessionId":"{handle1}\u0000"}`), "400 badRequest"),
		"a body that is large":    refused(acts, "", body(`{"x":"`+strings.Repeat("x", 1<<20)+`"}`), "413 requestBodyTooLarge"),
		"an unknown id":           refused(acts, "", body(`{"sessionId":"sess_00000000000000000000000000"}`), "422 invalidSessionId"),
		"an unknown handle":       refused(acts, "", body(`{"sessionId":"`+strings.Repeat("ä", 128)+`"}`), "422 invalidSessionId"),
		"a handle, nearly":        refused(acts, "", body(`{"sessionId":"{handle1} "}`), "422 invalidSessionId"),
		"two keys":                refused(acts, "", header("Idempotency-Key: a\nIdempotency-Key: b"), "400 badRequest"),
		"a long key":              refused(acts, "", header("Idempotency-Key: "+strings.Repeat("x", 256)), "400 badRequest"),
		"a reused key":            refused(acts, "", header("Idempotency-Key: taken"), "422 idempotencyKeyReused"),
		"an unknown path":         refused(every, "", func(r string) string { return strings.Replace(r, " /system/", " /system/{session1}/", 1) }, "404 notFound"),
		"an unknown method":       refused(every, "", func(r string) string { return "PUT" + r[strings.IndexByte(r, ' '):] }, "405 methodNotAllowed"),
	}
}

// TestWhatASuccessMayBeAskedFor: a success has no body, so a request is refused only if it accepts no media type of a
// problem either.
func TestWhatASuccessMayBeAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testkit.SQLite(t))
	for accept, want := range map[string]int{
		"application/problem+json": 204, "application/json": 204, "*/*": 204, "application/*": 204, "": 204,
		"text/html, application/problem+json;q=0.1": 204, "text/html": 406, "application/hal+json": 406,
		"application/xml": 406, "application/problem+json;q=0, application/json;q=0": 406,
	} {
		for _, op := range []string{"resumeCustomerSession", "terminateCustomerSession"} {
			request := strings.Replace(samples[op], "{handle1}", "{session2}", 1)
			if op == "terminateCustomerSession" {
				request = samples[op]
			}
			if e := w.Send(resttest.With(request, "Accept: "+accept), true); e.Status != want {
				t.Errorf("%s, %q: want %d, got %s", op, accept, want, e.Text)
			}
		}
	}
}

// TestTerminateWins makes concurrent calls for the same session, on both databases. After a terminate has succeeded, no
// resume does, and the session stays terminated.
func TestTerminateWins(t *testing.T) {
	t.Parallel()
	for _, kind := range testkit.Databases {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kind.URL(t))
			handler := customersessions.New(w.options)
			post := func(path, id string) int {
				r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"sessionId":"`+id+`"}`))
				r.Header.Set("Content-Type", "application/json")
				recorder := httptest.NewRecorder()
				handler.ServeHTTP(recorder, r.WithContext(domain.WithActor(r.Context(), actors["service"])))
				return recorder.Code
			}
			for round := range 12 {
				out, err := w.service.CreateSession(as("service"), domain.CreateSessionInput{UserID: "u-john", Handle: new(handle(100 + round))})
				if err != nil {
					t.Fatal(err)
				}
				var over, group sync.WaitGroup
				over.Add(1)
				for n := range 8 {
					group.Go(func() {
						if n < 3 {
							if status := post("/system/terminatedCustomerSessions", handle(100+round)); status != http.StatusNoContent {
								t.Errorf("terminate: %d", status)
							}
							if n == 0 {
								over.Done()
							}
							return
						}
						if n == 7 {
							over.Wait()
							if status := post("/system/resumedCustomerSessions", out.Record.ID); status != http.StatusUnprocessableEntity {
								t.Errorf("a resume after the acknowledged terminate: %d", status)
							}
							return
						}
						if status := post("/system/resumedCustomerSessions", out.Record.ID); status != http.StatusNoContent && status != http.StatusUnprocessableEntity {
							t.Errorf("resume: %d", status)
						}
					})
				}
				group.Wait()
				r, err := w.service.Session(as("service"), out.Record.ID)
				if err != nil {
					t.Fatal(err)
				}
				if r.State != domain.SessionRevoked || r.EndedAt == nil {
					t.Errorf("it is %s", r.State)
				}
			}
		})
	}
}
