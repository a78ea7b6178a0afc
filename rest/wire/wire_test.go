package wire_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

var how = wire.Reading{MediaTypes: []string{"application/hal+json", "application/json"}}

func post(contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return problem.Of(err).Code
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for d, want := range map[*problem.Definition]int{
		problem.InvalidInput: 400, problem.Unauthorized: 401, problem.AccessDenied: 403, problem.NotFound: 404,
		problem.InvitationWrongState: 409, problem.StaleVersion: 412, problem.InvalidParameterValue: 422, problem.VersionRequired: 428,
		problem.TooManyRequests: 429, problem.InternalError: 500, problem.ServiceUnavailable: 503,
		problem.MethodNotAllowed: 405, problem.NotAcceptable: 406, problem.RequestBodyTooLarge: 413, problem.UnsupportedMediaType: 415,
	} {
		if got := wire.StatusOf(problem.New(d)); got != want {
			t.Errorf("%s: got %d", d.Code, got)
		}
	}
	if wire.Status(problem.Gone) != 410 || wire.Status(problem.Protocol) != 400 || wire.Status("new") != 500 {
		t.Error("a kind has the wrong status")
	}
	for _, d := range problem.All() {
		if status := wire.StatusOf(problem.New(d)); d.Kind == problem.Protocol && status == 400 {
			t.Errorf("%s has no status of its own", d.Code)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for wait, want := range map[time.Duration]int{
		time.Second: 1, time.Second + 1: 2, time.Millisecond: 1, 0: 1, -time.Hour: 1, 10 * time.Minute: 600,
		math.MaxInt64: math.MaxInt64/int(time.Second) + 1,
	} {
		if got := wire.RetryAfter(problem.New(problem.TooManyRequests).Until(now.Add(wait)), now); got != want {
			t.Errorf("%s: got %d", wait, got)
		}
	}
	if wire.RetryAfter(problem.New(problem.NotFound), now) != 0 || wire.RetryAfter(problem.New(problem.ServiceUnavailable), now) != 5 {
		t.Error("without a time only what will pass has a Retry-After")
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	for authorization, want := range map[string]string{
		"": "Bearer", "Bearer ": "Bearer", "Basic eA==": "Bearer", "bearer x": `Bearer error="invalid_token"`,
	} {
		r := post("", "")
		r.Header.Set("Authorization", authorization)
		if got := wire.Challenge(r, problem.New(problem.Unauthorized)); got != want {
			t.Errorf("%q: got %s", authorization, got)
		}
	}
	if got := wire.Challenge(post("", ""), problem.New(problem.AccessDenied)); got != "" {
		t.Errorf("denied: got %s", got)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"":                                    true,
		"*/*":                                 true,
		"application/*":                       true,
		"application/json":                    true,
		"Application/HAL+JSON; profile=\"x\"": true,
		"text/html, application/json;q=0.1":   true,
		"text/html":                           false,
		"text/*":                              false,
		"*/*;q=0":                             false,
		"application/*;q=0, */*":              false,
		"application/json;q=0, */*":           true, // hal+json is still accepted
		"application/hal+json;q=0, application/json;q=0.0, */*": false,
		"application/json;q=0, application/json":                true,
		"application/json;q=x":                                  false,
		"text/html, *; q=.2":                                    true,
		",":                                                     false,
		"application/":                                          false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		err := wire.Accept(r, how.MediaTypes...)
		if (err == nil) != want || err != nil && !problem.Has(err, problem.NotAcceptable) {
			t.Errorf("%s: got %v", accept, err)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Add("Accept", "text/html")
	r.Header.Add("Accept", "application/json")
	if err := wire.Accept(r, how.MediaTypes...); err != nil {
		t.Errorf("two headers are not one list: %v", err)
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]string{
		"application/json":                         "",
		"Application/Hal+Json":                     "",
		"application/json; charset=UTF-8":          "",
		"application/json; charset=\"utf-8\"; x=y": "",
		"application/json; charset=latin1":         "unsupportedMediaType",
		"application/problem+json":                 "unsupportedMediaType",
		"text/plain":                               "unsupportedMediaType",
		"application/x-www-form-urlencoded":        "unsupportedMediaType",
		";":                                        "unsupportedMediaType",
		"":                                         "unsupportedMediaType",
	} {
		_, err := wire.Object(post(contentType, "{}"), how)
		if code(err) != want {
			t.Errorf("%q: got %v", contentType, err)
		}
	}
	r := post("application/json", "{}")
	r.Header.Set("Content-Encoding", "gzip")
	if _, err := wire.Object(r, how); code(err) != "unsupportedMediaType" {
		t.Errorf("gzip: got %v", err)
	}
	r = post("application/json", "{}")
	r.Header.Add("Content-Type", "application/json")
	if _, err := wire.Object(r, how); code(err) != "unsupportedMediaType" {
		t.Errorf("two types: got %v", err)
	}
}

func TestObjectIsStrict(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`: "",
		" \r\n\t{\"a\": [1, {\"a\": null}], \"A\": 2} \n": "",
		``:                         "malformedRequestBodyBadRequest",
		` `:                        "malformedRequestBodyBadRequest",
		`null`:                     "malformedRequestBodyBadRequest",
		`[]`:                       "malformedRequestBodyBadRequest",
		`"a"`:                      "malformedRequestBodyBadRequest",
		`{`:                        "malformedRequestBodyBadRequest",
		`{"a":1,}`:                 "malformedRequestBodyBadRequest",
		`{'a':1}`:                  "malformedRequestBodyBadRequest",
		`{"a":01}`:                 "malformedRequestBodyBadRequest",
		`{"a":NaN}`:                "malformedRequestBodyBadRequest",
		`{} {}`:                    "malformedRequestBodyBadRequest",
		`{}x`:                      "malformedRequestBodyBadRequest",
		`{"a":1,"a":1}`:            "malformedRequestBodyBadRequest",
		`{"a":1,"\u0061":1}`:       "malformedRequestBodyBadRequest",
		`{"x":[{"a":1,"a":null}]}`: "malformedRequestBodyBadRequest",
		"{\"a\":\"\xff\"}":         "malformedRequestBodyBadRequest",
		"\ufeff{}":                 "malformedRequestBodyBadRequest",
		`{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`: "",
		`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`: "malformedRequestBodyBadRequest",
		strings.Repeat("[", 100_000):                                      "malformedRequestBodyBadRequest",
	} {
		if _, err := wire.Object(post("application/json", body), how); code(err) != want {
			t.Errorf("%.40q: got %v", body, err)
		}
	}
	if _, err := wire.Object(post("", ""), how); code(err) != "malformedRequestBodyBadRequest" {
		t.Errorf("neither body nor type: got %v", err)
	}
}

func TestObjectIsLimited(t *testing.T) {
	t.Parallel()
	small := wire.Reading{MaxBytes: 10, MediaTypes: how.MediaTypes}
	if _, err := wire.Object(post("application/json", `{"a":1234}`), small); err != nil {
		t.Errorf("a body of the limit: %v", err)
	}
	unknown := post("application/json", "")
	unknown.ContentLength, unknown.Body = -1, io.NopCloser(strings.NewReader(`{"a":12345}`))
	capped := post("application/json", `{"a":1}`)
	capped.Body = http.MaxBytesReader(nil, capped.Body, 3)
	for claim, r := range map[string]*http.Request{"stated": post("application/json", `{"a":12345}`), "not stated": unknown, "capped outside": capped} {
		if _, err := wire.Object(r, small); code(err) != "requestBodyTooLarge" {
			t.Errorf("%s: got %v", claim, err)
		}
	}
	broken := post("application/json", "{}")
	broken.Body = io.NopCloser(iotest.ErrReader(errors.New("reset")))
	if _, err := wire.Object(broken, small); code(err) != "malformedRequestBodyBadRequest" {
		t.Errorf("a broken body: got %v", err)
	}
	none := post("application/json", "")
	none.Body = nil
	if _, err := wire.Object(none, small); code(err) != "malformedRequestBodyBadRequest" {
		t.Errorf("no body: got %v", err)
	}
}

type word string

type upper string

func (u *upper) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("empty")
	}
	*u = upper(strings.ToUpper(string(text)))
	return nil
}

type common struct {
	Name string `json:"name"`
}

type input struct {
	common
	Secret    *string           `json:"sharedSecret"`
	Type      word              `json:"type,omitempty"`
	Code      upper             `json:"code"`
	Count     int8              `json:"count"`
	Score     float64           `json:"score"`
	Sure      *bool             `json:"sure"`
	At        time.Time         `json:"at"`
	Address   *address          `json:"address"`
	Addresses []address         `json:"addresses"`
	Links     map[string]string `json:"_links"`
	Free      any               `json:"free"`
	Ignored   string            `json:"-"`
	Untagged  string
}

type address struct {
	City string `json:"city"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	var got input
	err := wire.Decode(post("application/json", `{"name":"n","sharedSecret":"s","type":"joint","code":"x","count":1e1,"score":0.5,"sure":true,
		"at":"2024-01-01T01:00:00+01:00","address":{"city":"a"},"addresses":[{"city":"b","x":1},{}],"_links":{"self":"/","none":null},"free":[true],
		"Ignored":"no","Untagged":"no","unknown":{}}`), how, &got)
	if err != nil {
		t.Fatal(err)
	}
	secret, sure := "s", true
	want := input{
		common: common{Name: "n"}, Secret: &secret, Type: "joint", Code: "X", Count: 10, Score: 0.5, Sure: &sure,
		At: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), Address: &address{City: "a"}, Addresses: []address{{City: "b"}, {}},
		Links: map[string]string{"self": "/"}, Free: []any{true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	got = input{}
	if err := wire.Decode(post("application/json", `{"Name":"n","SHAREDSECRET":"s","type":null,"sharedSecret":null,"address":null,"count":null}`), how, &got); err != nil || !reflect.DeepEqual(got, input{}) {
		t.Errorf("null and names in another case are absent: %v, %+v", err, got)
	}
}

func TestDecodeReportsAllViolations(t *testing.T) {
	t.Parallel()
	var got input
	err := wire.Decode(post("application/json", `{"name":1,"sharedSecret":[],"type":"a\u0000b","code":"","count":1.5,"score":"1","sure":"true",
		"at":"yesterday","address":[],"addresses":[{"city":1},null,"x"],"_links":{"b":1,"a":{}}}`), how, &got)
	if !problem.Has(err, problem.InvalidInput) {
		t.Fatalf("got %v", err)
	}
	var names []string
	for _, cause := range problem.Of(err).Causes {
		if cause.Definition != problem.InvalidInput || strings.Join(cause.Path, ".") != cause.Attributes["name"] {
			t.Errorf("got %v %v", cause, cause.Attributes)
		}
		names = append(names, fmt.Sprint(cause.Attributes["name"]))
	}
	const want = "name sharedSecret type code count score sure at address addresses.0.city addresses.1 addresses.2 _links.a _links.b"
	if strings.Join(names, " ") != want {
		t.Errorf("got %v", names)
	}
	if text := problem.Of(err).Causes[1].Detail; text != "The member sharedSecret must be a string." {
		t.Errorf("got %s", text)
	}
	for _, body := range []string{`{"count":128}`, `{"count":1e300}`, `{"score":1e999}`, `{"addresses":{}}`, `{"_links":[]}`} {
		if err := wire.Decode(post("application/json", body), how, &got); code(err) != "invalidRequestBody" {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	b, err := wire.Object(post("application/json", `{"s":"x","i":3,"b":true,"t":"2024-01-01T00:00:00Z","o":{"s":5},"n":null}`), how)
	if err != nil {
		t.Fatal(err)
	}
	s, okS := b.String("s")
	if s != "x" || !okS {
		t.Errorf("got %s", s)
	}
	if _, ok := b.String("n"); ok || b.Has("n") || !b.Null("n") || b.Null("none") || !b.Has("s") {
		t.Error("null is not absent")
	}
	if _, ok := b.Object("none"); ok || b.Err() != nil {
		t.Error("absent is a violation")
	}
	if _, ok := b.Object("t"); ok {
		t.Error("a string is an object")
	}
	if o, ok := b.Object("o"); !ok {
		t.Error("no object")
	} else if _, ok := o.String("s"); ok {
		t.Error("a number is a string")
	}
	if _, ok := b.Object("s"); ok {
		t.Error("a string is an object")
	}
	b.Refuse("i", "Must not be sent.")
	var names []string
	for _, cause := range problem.Of(b.Err()).Causes {
		names = append(names, fmt.Sprint(cause.Attributes["name"]))
	}
	if got := strings.Join(names, " "); got != "t o.s s i" {
		t.Errorf("got %s", got)
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	const none = -2 // no version
	for header, want := range map[string]struct {
		version  int
		anything bool
		code     string
	}{
		"":                             {none, false, "invalidParameter"},
		`*`:                            {none, true, ""},
		` * `:                          {none, true, ""},
		`"inv_1:3"`:                    {3, false, ""},
		`"inv_1:3" , "inv_1:12","x"`:   {12, false, ""},
		`"inv_2:3"`:                    {wire.NoVersion, false, ""},
		`"inv_1:03"`:                   {wire.NoVersion, false, ""},
		`"inv_1:x", "a,b"`:             {wire.NoVersion, false, ""},
		`"inv_1:99999999999999999999"`: {wire.NoVersion, false, ""},
		`W/"inv_1:3"`:                  {wire.NoVersion, false, ""}, // If-Match compares strongly
		`inv_1:3`:                      {none, false, "invalidParameter"},
		`"inv_1:3`:                     {none, false, "invalidParameter"},
		`"inv_1:3" "inv_1:4"`:          {none, false, "invalidParameter"},
	} {
		r := post("", "")
		r.Header.Set("If-Match", header)
		version, anything, err := wire.ParseIfMatch(r, "inv_1")
		got := none
		if version != nil {
			got = *version
		}
		if got != want.version || anything != want.anything || code(err) != want.code {
			t.Errorf("%s: got %d, %t, %v", header, got, anything, err)
		}
	}
	if version, anything, err := wire.ParseIfMatch(post("", ""), "x"); version != nil || anything || err != nil {
		t.Error("no header is a condition")
	}
	r := post("", "")
	r.Header.Set("If-Match", wire.ETag("a:b", 7))
	if version, _, _ := wire.ParseIfMatch(r, "a:b"); version == nil || *version != 7 {
		t.Error("a tag of ours is not read again")
	}
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	etag := wire.ETag("inv_1", 3)
	for header, want := range map[string]bool{
		"": false, `*`: true, `"inv_1:3"`: true, `W/"inv_1:3"`: true, `"x", "inv_1:3"`: true, `"inv_1:4"`: false, `inv_1:3`: false, `"a,b",W/"inv_1:3"`: true,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("If-None-Match", header)
		if got := wire.NotModified(r, etag); got != want {
			t.Errorf("%s: got %t", header, got)
		}
	}
	if wire.NotModified(httptest.NewRequest(http.MethodGet, "/", nil), etag) {
		t.Error("no header is a match")
	}
}

func get(query string) *http.Request { return httptest.NewRequest(http.MethodGet, "/x?"+query, nil) }

func TestPaging(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][2]int{
		"": {0, 100}, "start=7&limit=0": {7, 0}, "limit=1000": {0, 1000}, "limit=1001": {0, 1000}, "limit=9999999999": {0, 1000},
		"start=9223372036854775807": {math.MaxInt64, 100},
	} {
		start, limit, err := wire.Paging(get(query))
		if err != nil || start != want[0] || limit != want[1] {
			t.Errorf("%s: got %d, %d, %v", query, start, limit, err)
		}
	}
	for query, name := range map[string]any{
		"start=-1": "start", "start=": "start", "start=x": "start", "start=1.0": "start", "start=%2B1": "start", "start=9223372036854775808": "start",
		"start=1&start=2": "start", "limit=-1": "limit", "limit=%2010": "limit", "limit=1e2": "limit", "limit=%zz": nil,
	} {
		_, _, err := wire.Paging(get(query))
		if code(err) != "invalidParameter" || problem.Of(err).Attributes["name"] != name {
			t.Errorf("%s: got %v", query, err)
		}
	}
}

func TestParameter(t *testing.T) {
	t.Parallel()
	if got, err := wire.Parameter(get("invitation=inv_1"), "invitation"); err != nil || got != "inv_1" {
		t.Errorf("got %s, %v", got, err)
	}
	for query, want := range map[string]string{"": "missingParameter", "invitation=": "missingParameter", "invitation=%zz": "invalidParameter", "invitation=a&invitation=a": "invalidParameter"} {
		if _, err := wire.Parameter(get(query), "invitation"); code(err) != want {
			t.Errorf("%s: got %v", query, err)
		}
	}
	for query, want := range map[string]string{"": "", "f=true": "", "f=false": "", "f=": "invalidParameter", "f=1": "invalidParameter", "f=true&f=true": "invalidParameter", "%zz": "invalidParameter"} {
		got, err := wire.Flag(get(query), "f")
		if code(err) != want || got != (query == "f=true") {
			t.Errorf("%s: got %t, %v", query, got, err)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	schema := listing.Schema{Fields: []listing.Field{
		{Name: "_id", Type: listing.ID},
		{Name: "state", Type: listing.Enum, Values: []string{"sent", "accepted"}},
		{Name: "expiresAt", Type: listing.Time},
		{Name: "name", Type: listing.Text, Searched: true},
	}}
	named := []wire.Named{{Name: "state"}, {Name: "expiredAt", Field: "expiresAt"}, {Name: "broken", Field: "nope"}}
	got, err := wire.List(get("start=5&limit=2&sortBy=-state&sortBy=name&filter=isNull(name)&filter=eq(_id,'1')&q=ann&state=sent%7Caccepted&expiredAt=2024-01-01T00:00:00Z&other=1"), schema, named...)
	want := listing.Query{
		Start: 5, Limit: 2, WithCount: true, Order: []listing.Order{{Field: "state", Desc: true}, {Field: "name"}},
		Where: listing.All(
			listing.IsNull{Field: "name"}, listing.Eq("_id", "1"), listing.Search{Any: [][]string{{"ann"}}},
			listing.OneOf("state", "sent", "accepted"), listing.Within(listing.EQ, "expiresAt", time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)),
		),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	union := listing.Any(listing.Eq("state", "sent"), listing.Eq("state", "accepted"))
	for _, query := range []string{"state=sent&state=accepted", "state[]=sent&state[]=accepted", "state[0]=sent&state[1]=accepted", "state=sent&state%5B%5D=accepted&other[]=x"} {
		if got, err := wire.List(get(query), schema, named...); err != nil || !reflect.DeepEqual(got.Where, union) {
			t.Errorf("%s: got %+v, %v", query, got.Where, err)
		}
	}
	if got, err := wire.List(get("q="), schema); err != nil || got.Where != listing.True || got.Limit != 100 || got.Order != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	for query, want := range map[string]string{
		"limit=x": "invalidParameter", "%zz": "invalidParameter", "sortBy=": "invalidSortCriteria", "sortBy=x": "invalidSortCriteriaMeaning",
		"filter=": "invalidFilter", "filter=isNull(x)": "invalidFilterMeaning", "q=%22": "invalidQuery",
		"state=": "invalidParameter", "state=gone": "invalidParameterValue", "expiredAt=x": "invalidParameterValue", "broken=1": "internalError",
	} {
		_, err := wire.List(get(query), schema, named...)
		if code(err) != want {
			t.Errorf("%s: got %v", query, err)
		}
		if strings.HasPrefix(query, "expiredAt") && problem.Of(err).Attributes["name"] != "expiredAt" {
			t.Errorf("the parameter is called %v", problem.Of(err).Attributes["name"])
		}
	}
}

func TestRouter(t *testing.T) {
	t.Parallel()
	rt := wire.NewRouter("/api", func(w http.ResponseWriter, _ *http.Request, p *problem.Problem) {
		w.Header().Set("X-Code", p.Code)
		w.WriteHeader(wire.StatusOf(p))
	})
	echo := func(name string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%s(%s)", name, r.PathValue("id"))
		}
	}
	rt.HandleFunc("GET", "/", echo("root"))
	rt.HandleFunc("GET", "/things", echo("list"))
	rt.HandleFunc("POST", "/things", echo("create"))
	rt.HandleFunc("GET", "/things/{id}", echo("get"))
	rt.HandleFunc("DELETE", "/things/{id}", echo("delete"))
	rt.HandleFunc("POST", "/things/done", echo("done"))

	for line, want := range map[string]string{
		"GET /api/":               "200 root()",
		"GET /api":                "200 root()",
		"GET /api?x=1":            "200 root()",
		"HEAD /api/things":        "200 list()",
		"POST /api/things":        "200 create()",
		"GET /api/things?a=%2F":   "200 list()",
		"GET /api/things/1":       "200 get(1)",
		"GET /api/things/a%2Fb":   "200 get(a/b)",
		"GET /api/things/%C3%A9~": "200 get(é~)",
		"GET /api/th%69ngs/1":     "200 get(1)",
		"GET /api/things/done":    "200 get(done)",
		"POST /api/things/done":   "200 done()",
		"DELETE /api/things/1":    "200 delete(1)",
		"GET /api/things/":        "404 notFound",
		"GET /api/things/1/":      "404 notFound",
		"GET /api/things/1/2":     "404 notFound",
		"GET /api//things":        "404 notFound",
		"GET /api/./things":       "404 notFound",
		"GET /api/x/../things":    "404 notFound",
		"POST /api/x/../things":   "404 notFound",
		"GET /api/nope":           "404 notFound",
		"GET /other":              "404 notFound",
		"GET /":                   "404 notFound",
		"OPTIONS /api/nope":       "404 notFound",
		"PUT /api":                "405 methodNotAllowed GET, HEAD",
		"PUT /api/things":         "405 methodNotAllowed GET, HEAD, POST",
		"OPTIONS /api/things":     "405 methodNotAllowed GET, HEAD, POST",
		"TRACE /api/things/1":     "405 methodNotAllowed DELETE, GET, HEAD",
		"PUT /api/things/done":    "405 methodNotAllowed DELETE, GET, HEAD, POST",
		"BREW /api/things":        "405 methodNotAllowed GET, HEAD, POST",
	} {
		method, target, _ := strings.Cut(line, " ")
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		got := strings.TrimSpace(strings.Join([]string{strconv.Itoa(w.Code), w.Header().Get("X-Code") + w.Body.String(), w.Header().Get("Allow")}, " "))
		if got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

func TestAPanicIsAnErrorOfTheDialect(t *testing.T) {
	t.Parallel()
	var heard *problem.Problem
	rt := wire.NewRouter("/x", func(w http.ResponseWriter, _ *http.Request, p *problem.Problem) {
		heard = p
		w.WriteHeader(http.StatusInternalServerError)
	})
	rt.HandleFunc(http.MethodGet, "/a", func(http.ResponseWriter, *http.Request) { panic("secret") })
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x/a", nil))
	if w.Code != http.StatusInternalServerError || heard == nil || heard.Definition != problem.InternalError || strings.Contains(heard.Text(), "secret") {
		t.Errorf("got %d, %v", w.Code, heard)
	}
}
