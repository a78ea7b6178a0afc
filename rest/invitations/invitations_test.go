package invitations_test

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
		Document: document, APIDoc: "getApiDoc", Samples: samples, Refusals: refusals(), Before: useKey,
		New:     func(t testing.TB) *resttest.World { return newWorld(t).World },
		Prepare: func(w *resttest.World) { w.Send(createSample, false) },
	}
}

func TestDocument(t *testing.T) { suite().TestDocument(t) }

func TestTheDocumentIsValid(t *testing.T) { suite().TestTheDocumentIsValid(t) }

func TestThePageNamesCasesThatExist(t *testing.T) {
	suite().TestThePageNamesCasesThatExist(t, "conventions", "invitations")
}

func TestEveryProblem(t *testing.T) {
	suite().TestEveryProblem(t, func(w *resttest.World, p *problem.Problem) resttest.Exchange {
		// A token that was refused with this problem is the shortest way to an error response.
		r := httptest.NewRequest(http.MethodGet, "/invitations/invitations", http.NoBody)
		return w.Serve(r.WithContext(domain.WithActor(r.Context(), domain.Actor{APIKey: "demo", Refused: p})))
	})
}

func TestTheErrorIDIsInTheLog(t *testing.T) {
	request := samples["getInvitations"]
	suite().TestTheErrorIDIsInTheLog(t, func(body []byte) string { return refusal(body).ID }, "api=invitations error_id",
		resttest.Logged{Request: resttest.Without(request, "API-Key"), Level: "INFO"},
		resttest.Logged{Request: resttest.Without(request, "Authorization"), Level: "INFO"},
		resttest.Logged{Request: strings.Replace(request, " HTTP/1.1", "/nothing HTTP/1.1", 1), Level: "INFO"},
		resttest.Logged{Request: resttest.With(request, "Accept: text/html"), Level: "INFO"},
		resttest.Logged{Setting: "broken database", Request: request, Level: "WARN"},
		resttest.Logged{Setting: "broken bug", Request: request, Level: "ERROR"},
	)
}

func TestDocumentAndRulesAgree(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ä", n) }
	suite().TestDocumentAndRulesAgree(t, "createInvitation", createSample, map[string]resttest.Values{
		"sharedSecret":    {true: {long(8), long(100)}, false: {long(7), long(101), "", 12345678, resttest.Absent}},
		"emailAddress":    {true: {"a@b", long(252) + "@b", "a+b@c.d"}, false: {long(253) + "@b", "a", "a@", "@b", "a@b@c", "a b@c", "a@b,c@d", "<a@b>", resttest.Absent}},
		"type":            {false: {"friend", "Joint", "", resttest.Absent}},
		"inviterFullName": {true: {"x", long(128)}, false: {"", long(129), resttest.Absent}},
		"accountUri": {
			true:  {"/accounts/accounts/a-1001", "https://api.devbank.example.com/accounts/accounts/a-1001"},
			false: {"", "a-1001", "/accounts/accounts/", "/accounts/accounts/a-1001/", "/accounts/accounts/a-1001?x=1", "/organizations/organizations/o-2001", 1001, resttest.Absent},
		},
		"organizationUri": {false: {"/organizations/organizations/o-2001"}},
		"role":            {false: {"Accountant"}},
		"firstName":       {true: {"", long(256)}, false: {long(257), 1}},
		"lastName":        {true: {"", long(256)}, false: {long(257), true}},
		"identification":  {true: {"6789", "anything at all", long(500)}, false: {6789}},
		"unknown":         {true: {1}},
		"_id":             {true: {"mine"}},
	}, "/accounts/accounts/")
}

// samples are requests for each operation that succeed after the one of createSample.
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

// useKey uses the key "taken" for another call if the request has it.
func useKey(w *resttest.World, _, request string) string {
	if strings.Contains(request, "Idempotency-Key: taken") {
		other := resttest.Bearer.ReplaceAllString(strings.Replace(verifySample, "{inv1}", "inv_0", 1), resttest.Bearer.FindString(request))
		w.Send(resttest.With(other, "Idempotency-Key: taken"), false)
	}
	return request
}

func refusals() map[string]resttest.Refusal {
	every := slices.Sorted(maps.Keys(samples))
	tokens := slices.DeleteFunc(slices.Clone(every), func(op string) bool { return op == "getApi" || op == "getApiDoc" })
	bodies := []string{"createInvitation", "patchInvitation", "verifyInvitation"}
	actions := []string{"revokeInvitation", "sendInvitation", "completeInvitation"}
	guarded := append([]string{"patchInvitation"}, actions...)
	conditional := append([]string{"deleteInvitation"}, guarded...)
	keyed := append([]string{"createInvitation", "verifyInvitation"}, conditional...)
	body := func(text string) func(string) string {
		return func(r string) string { return resttest.Body(r, text) }
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
		"a body of no type":      refused(bodies, "", func(r string) string { return resttest.Without(r, "Content-Type") }, "415 unsupportedMediaType"),
		"no body":                refused(bodies, "", body(""), "400 malformedRequestBodyBadRequest"),
		"a body that is null":    refused(bodies, "", body("null"), "400 malformedRequestBodyBadRequest"),
		"a body that is a list":  refused(bodies, "", body("[]"), "400 malformedRequestBodyBadRequest"),
		"two bodies":             refused(bodies, "", body("{}{}"), "400 malformedRequestBodyBadRequest"),
		"a member twice":         refused(bodies, "", body(`{"sharedSecret":"12345678","sharedSecret":"12345678"}`), "400 malformedRequestBodyBadRequest"),
		"an empty body":          refused(bodies, "", body("{}"), "400 invalidRequestBody"),
		"a body that is large":   refused(bodies, "", body(`{"x":"`+strings.Repeat("x", 1<<20)+`"}`), "413 requestBodyTooLarge"),
		"no reference":           refused(actions, "", func(r string) string { return strings.Replace(r, "?invitation={inv1}", "", 1) }, "400 missingParameter"),
		"an empty reference":     refused(actions, "", func(r string) string { return strings.Replace(r, "={inv1}", "=", 1) }, "400 missingParameter"),
		"two references":         refused(actions, "", func(r string) string { return strings.Replace(r, "={inv1}", "={inv1}&invitation=x", 1) }, "400 invalidParameter"),
		"a long reference":       refused(actions, "", func(r string) string { return strings.Replace(r, "={inv1}", "="+strings.Repeat("x", 513), 1) }, "400 invalidParameter"),
		"an unknown reference":   refused(actions, "", func(r string) string { return strings.Replace(r, "={inv1}", "=inv_0", 1) }, "422 invalidInvitationId"),
		"an If-Match of no tags": refused(conditional, "", func(r string) string { return resttest.With(r, "If-Match: 1") }, "400 invalidParameter"),
		"a stale If-Match":       refused(conditional, "", func(r string) string { return resttest.With(r, `If-Match: "{inv1}:7"`) }, "412 ifMatchHeaderDoesNotMatch"),
		"a foreign If-Match":     refused(conditional, "", func(r string) string { return resttest.With(r, `If-Match: "other", W/"{inv1}:1"`) }, "412 ifMatchHeaderDoesNotMatch"),
		"no If-Match":            refused(guarded, "requireIfMatch", resttest.Same, "428 ifMatchHeaderRequired"),
		"a reused key":           refused(keyed, "", func(r string) string { return resttest.With(r, "Idempotency-Key: taken") }, "422 idempotencyKeyReused"),
		"two keys":               refused(keyed, "", func(r string) string { return resttest.With(r, "Idempotency-Key: a\nIdempotency-Key: b") }, "400 invalidParameter"),
		"a long key":             refused(keyed, "", func(r string) string { return resttest.With(r, "Idempotency-Key: "+strings.Repeat("x", 256)) }, "400 invalidParameter"),
	}
}
