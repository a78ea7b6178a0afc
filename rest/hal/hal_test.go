package hal_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/hal"
)

// indented formats a response for comparison.
func indented(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if g, w := indented(t, got), indented(t, want); g != w {
		t.Errorf("got %s\nwant %s", g, w)
	}
}

type invitation struct {
	hal.Resource
	ID        string `json:"_id"`
	CreatedAt string `json:"createdAt,omitempty"`
	UpdatedAt string `json:"updatedAt,omitempty"`
}

func TestResource(t *testing.T) {
	t.Parallel()
	var links hal.Links
	links.Add("self", "/invitations/invitations/inv_1?a=1&b=<2>")
	links.Add("apiture:revoke", "/old")
	links.AddLink("apiture:search", hal.Link{Href: "/s{?q}", Templated: true, Title: "Search", Type: hal.MediaType})
	links.Add("apiture:revoke", "/new")
	w := httptest.NewRecorder()
	err := hal.Write(w, http.StatusCreated, invitation{
		Resource: hal.Resource{Profile: "https://p", Links: links}, ID: "inv_1",
		CreatedAt: hal.Seconds(time.Date(2020, 6, 1, 15, 8, 31, 999e6, time.FixedZone("", 7200))),
		UpdatedAt: hal.Seconds(time.Time{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_profile":"https://p","_links":{` +
		`"self":{"href":"/invitations/invitations/inv_1?a=1&b=<2>"},"apiture:revoke":{"href":"/new"},` +
		`"apiture:search":{"href":"/s{?q}","type":"application/hal+json","templated":true,"title":"Search"}},` +
		`"_id":"inv_1","createdAt":"2020-06-01T13:08:31Z"}`
	if got := w.Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if w.Code != http.StatusCreated || w.Header().Get("Content-Type") != "application/hal+json" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	if links.Href("apiture:revoke") != "/new" || links.Href("nope") != "" {
		t.Error("Href finds the wrong link")
	}
}

func TestResourceThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := hal.Write(w, http.StatusOK, hal.Resource{Embedded: func() {}}); err == nil {
		t.Error("no error")
	}
	if w.Body.Len() != 0 || len(w.Header()) != 0 {
		t.Errorf("something was sent: %v %s", w.Header(), w.Body)
	}
}

func TestRoot(t *testing.T) {
	t.Parallel()
	var links hal.Links
	links.Add("self", "/invitations/")
	w := httptest.NewRecorder()
	if err := hal.Write(w, http.StatusOK, hal.NewRoot("https://root", "apiName", "Invitations", "0.3.3", links)); err != nil {
		t.Fatal(err)
	}
	same(t, w.Body.String(), `{"_profile":"https://root","_links":{"self":{"href":"/invitations/"}},
		"_id":"apiName","id":"apiName","name":"Invitations","apiVersion":"0.3.3"}`)
}

func TestCollection(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet,
		"/invitations/invitations?type=joint&q=a%20b+%22c%22&unknown=1&limit=7&state=sent%7Caccepted&filter=eq(name,'%26')&sortBy=-state,name&start=3", nil)
	page := hal.NewCollection(r, "https://list", "invitations", []string{"x"}, hal.Slice{Start: 20, Limit: 10, Count: 35}, "state", "type", "emailAddress")
	w := httptest.NewRecorder()
	if err := hal.Write(w, http.StatusOK, page); err != nil {
		t.Fatal(err)
	}
	const q = "&limit=10&sortBy=-state%2Cname&filter=eq%28name%2C%27%26%27%29&q=a%20b%20%22c%22&state=sent%7Caccepted&type=joint"
	want := `{"_profile":"https://list","_links":{"self":{"href":"P?start=20Q"},"first":{"href":"P?start=0Q"},"prev":{"href":"P?start=10Q"},` +
		`"next":{"href":"P?start=30Q"},"last":{"href":"P?start=30Q"},"collection":{"href":"P"}},` +
		`"_embedded":{"items":["x"]},"name":"invitations","count":35,"start":20,"limit":10}`
	want = strings.NewReplacer("P", "/invitations/invitations", "Q", q).Replace(want)
	if got := w.Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	w = httptest.NewRecorder()
	if err := hal.Write(w, http.StatusOK, hal.NewCollection[string](r, "", "invitations", nil, hal.Slice{})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.Body.String(), `"items":[]`) {
		t.Errorf("no empty array in %s", w.Body)
	}
}

func TestPagingLinks(t *testing.T) {
	t.Parallel()
	const far = int(^uint(0) >> 1)
	for page, want := range map[hal.Slice]string{
		{0, 10, 0}:     "self=0 first=0 last=0",
		{0, 1, 1}:      "self=0 first=0 last=0",
		{0, 10, 10}:    "self=0 first=0 last=0",
		{0, 10, 11}:    "self=0 first=0 next=10 last=10",
		{10, 10, 11}:   "self=10 first=0 prev=0 last=10",
		{3, 10, 25}:    "self=3 first=0 prev=0 next=13 last=20",
		{100, 10, 25}:  "self=100 first=0 prev=90 last=20",
		{far, 1000, 5}: fmt.Sprintf("self=%d first=0 prev=%d last=0", far, far-1000),
		{0, 0, 5}:      "self=0 first=0 next=0",
		{2, 0, 2}:      "self=2 first=0 prev=2",
	} {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		var got []string
		for _, l := range hal.PagingLinks(r, page) {
			if start, ok := strings.CutPrefix(l.Href, "/x?start="); ok {
				start, _, _ = strings.Cut(start, "&")
				got = append(got, l.Name+"="+start)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v: got %v, want %s", page, got, want)
		}
	}
}

func TestPagingLinksVisitEachItemOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		count, limit := rapid.IntRange(0, 50).Draw(t, "count"), rapid.IntRange(1, 12).Draw(t, "limit")
		seen, start := 0, 0
		for {
			page := hal.Slice{Start: start, Limit: limit, Count: count}
			links := hal.PagingLinks(httptest.NewRequest(http.MethodGet, "/x", nil), page)
			seen += min(limit, count-start)
			next := links.Href("next")
			if next == "" {
				if links.Href("last") != links.Href("self") {
					t.Fatalf("the walk ends at %s and not at %s", links.Href("self"), links.Href("last"))
				}
				break
			}
			if _, err := fmt.Sscanf(next, "/x?start=%d", &start); err != nil {
				t.Fatal(err)
			}
		}
		if seen != count {
			t.Fatalf("saw %d of %d", seen, count)
		}
	})
}

var now = time.Date(2018, 1, 25, 5, 50, 52, 375e6, time.UTC)

// options are those of a dialect with the ids e1, e2 and so on.
func options(o hal.ErrorOptions) hal.ErrorOptions {
	n := 0
	o.Now = func() time.Time { return now }
	o.NewID = func() string { n++; return fmt.Sprintf("e%d", n) }
	return o
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	violations := func() *problem.Problem {
		return problem.New(problem.InvalidInput).Join(
			problem.New(problem.InvalidInput).Because("Too short.").At("sharedSecret").With("name", "sharedSecret"),
			problem.New(problem.InvalidInput).Because("Must be a string.").With("name", "role"),
		)
	}
	const nested = `[{"_id":"e2","type":"invalidRequestBody","message":"Too short.","attributes":{"name":"sharedSecret"}},
		{"_id":"e3","type":"invalidRequestBody","message":"Must be a string.","attributes":{"name":"role"}}]`
	for claim, c := range map[string]struct {
		problem *problem.Problem
		options hal.ErrorOptions
		status  int
		want    string
	}{
		"Invitations nests in errors": {
			violations(),
			hal.ErrorOptions{Profile: "https://v2"},
			400,
			`{"_profile":"https://v2","_error":{"_links":{"describedby":{"href":"https://developer.apiture.com/errors/invalidRequestBody"}},
			"_id":"e1","type":"invalidRequestBody","statusCode":400,"occurredAt":"2018-01-25T05:50:52.375Z","message":"The input violates its schema.",
			"remediation":"Correct the named fields and send the request again.","errors":` + nested + `}}`,
		},
		"Identity nests in _embedded": {
			violations(),
			hal.ErrorOptions{Profile: "https://v1", ErrorProfile: "https://e", Embedded: true, Pages: "https://here/"},
			400,
			`{"_profile":"https://v1","_error":{"_profile":"https://e","_links":{"describedby":{"href":"https://here/invalidRequestBody"}},
			"_id":"e1","type":"invalidRequestBody","statusCode":400,"occurredAt":"2018-01-25T05:50:52.375Z","message":"The input violates its schema.",
			"remediation":"Correct the named fields and send the request again.","_embedded":{"errors":` + nested + `}}}`,
		},
		"a state conflict has its attributes": {
			problem.New(problem.InvitationWrongState).With("currentState", "revoked").With("allowedStates", []string{"sent"}).With("at", now),
			hal.ErrorOptions{},
			409,
			`{"_error":{"_links":{"describedby":{"href":"https://developer.apiture.com/errors/invalidInvitationState"}},
			"_id":"e1","type":"invalidInvitationState","statusCode":409,"occurredAt":"2018-01-25T05:50:52.375Z",
			"message":"The state of the invitation does not permit this.","remediation":"Fetch the invitation and use one of the actions that it offers.",
			"attributes":{"currentState":"revoked","allowedStates":["sent"],"at":"2018-01-25T05:50:52.375Z"}}}`,
		},
		"the type is the documented one": {
			problem.New(problem.MeaninglessFilter).With("property", "x"),
			hal.ErrorOptions{},
			422,
			`{"_error":{"_links":{"describedby":{"href":"https://developer.apiture.com/errors/invalidFilter"}},
			"_id":"e1","type":"invalidFilter","statusCode":422,"occurredAt":"2018-01-25T05:50:52.375Z",
			"message":"The filter uses a property or a comparison that is not supported.",
			"remediation":"Filter only by documented properties, and compare each with a value of its type.","attributes":{"property":"x"}}}`,
		},
		"an internal error tells nothing": {
			problem.New(problem.InternalError).Because("disk %s", "full").With("path", "/var"),
			hal.ErrorOptions{},
			500,
			`{"_error":{"_links":{"describedby":{"href":"https://developer.apiture.com/errors/internalError"}},
			"_id":"e1","type":"internalError","statusCode":500,"occurredAt":"2018-01-25T05:50:52.375Z",
			"message":"An internal error occurred.","remediation":"Try again. If the error persists, report its id."}}`,
		},
		"what cannot be written is left out": {
			problem.New(problem.NotFound).With("f", func() {}),
			hal.ErrorOptions{},
			404,
			`{"_error":{"_links":{"describedby":{"href":"https://developer.apiture.com/errors/notFound"}},
			"_id":"e1","type":"notFound","statusCode":404,"occurredAt":"2018-01-25T05:50:52.375Z",
			"message":"There is no such resource.","remediation":"Use an address or an id that exists."}}`,
		},
	} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			id := hal.WriteError(w, httptest.NewRequest(http.MethodGet, "/", nil), c.problem, options(c.options))
			if w.Code != c.status || w.Header().Get("Content-Type") != hal.MediaType {
				t.Errorf("got %d %v", w.Code, w.Header())
			}
			same(t, w.Body.String(), c.want)
			if id != "e1" {
				t.Errorf("the log would have the id %q", id)
			}
		})
	}
}

func TestWriteErrorHeaders(t *testing.T) {
	t.Parallel()
	for claim, c := range map[string]struct {
		problem                   *problem.Problem
		token, challenge, waiting string
	}{
		"no token":                  {problem.New(problem.Unauthorized), "", "Bearer", ""},
		"a bad token":               {problem.New(problem.SessionExpired), "Bearer x", `Bearer error="invalid_token"`, ""},
		"a bad key":                 {problem.New(problem.InvalidAPIKey), "Bearer x", "Bearer", ""},
		"too many, time known":      {problem.New(problem.TooManyRequests).Until(now.Add(1001 * time.Millisecond)), "", "", "2"},
		"too many, time not known":  {problem.New(problem.TooManyRequests), "", "", "5"},
		"unavailable":               {problem.New(problem.ServiceUnavailable), "", "", "5"},
		"a conflict has no headers": {problem.New(problem.InvitationWrongState).Until(now.Add(time.Hour)), "Bearer x", "", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if c.token != "" {
			r.Header.Set("Authorization", c.token)
		}
		w := httptest.NewRecorder()
		hal.WriteError(w, r, c.problem, options(hal.ErrorOptions{}))
		if got := w.Header().Get("WWW-Authenticate"); got != c.challenge {
			t.Errorf("%s: challenge %q", claim, got)
		}
		if got := w.Header().Get("Retry-After"); got != c.waiting {
			t.Errorf("%s: Retry-After %q", claim, got)
		}
	}
}

// TestErrorIDs: each response has its own id, even if requests share the problem.
func TestErrorIDs(t *testing.T) {
	t.Parallel()
	o := hal.ErrorOptions{Now: func() time.Time { return now }}
	shared := problem.New(problem.NotFound)
	write := func() string {
		return hal.WriteError(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), shared, o)
	}
	a, b := write(), write()
	if len(a) < 20 || len(a) > 48 || a == b || shared.ID != "" {
		t.Errorf("got %q, %q and %q in the problem", a, b, shared.ID)
	}
}

func TestMillis(t *testing.T) {
	t.Parallel()
	if got := hal.Millis(now.In(time.FixedZone("", 3600))); got != "2018-01-25T05:50:52.375Z" {
		t.Errorf("got %s", got)
	}
}
