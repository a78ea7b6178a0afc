package resolvers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/introspection"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/resolvers"
)

const (
	asResponse = "application/graphql-response+json"
	asJSON     = "application/json"
)

func get(parameters url.Values) *http.Request {
	return httptest.NewRequest(http.MethodGet, "/graphql?"+parameters.Encode(), nil)
}

// TestStatuses pins GraphQL over HTTP.
func TestStatuses(t *testing.T) {
	t.Parallel()
	d := open(t)
	method := func(m string) *http.Request { return httptest.NewRequest(m, "/graphql", nil) }
	typed := func(media, body string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		if media != "" {
			r.Header.Set("Content-Type", media)
		}
		return r
	}
	const fine = `{"query":"{ version { version } }"}`
	for name, c := range map[string]struct {
		request *http.Request
		status  int
		media   string
		code    string
	}{
		"a query":                          {post(fine), 200, asJSON, ""},
		"a query, for JSON":                {post(fine, "Accept", asJSON), 200, asJSON, ""},
		"a query, for anything":            {post(fine, "Accept", "*/*"), 200, asJSON, ""},
		"a query, for what it likes best":  {post(fine, "Accept", asJSON+";q=0.5, "+asResponse+";q=0.4"), 200, asJSON, ""},
		"a query, for a browser":           {post(fine, "Accept", "text/html, application/*;q=0.8"), 200, asJSON, ""},
		"a query, for either":              {post(fine, "Accept", asResponse+", "+asJSON+";q=0.9"), 200, asResponse, ""},
		"a query, for either alike":        {post(fine, "Accept", "*/*, "+asResponse), 200, asJSON, ""},
		"a query, rather for the first":    {post(fine, "Accept", asResponse+", */*;q=0.1"), 200, asResponse, ""},
		"nonsense, for anything":           {post(`{"query":"{ wat }"}`, "Accept", "*/*"), 400, asResponse, "BAD_DOCUMENT"},
		"nonsense, for the response type":  {post(`{"query":"{ wat }"}`, "Accept", asResponse), 400, asResponse, "BAD_DOCUMENT"},
		"nonsense, for JSON":               {post(`{"query":"{ wat }"}`, "Accept", asJSON), 200, asJSON, "BAD_DOCUMENT"},
		"too much, for JSON":               {post(`{"query":"{ invitations(first: 100) { nodes { timeline(first: 100) { nodes { id } } } } }"}`, "Accept", asJSON), 200, asJSON, "TOO_COMPLEX"},
		"a query, for HTML only":           {post(fine, "Accept", "text/html"), 406, asResponse, "BAD_DOCUMENT"},
		"a query, for nothing of ours":     {post(fine, "Accept", asJSON+";q=0"), 406, asResponse, "BAD_DOCUMENT"},
		"UTF-8":                            {typed("application/json; charset=UTF-8", fine), 200, asJSON, ""},
		"another charset":                  {typed("application/json; charset=utf-16", fine), 415, asResponse, "BAD_DOCUMENT"},
		"no type":                          {typed("", fine), 415, asResponse, "BAD_DOCUMENT"},
		"a form":                           {typed("application/x-www-form-urlencoded", "query={version{version}}"), 415, asResponse, "BAD_DOCUMENT"},
		"several parts":                    {typed("multipart/form-data; boundary=x", "--x--"), 415, asResponse, "BAD_DOCUMENT"},
		"a document as the body":           {typed("application/graphql", "{ version { version } }"), 415, asResponse, "BAD_DOCUMENT"},
		"PUT":                              {method(http.MethodPut), 405, asResponse, "BAD_DOCUMENT"},
		"HEAD":                             {method(http.MethodHead), 405, asResponse, "BAD_DOCUMENT"},
		"DELETE":                           {method(http.MethodDelete), 405, asResponse, "BAD_DOCUMENT"},
		"PATCH":                            {method(http.MethodPatch), 405, asResponse, "BAD_DOCUMENT"},
		"OPTIONS":                          {method(http.MethodOptions), 405, asResponse, "BAD_DOCUMENT"},
		"no body":                          {post(""), 400, asResponse, "BAD_DOCUMENT"},
		"no JSON":                          {post("{"), 400, asResponse, "BAD_DOCUMENT"},
		"no JSON, for JSON":                {post("{", "Accept", asJSON), 400, asJSON, "BAD_DOCUMENT"},
		"two objects":                      {post(fine + fine), 400, asResponse, "BAD_DOCUMENT"},
		"a batch":                          {post("[" + fine + "]"), 400, asResponse, "BAD_DOCUMENT"},
		"null":                             {post("null"), 400, asResponse, "BAD_DOCUMENT"},
		"no document":                      {post("{}"), 400, asResponse, "BAD_DOCUMENT"},
		"null members":                     {post(`{"query":"{ version { version } }","variables":null,"operationName":null,"extensions":null}`), 200, asJSON, ""},
		"a document that is no text":       {post(`{"query":5}`), 400, asResponse, "BAD_DOCUMENT"},
		"variables that are no object":     {post(`{"query":"{ version { version } }","variables":"x"}`), 400, asResponse, "BAD_DOCUMENT"},
		"a document that cannot be read":   {post(`{"query":"{"}`), 400, asResponse, "BAD_DOCUMENT"},
		"the same, for JSON":               {post(`{"query":"{"}`, "Accept", asJSON), 200, asJSON, "BAD_DOCUMENT"},
		"a field that is none":             {post(`{"query":"{ wat }"}`), 400, asResponse, "BAD_DOCUMENT"},
		"a variable that is missing":       {post(`{"query":"query($id: ID!) { node(id: $id) { id } }"}`), 400, asResponse, "BAD_DOCUMENT"},
		"an operation that is none":        {post(`{"query":"query a { version { version } }","operationName":"b"}`), 400, asResponse, "BAD_DOCUMENT"},
		"too much":                         {post(`{"query":"{ invitations(first: 100) { nodes { timeline(first: 100) { nodes { id } } } } }"}`), 400, asResponse, "TOO_COMPLEX"},
		"too large":                        {post(`{"query":"` + strings.Repeat(" ", 64<<10) + `"}`), 413, asResponse, "TOO_COMPLEX"},
		"a query by GET":                   {get(url.Values{"query": {"query($k: LifecycleKind!) { lifecycle(of: $k) { kind } }"}, "variables": {`{"k":"INVITATION"}`}}), 200, asJSON, ""},
		"a mutation by GET":                {get(url.Values{"query": {`mutation { revokeInvitation(input: {invitationId: "x"}) { replayed } }`}}), 405, asResponse, "BAD_DOCUMENT"},
		"GET without a document":           {get(url.Values{}), 400, asResponse, "BAD_DOCUMENT"},
		"GET with variables that are none": {get(url.Values{"query": {"{ version { version } }"}, "variables": {"x"}}), 400, asResponse, "BAD_DOCUMENT"},
		"GET that is too large":            {get(url.Values{"query": {strings.Repeat("x", 64<<10)}}), 414, asResponse, "TOO_COMPLEX"},
		"who may not ask":                  {post(`{"query":"{ viewer { id } }"}`), 200, asJSON, "UNAUTHENTICATED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := d.send(nobody, c.request)
			if r.status != c.status || r.header.Get("Content-Type") != c.media+"; charset=utf-8" {
				t.Errorf("status %d, %s, want %d, %s\n%s", r.status, r.header.Get("Content-Type"), c.status, c.media, r.text)
			}
			if c.code != "" {
				r.refused(c.code)
			} else {
				r.done()
			}
			if executed := c.code == "" || name == "who may not ask"; executed != strings.Contains(r.text, `"data":`) {
				t.Errorf("data is there: %t\n%s", !executed, r.text)
			}
			if c.status == 405 && r.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestPreflightIsTheApps(t *testing.T) {
	t.Parallel()
	d := open(t, func(o *resolvers.Options) {
		o.Preflight = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	})
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, httptest.NewRequest(http.MethodOptions, "/graphql", nil))
	if w.Code != http.StatusNoContent {
		t.Errorf("status %d", w.Code)
	}
}

func TestARefusedTokenFailsEverything(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct {
		why    *problem.Definition
		status int
		code   string
	}{
		{problem.Unauthorized, 401, "UNAUTHENTICATED"},
		{problem.SessionExpired, 401, "UNAUTHENTICATED"},
		{problem.ServiceUnavailable, 503, "UNAVAILABLE"},
	} {
		actor := domain.Actor{Refused: problem.New(c.why).From(errors.New("signature of key k7 is wrong"))}
		r := d.ask(actor, `{ version { version } }`, nil).refused(c.code)
		if r.status != c.status || strings.Contains(r.text, "data") || strings.Contains(r.text, "k7") {
			t.Errorf("status %d: %s", r.status, r.text)
		}
		if (r.header.Get("WWW-Authenticate") != "") != (c.status == 401) {
			t.Errorf("WWW-Authenticate %q with %d", r.header.Get("WWW-Authenticate"), r.status)
		}
	}
	d.ask(nobody, `{ version { version } }`, nil).done()
}

func TestLimits(t *testing.T) {
	t.Parallel()
	d := open(t)
	fragments := "fragment f0 on Version { version commit } "
	for i := 1; i < 60; i++ {
		fragments += fmt.Sprintf("fragment f%d on Version { ...f%d ...f%d } ", i, i-1, i-1)
	}
	aliases := ""
	for i := range 60 {
		aliases += fmt.Sprintf("a%d: version ", i)
	}
	for name, document := range map[string]string{
		"42 KiB of fields":                `{ version { ` + strings.Repeat("version ", 5376) + `} }`,
		"as many as the length allows":    `{ version { ` + strings.Repeat("version ", 1900) + `} }`,
		"40 deep":                         strings.Repeat("{ invitation ", 40) + strings.Repeat("}", 40),
		"900 deep":                        strings.Repeat("{a", 900) + strings.Repeat("}", 900),
		"5000 directives":                 `{ version ` + strings.Repeat("@include(if: true) ", 3000) + `{ version } }`,
		"900 short directives":            `{ version ` + strings.Repeat("@a ", 900) + `{ version } }`,
		"fragments that double":           fragments + `{ version { ...f59 } }`,
		"aliases":                         `{ version { ` + aliases + `} }`,
		"root fields":                     `{ ` + strings.Repeat("version { version } ", 21) + `}`,
		"root fields of a fragment":       `{ ...r } fragment r on Query { ` + strings.Repeat("version { version } ", 21) + `}`,
		"pages of pages":                  `{ invitations(first: 100) { nodes { timeline(first: 100) { nodes { id } } } } }`,
		"pages that are far too large":    `{ invitations(first: 2000000000) { nodes { timeline(last: 2000000000) { nodes { id } } } } }`,
		"a list in a list in a short one": `{ nodes(ids: [1,2,3,4,5,6,7,8,9,10]) { ... on Invitation { timeline(first: 100) { nodes { id name from to actor cursor occurredAt subjectId subjectKind } } } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, _ := json.Marshal(map[string]any{"query": document})
			start := time.Now()
			r := d.send(as("alice"), post(string(body))).refused("TOO_COMPLEX")
			if took := time.Since(start); took > time.Second {
				t.Errorf("it took %s to say no", took)
			}
			if r.status != http.StatusBadRequest || len(r.text) > 300 {
				t.Errorf("status %d, %d bytes", r.status, len(r.text))
			}
		})
	}
	d.ask(as("alice"), `{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }`, nil).refused("BAD_DOCUMENT")
	d.ask(as("alice"), `{ version { `+strings.Repeat("version ", 99)+`} }`, nil).done()
	d.ask(as("alice"), `{ version { `+strings.Repeat("version ", 101)+`} }`, nil).refused("TOO_COMPLEX")
	d.ask(as("alice"), `{ invitations(first: 50) { edges { cursor node { id state type emailAddress createdAt expiresAt version resendCount } } pageInfo { endCursor } } }`, nil).done()
}

func TestAtMostFiveErrors(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.ask(nobody, `{ a b c d e f g h }`, nil).refused("BAD_DOCUMENT")
	if len(r.body.Errors) != 5 {
		t.Errorf("%d errors", len(r.body.Errors))
	}
}

// TestErrorsTellNothing: errors contain no value of the caller, no Go type and no internal text.
func TestErrorsTellNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	const secret = "hunter22hunter22"
	for name, r := range map[string]*http.Request{
		"a broken body":        post(`{"query": "` + secret),
		"a wrong member":       post(`{"query": "{ version { version } }", "variables": ["` + secret + `"]}`),
		"a broken document":    post(`{"query": "mutation { verifyInvitation(input: \"` + secret + `\" }"}`),
		"a broken string":      post(`{"query": "{ node(id: \"` + secret + `"}`),
		"a literal":            post(`{"query": "{ invitations(first: \"` + secret + `\") { nodes { id } } }"}`),
		"an enumeration":       post(`{"query": "{ lifecycle(of: \"` + secret + `\") { kind } }"}`),
		"an unquoted word":     post(`{"query": "{ lifecycle(of: ` + secret + `) { kind } }"}`),
		"a time":               post(`{"query": "{ invitations(where: {createdAt: {gt: \"` + secret + `\"}}) { nodes { id } } }"}`),
		"a variable":           post(`{"query": "query($n: Int) { invitations(first: $n) { nodes { id } } }", "variables": {"n": "` + secret + `"}}`),
		"a deep variable":      post(`{"query": "query($w: InvitationWhere) { invitations(where: $w) { nodes { id } } }", "variables": {"w": {"state": {"eq": "` + secret + `"}}}}`),
		"a variable of a kind": post(`{"query": "query($w: InvitationWhere) { invitations(where: $w) { nodes { id } } }", "variables": {"w": ["` + secret + `"]}}`),
		"a variable in a list": post(`{"query": "query($i: [ID!]!) { nodes(ids: $i) { id } }", "variables": {"i": [{"` + secret + `": 1}]}}`),
		"an unknown member":    post(`{"query": "query($w: InvitationWhere) { invitations(where: $w) { nodes { id } } }", "variables": {"w": {"` + secret + `": 1}}}`),
		"a member too deep":    post(`{"query": "query($w: InvitationWhere) { invitations(where: $w) { nodes { id } } }", "variables": {"w": {"not": {"` + secret + `": "` + secret + `"}}}}`),
		"a default":            post(`{"query": "query($n: Int = \"` + secret + `\") { invitations(first: $n) { nodes { id } } }"}`),
		"a default of a time":  post(`{"query": "query($t: DateTime = \"` + secret + `\") { invitations(where: {createdAt: {gt: $t}}) { nodes { id } } }"}`),
		"a directive":          post(`{"query": "{ version @include(if: \"` + secret + `\") { version } }"}`),
		"an object for a text": post(`{"query": "query($i: ID!) { node(id: $i) { id } }", "variables": {"i": {"a": "` + secret + `"}}}`),
		"a text for an object": post(`{"query": "mutation($i: VerifyInvitationInput!) { verifyInvitation(input: $i) { replayed } }", "variables": {"i": "` + secret + `"}}`),
		"a text for a number":  post(`{"query": "mutation($i: VerifyInvitationInput!) { verifyInvitation(input: $i) { replayed } }", "variables": {"i": {"invitationId": "x", "sharedSecret": "y", "expectedVersion": "` + secret + `"}}}`),
		"a number for a text":  post(`{"query": "mutation($i: VerifyInvitationInput!) { verifyInvitation(input: $i) { replayed } }", "variables": {"i": {"invitationId": "x", "sharedSecret": 22222222222222222222}}}`),
		"a document of bytes":  post(`{"query": "` + secret + `\u0000\ud800"}`),
		"a name of a type":     post(`{"query": ["` + secret + `"]}`),
		"a member of the body": post(`{"query": "{ version { version } }", "operationName": {"` + secret + `": 1}}`),
		"a query string":       get(url.Values{"query": {`{ version { version } }`}, "variables": {`{"` + secret}}),
		"an extension":         get(url.Values{"query": {`{ version { version } }`}, "extensions": {secret}}),
		"an operation":         post(`{"query": "query a { version { version } }", "operationName": "` + secret + `"}`),
		"a hash":               post(`{"query": "{ version { version } }", "extensions": {"persistedQuery": {"sha256Hash": "` + secret + `"}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := d.send(as("alice"), r).refused("BAD_DOCUMENT")
			for _, word := range []string{secret, "json:", "map[", "interface", "float64", "int64", "struct", "graph.", "domain.", "Did you mean", "strconv", "json.Number"} {
				if strings.Contains(answer.text, word) {
					t.Errorf("the answer has %q: %s", word, answer.text)
				}
			}
		})
	}
}

// TestSuggestions: only callers that may see the schema receive suggestions for misspelt names.
func TestSuggestions(t *testing.T) {
	t.Parallel()
	d, develop := open(t), open(t, development)
	for _, document := range []string{
		`{ versio { version } }`, `{ invitations(frst: 1) { nodes { id } } }`, `{ version }`, `query($k: LifecycleKin) { lifecycle(of: $k) { kind } }`,
		`{ invitations(where: {stat: {eq: SENT}}) { nodes { id } } }`,
	} {
		for _, r := range []*reply{d.ask(as("alice"), document, nil), d.ask(nobody, document, nil)} {
			if r.refused("BAD_DOCUMENT"); strings.Contains(r.text, "Did you mean") {
				t.Error(r.text)
			}
		}
		for _, r := range []*reply{d.ask(as("root", domain.ScopeAdminRead), document, nil), develop.ask(nobody, document, nil)} {
			if strings.Contains(document, "LifecycleKin)") { // the library has none for types
				continue
			}
			if r.refused("BAD_DOCUMENT"); !strings.Contains(r.text, "Did you mean") {
				t.Error(r.text)
			}
		}
	}
	const document = `query($w: InvitationWhere) { invitations(where: $w) { nodes { id } } }`
	variables := map[string]any{"w": map[string]any{"stat": map[string]any{}}}
	for told, r := range map[string]*reply{
		"The variable $w has an unknown member.": d.ask(as("alice"), document, variables),
		"The variable $w.stat is unknown.":       develop.ask(as("alice"), document, variables),
	} {
		if r.refused("BAD_DOCUMENT").body.Errors[0].Message != told {
			t.Error(r.text)
		}
	}
}

// TestWhatIsMissing: an error about a document or a variable names the member.
func TestWhatIsMissing(t *testing.T) {
	t.Parallel()
	d := open(t)
	revoke := `mutation($input: RevokeInvitationInput!) { revokeInvitation(input: $input) { replayed } }`
	for told, r := range map[string]*reply{
		"The variable $input is missing.":                                                                                  d.ask(as("alice"), revoke, nil),
		"The variable $input.invitationId is missing.":                                                                     d.ask(as("alice"), revoke, map[string]any{"input": map[string]any{}}),
		"The variable $input.invitationId must not be null.":                                                               d.ask(as("alice"), revoke, map[string]any{"input": map[string]any{"invitationId": nil}}),
		"The variable $input.invitationId is not valid.":                                                                   d.ask(as("alice"), revoke, map[string]any{"input": map[string]any{"invitationId": true}}),
		`Field "RevokeInvitationInput.invitationId" of required type "ID!" was not provided.`:                              d.ask(as("alice"), `mutation { revokeInvitation(input: {}) { replayed } }`, nil),
		`Field "id" is not defined by type "RevokeInvitationInput".`:                                                       d.ask(as("alice"), `mutation { revokeInvitation(input: {invitationId: "x", id: "y"}) { replayed } }`, nil),
		`Field "revokeInvitation" argument "input" of type "RevokeInvitationInput!" is required, but it was not provided.`: d.ask(as("alice"), `mutation { revokeInvitation { replayed } }`, nil),
	} {
		if r.refused("BAD_DOCUMENT").body.Errors[0].Message != told {
			t.Errorf("want %q: %s", told, r.text)
		}
	}
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, document := range []string{introspection.Query, `{ __type(name: "Query") { name } }`, `{ ...f } fragment f on Query { ... { s: __schema { queryType { name } } } }`} {
		d.ask(as("alice"), document, nil).refused("BAD_DOCUMENT")
		d.ask(nobody, document, nil).refused("BAD_DOCUMENT")
		d.ask(as("root", domain.ScopeAdminRead), document, nil).done()
		open(t, development).ask(nobody, document, nil).done()
	}
	d.ask(nobody, `{ __typename version { __typename } }`, nil).done().says("Query", "__typename")
}

// broken is a directory that fails with the given error.
type broken struct{ fail func() error }

func (b broken) Account(context.Context, string) (*domain.Account, error) { return nil, b.fail() }
func (b broken) Accounts(context.Context, []string) ([]*domain.Account, error) {
	return nil, b.fail()
}

func (b broken) Organization(context.Context, string) (*domain.Organization, error) {
	return nil, b.fail()
}

func (b broken) PartOf(context.Context, string) ([]string, []string, error) {
	return nil, nil, b.fail()
}

func (b broken) Customer(context.Context, string) (*domain.Customer, error) { return nil, b.fail() }
func (b broken) Application(context.Context, string) (*domain.Application, error) {
	return nil, b.fail()
}

func (b broken) Jurisdiction(context.Context, string) (*domain.Jurisdiction, error) {
	return nil, b.fail()
}

func TestIncidents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail func() error
		code string
		log  string
	}{
		"an error":       {func() error { return errors.New("disk on fire") }, "INTERNAL", "disk on fire"},
		"a panic":        {func() error { panic("disk on fire") }, "INTERNAL", "stack="},
		"an outage":      {func() error { return problem.New(problem.ServiceUnavailable).From(errors.New("disk on fire")) }, "UNAVAILABLE", "disk on fire"},
		"a caller gone":  {func() error { return fmt.Errorf("disk on fire: %w", context.Canceled) }, "UNAVAILABLE", ""},
		"an own mistake": {func() error { return problem.New(problem.InternalError).Because("disk on fire") }, "INTERNAL", "disk on fire"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, func(o *resolvers.Options) {
				service := *o.Service
				service.Directory = broken{c.fail}
				o.Service = &service
			})
			for _, r := range []*reply{
				d.ask(as("alice"), `{ invitations { nodes { id } } }`, nil),
				d.ask(as("alice"), mutation("createInvitation"), input(createInput())),
			} {
				r.refused(c.code)
				if strings.Contains(r.text, "fire") || strings.Contains(r.text, "goroutine") {
					t.Errorf("the answer tells: %s", r.text)
				}
				if !strings.Contains(d.log.String(), c.log) {
					t.Errorf("the log does not tell: %s", d.log)
				}
				id, _ := r.body.Errors[0].Extensions["incident"].(string)
				if (c.code == "INTERNAL") != (id != "" && strings.Contains(d.log.String(), id)) {
					t.Errorf("incident %q", id)
				}
			}
		})
	}
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestPersistedQueries(t *testing.T) {
	t.Parallel()
	d := open(t)
	const document = `{ version { version } }`
	extensions := `{"persistedQuery":{"version":1,"sha256Hash":"` + sha(document) + `"}}`
	r := d.send(nobody, post(`{"extensions":`+extensions+`}`)).refused("BAD_DOCUMENT")
	if r.status != http.StatusOK || r.body.Errors[0].Message != "PersistedQueryNotFound" {
		t.Errorf("status %d: %s", r.status, r.text)
	}
	d.send(nobody, post(`{"query":"`+document+`","extensions":`+extensions+`}`)).done()
	d.send(nobody, post(`{"extensions":`+extensions+`}`)).done().says("1.2.3", "version", "version")
	d.send(nobody, get(url.Values{"extensions": {extensions}})).done().says("1.2.3", "version", "version")
	d.send(nobody, post(`{"query":"{ version { commit } }","extensions":`+extensions+`}`)).refused("BAD_DOCUMENT")

	// A document that was registered by POST is served by GET only if it is a query.
	const change = `mutation { revokeInvitation(input: {invitationId: \"inv_0\"}) { replayed } }`
	extensions = `{"persistedQuery":{"version":1,"sha256Hash":"` + sha(strings.ReplaceAll(change, `\"`, `"`)) + `"}}`
	d.send(as("alice"), post(`{"query":"`+change+`","extensions":`+extensions+`}`)).done()
	if r := d.send(as("alice"), get(url.Values{"extensions": {extensions}})).refused("BAD_DOCUMENT"); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "POST" {
		t.Errorf("status %d, Allow %q", r.status, r.header.Get("Allow"))
	}
	// A document may also be registered by GET. Limits apply to registered documents: a refused document is also
	// refused by its hash.
	const other, large = `{ version { goVersion } }`, `{ version { version version } version { version } a: version { commit } b: version { commit } }`
	hash := func(text string) string { return `{"persistedQuery":{"version":1,"sha256Hash":"` + sha(text) + `"}}` }
	d.send(nobody, get(url.Values{"query": {other}, "extensions": {hash(other)}})).done()
	d.send(nobody, get(url.Values{"extensions": {hash(other)}})).done().says("go1.26", "version", "goVersion")
	small := open(t, func(o *resolvers.Options) { o.Limits = resolvers.DefaultLimits; o.Limits.Aliases = 1 })
	for range 2 {
		small.send(nobody, post(`{"query":"`+large+`","extensions":`+hash(large)+`}`)).refused("TOO_COMPLEX")
		small.send(nobody, post(`{"extensions":`+hash(large)+`}`)).refused("TOO_COMPLEX")
	}
}

func TestTrustedDocuments(t *testing.T) {
	t.Parallel()
	const document = `{ version { version } }`
	d := open(t, func(o *resolvers.Options) {
		o.TrustedDocuments = map[string]string{"what-runs": document, "mine": `query($id: ID!) { invitation(id: $id) { id } }`, "change": `mutation { revokeInvitation(input: {invitationId: "inv_0"}) { replayed } }`}
	})
	for _, r := range []*http.Request{
		post(`{"documentId":"what-runs"}`),
		post(`{"extensions":{"documentId":"what-runs"}}`),
		post(`{"documentId":"` + sha(document) + `"}`),
		post(`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + sha(document) + `"}}}`),
		post(`{"query":"` + document + `"}`),
		get(url.Values{"documentId": {"what-runs"}}),
	} {
		d.send(nobody, r).done().says("1.2.3", "version", "version")
	}
	for _, body := range []string{
		`{"query":"{ version { commit } }"}`,
		`{"query":"{ version { commit } }","documentId":"what-runs"}`,
		`{"query":"{ version { commit } }","extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + sha(`{ version { commit } }`) + `"}}}`,
		`{"documentId":"other"}`,
	} {
		d.send(nobody, post(body)).refused("BAD_DOCUMENT")
	}
	d.send(as("alice"), post(`{"documentId":"mine","variables":{"id":"inv_0"}}`)).done().says(nil, "invitation")
	d.send(as("alice"), get(url.Values{"documentId": {"mine"}, "variables": {`{"id":"inv_0"}`}})).done().says(nil, "invitation")
	if r := d.send(as("alice"), get(url.Values{"documentId": {"change"}})).refused("BAD_DOCUMENT"); r.status != http.StatusMethodNotAllowed {
		t.Errorf("status %d", r.status)
	}
	d.send(as("alice"), post(`{"documentId":"change"}`)).done()
	// Even an administrator may not send another document.
	d.send(administrator(), post(`{"query":"{ __schema { queryType { name } } }"}`)).refused("BAD_DOCUMENT")
}
