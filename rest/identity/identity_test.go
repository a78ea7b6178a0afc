package identity_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/resttest"
)

func suite() resttest.Suite {
	return resttest.Suite{
		Document: document, APIDoc: "getApiDoc", Samples: samples, Prepare: prepare, Refusals: refusals(), Before: useKey,
		New: func(t testing.TB) *resttest.World { return newWorld(t).World },
	}
}

func TestDocument(t *testing.T) { suite().TestDocument(t) }

func TestTheDocumentIsValid(t *testing.T) { suite().TestTheDocumentIsValid(t) }

func TestThePageNamesCasesThatExist(t *testing.T) {
	suite().TestThePageNamesCasesThatExist(t, "identity")
}

func TestEveryProblem(t *testing.T) {
	suite().TestEveryProblem(t, func(w *resttest.World, p *problem.Problem) resttest.Exchange {
		// A token that was refused with this problem is the shortest way to an error response.
		r := httptest.NewRequest(http.MethodGet, "/identity/quizzes", http.NoBody)
		return w.Serve(r.WithContext(domain.WithActor(r.Context(), domain.Actor{APIKey: "demo", Refused: p})))
	})
}

func TestTheErrorIDIsInTheLog(t *testing.T) {
	request := samples["getQuizzes"]
	suite().TestTheErrorIDIsInTheLog(t, func(body []byte) string { return refusal(body).ID }, "api=identity error_id",
		resttest.Logged{Request: resttest.Without(request, "API-Key"), Level: "INFO"},
		resttest.Logged{Request: resttest.Without(request, "Authorization"), Level: "INFO"},
		resttest.Logged{Request: strings.Replace(request, " HTTP/1.1", "/nothing/here HTTP/1.1", 1), Level: "INFO"},
		resttest.Logged{Request: resttest.With(request, "Accept: text/html"), Level: "INFO"},
		resttest.Logged{Setting: "broken database", Request: request, Level: "WARN"},
		resttest.Logged{Setting: "broken bug", Request: request, Level: "ERROR"},
	)
}

func TestDocumentAndRulesAgree(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ä", n) }
	request := resttest.Body(samples["createQuiz"], `{"taxId":"219-55-0142","firstName":"Max","lastName":"Pike","address1":"1 Main St",
		"city":"Durham","region":"NC","postalCode":"27701","phone":"1","birthdate":"1985-06-15"}`)
	suite().TestDocumentAndRulesAgree(t, "createQuiz", request, map[string]resttest.Values{
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
	})
}

// samples are requests for each operation that succeed after those of prepare.
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
	rightBody = `{"answers":[{"questionId":"1","answer":"Burlington"},{"questionId":"2","answer":"Food Lion"},{"questionId":"3","answer":"Mazda"},{"questionId":"4","answer":"Carter"}]}`
)

// prepare creates a report, a quiz, a quiz in state asked, and an approval.
func prepare(w *resttest.World) {
	w.T.Helper()
	for _, request := range []string{
		samples["createFraudRiskReport"], samples["createQuiz"], samples["createQuiz"],
		strings.Replace(samples["createQuizQuestions"], "{quiz1}", "{quiz2}", 1), samples["createApproval"],
	} {
		if e := w.Send(request, false); e.Status != http.StatusCreated {
			w.T.Fatal(e.Text)
		}
	}
}

// useKey uses the key "taken" for another call if the request has it.
func useKey(w *resttest.World, operation, request string) string {
	if !strings.Contains(request, "Idempotency-Key: taken") {
		return request
	}
	caller, other := resttest.Bearer.FindString(request), samples["createQuiz"]
	if caller == "Bearer admin" {
		other = strings.Replace(other, "c-philippa", "c-jane", 1)
	} else if operation == "createQuiz" {
		other = samples["createFraudRiskReport"]
	}
	w.Send(resttest.With(resttest.Bearer.ReplaceAllString(other, caller), "Idempotency-Key: taken-"+operation), false)
	return strings.Replace(request, "Key: taken", "Key: taken-"+operation, 1)
}

func refusals() map[string]resttest.Refusal {
	every := slices.Sorted(maps.Keys(samples))
	tokens := slices.DeleteFunc(slices.Clone(every), func(op string) bool { return op == "getApi" || op == "getApiDoc" })
	bodies := []string{"createFraudRiskReport", "createQuiz", "scoreQuiz"}
	made := []string{"createFraudRiskReport", "createQuiz"}
	acts := []string{"createQuizQuestions", "scoreQuiz"}
	keyed := append(append([]string{"createApproval"}, acts...), made...)
	lists := []string{"getFraudRiskReports", "getQuizzes"}
	abouts := []string{"getContactVerification", "createApproval"}
	body := func(text string) func(string) string {
		return func(r string) string { return resttest.Body(r, text) }
	}
	query := func(text string) func(string) string {
		return func(r string) string { return strings.Replace(r, " HTTP/1.1", text+" HTTP/1.1", 1) }
	}
	uri := func(text string) func(string) string {
		return func(r string) string { return strings.Replace(r, "contactUri=/contacts/contacts/c-philippa", text, 1) }
	}
	refused := resttest.Refused
	return map[string]resttest.Refusal{
		"no API key":         refused(every, "", func(r string) string { return resttest.Without(r, "API-Key") }, "401 invalidApiKey"),
		"an unknown API key": refused(every, "", func(r string) string { return resttest.With(resttest.Without(r, "API-Key"), "API-Key: other") }, "401 invalidApiKey"),
		"keys cannot be read": refused(every, "", func(r string) string {
			return resttest.With(resttest.Without(resttest.Without(r, "API-Key"), "Authorization"), "Authorization: Bearer doubtful")
		}, "503 serviceUnavailable"),
		"no token":               refused(tokens, "", func(r string) string { return resttest.Without(r, "Authorization") }, "401 unauthorized"),
		"a forged token":         refused(tokens, "", func(r string) string { return resttest.As(r, "forged") }, "401 unauthorized"),
		"an expired token":       refused(tokens, "", func(r string) string { return resttest.As(r, "expired") }, "401 sessionExpired"),
		"an issuer out of reach": refused(tokens, "", func(r string) string { return resttest.As(r, "doubtful") }, "503 serviceUnavailable"),
		"no scope":               refused(tokens, "", func(r string) string { return resttest.As(r, "nothing") }, "403 accessDenied"),
		"another media type":     refused(every, "", func(r string) string { return resttest.With(r, "Accept: text/html") }, "406 notAcceptable"),
		"the database is down":   refused(tokens, "broken database", resttest.Same, "503 serviceUnavailable"),
		"a bug":                  refused(tokens, "broken bug", resttest.Same, "500 internalError"),
		"a body of another type": refused(bodies, "", func(r string) string {
			return resttest.With(resttest.Without(r, "Content-Type"), "Content-Type: text/plain")
		}, "415 unsupportedMediaType"),
		"no body":                   refused(bodies, "", body(""), "400 malformedRequestBodyBadRequest"),
		"a body that is null":       refused(bodies, "", body("null"), "400 malformedRequestBodyBadRequest"),
		"a body that is a list":     refused(bodies, "", body("[]"), "400 malformedRequestBodyBadRequest"),
		"an empty body":             refused(bodies, "", body("{}"), "400 invalidRequestBody"),
		"a body of wrong types":     refused(bodies, "", body(`{"taxId":1,"answers":1}`), "400 invalidRequestBody"),
		"a body that is large":      refused(bodies, "", body(`{"x":"`+strings.Repeat("x", 1<<20)+`"}`), "413 requestBodyTooLarge"),
		"a link of another kind":    refused(made, "", body(`{"_links":{"apiture:contact":{"href":"/accounts/accounts/c-philippa"}}}`), "400 invalidContactLink"),
		"a link that is an id":      refused(made, "", body(`{"_links":{"apiture:contact":{"href":"c-philippa"}}}`), "400 invalidContactLink"),
		"a link without an address": refused(made, "", body(`{"_links":{"apiture:contact":{}}}`), "400 invalidContactLink"),
		"a link to nobody":          refused(made, "", body(`{"_links":{"apiture:contact":{"href":"/contacts/contacts/c-nobody"}}}`), "400 invalidContactLink"),
		"a link to another's":       refused(made, "", body(`{"_links":{"apiture:contact":{"href":"/contacts/contacts/c-jane"}}}`), "400 invalidContactLink"),
		"a contact that is half":    refused(made, "", body(`{"_links":{"apiture:contact":{"href":"/contacts/contacts/c-half"}}}`), "400 incompleteIdentity"),
		"a provider that is down":   refused([]string{"createFraudRiskReport", "createQuizQuestions"}, "provider down", resttest.Same, "503 providerUnavailable"),
		"too many quizzes":          refused([]string{"createQuizQuestions"}, "quizLimit 1", resttest.Same, "429 tooManyRequests"),
		"answers that do not fit":   refused([]string{"scoreQuiz"}, "", body(`{"answers":[{"questionId":"1","answer":"nowhere"}]}`), "400 invalidQuizAnswers"),
		"no questions to answer":    refused([]string{"scoreQuiz"}, "", func(r string) string { return strings.Replace(r, "{quiz2}", "{quiz1}", 1) }, "409 invalidQuizState"),
		"questions a second time":   refused([]string{"createQuizQuestions"}, "", func(r string) string { return strings.Replace(r, "{quiz1}", "{quiz2}", 1) }, "409 invalidQuizState"),
		"somebody else's quiz":      refused(append([]string{"getQuiz"}, acts...), "", func(r string) string { return resttest.As(r, "stranger") }, "404 noSuchQuiz"),
		"somebody else's report":    refused([]string{"getFraudRiskReport"}, "", func(r string) string { return resttest.As(r, "stranger") }, "404 noSuchFraudRiskReport"),
		"somebody else's approval":  refused([]string{"getApproval"}, "", func(r string) string { return resttest.As(r, "stranger") }, "404 noSuchApproval"),
		"an id that is not there":   refused(acts, "", func(r string) string { return strings.NewReplacer("{quiz1}", "quiz_0", "{quiz2}", "quiz_0").Replace(r) }, "404 noSuchQuiz"),
		"an id that cannot be": refused(acts, "", func(r string) string {
			return strings.NewReplacer("{quiz1}", strings.Repeat("x", 600), "{quiz2}", strings.Repeat("x", 600)).Replace(r)
		}, "404 noSuchQuiz"),
		"no contact":                refused(abouts, "", uri(""), "400 missingParameter"),
		"an empty contact":          refused(abouts, "", uri("contactUri="), "400 missingParameter"),
		"two contacts":              refused(abouts, "", query("&contactUri=x"), "400 invalidParameter"),
		"a contact of another kind": refused(abouts, "", uri("contactUri=/accounts/accounts/x"), "400 invalidContactLink"),
		"a method that is none":     refused(abouts, "", query("&type=horoscope"), "400 invalidParameterValue"),
		"nobody's verification":     refused([]string{"getContactVerification"}, "", uri("contactUri=/contacts/contacts/c-nobody"), "400 invalidContactLink"),
		"nobody's approval":         refused([]string{"createApproval"}, "", uri("contactUri=/contacts/contacts/c-nobody"), "422 invalidContactUri"),
		"no administrator":          refused([]string{"createApproval"}, "", func(r string) string { return resttest.As(r, "jane") }, "403 accessDenied"),
		"one's own approval":        refused([]string{"createApproval"}, "", func(r string) string { return resttest.As(r, "selfish") }, "403 accessDenied"),
		"a wrong page":              refused(lists, "", query("?start=-1"), "400 invalidParameter"),
		"a wrong filter":            refused(lists, "", query("?filter=eq("), "400 invalidFilter"),
		"a filter by personal data": refused(lists, "", query("?filter=eq(inputs.identity.lastName,'Doe')"), "422 invalidFilter"),
		"a wrong search":            refused(lists, "", query("?q=%22x"), "400 invalidQuery"),
		"a wrong order":             refused(lists, "", query("?sortBy=,"), "400 invalidSortCriteria"),
		"an order by what is not":   refused(lists, "", query("?sortBy=inputs"), "422 invalidSortCriteria"),
		"a type that is none":       refused([]string{"getFraudRiskReports"}, "", query("?type=horoscope"), "422 invalidParameterValue"),
		"a time that is none":       refused([]string{"getQuizzes"}, "", query("?createdAt=yesterday"), "422 invalidParameterValue"),
		"an empty alternative":      refused([]string{"getQuizzes"}, "", query("?expiredAt=2020-06-01T13:08:31Z%7C"), "400 invalidParameter"),
		"an If-Match of no tags":    refused(acts, "", func(r string) string { return resttest.With(r, "If-Match: 1") }, "400 invalidParameter"),
		"a stale If-Match":          refused(acts, "", func(r string) string { return resttest.With(r, `If-Match: "{quiz1}:7", "{quiz2}:7"`) }, "412 ifMatchHeaderDoesNotMatch"),
		"a reused key":              refused(keyed, "", func(r string) string { return resttest.With(r, "Idempotency-Key: taken") }, "422 idempotencyKeyReused"),
		"two keys":                  refused(keyed, "", func(r string) string { return resttest.With(r, "Idempotency-Key: a\nIdempotency-Key: b") }, "400 invalidParameter"),
	}
}
