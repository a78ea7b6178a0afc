package clientsessions

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

const (
	// clientCookie holds the client token of a browser.
	clientCookie = "__client"
	// cookieLife is a year, in seconds: a client token is long-lived, and browsers keep no cookie much longer.
	cookieLife = 365 * 24 * 60 * 60
)

// versions are the published dates of the API. Clients already send later ones, which are accepted.
var versions = []string{"2021-02-05", "2024-10-01", "2025-03-12", "2025-04-10", "2025-11-10", "2026-05-12"}

// caller has the data about the caller in the headers and the query. None of it is verified.
type caller struct {
	// native is set for a native application, which authenticates by header.
	native bool
	// origin is the browser origin; an allowed one, or empty.
	origin string
	// credential is the client token as received; empty for none.
	credential string
	// cookies are the values of all cookies with a client token, if the credential is from one. A browser sends several if
	// they were set for different paths or domains.
	cookies []string
	// authorization is set if the credential is from the header, development if it is that of a development browser.
	authorization, development bool
	// method overrides the method of a POST; empty for none.
	method string
	// session is the acting session outside of /client.
	session string
}

// read applies the rules about headers, in the order of the contract, and the one about the version.
func (a *api) read(r *http.Request) (caller, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return caller{}, problem.New(problem.MalformedParameters)
	}
	origins, authorizations := r.Header.Values("Origin"), r.Header.Values("Authorization")
	flag := query.Get("_is_native")
	c := caller{native: flag == "1" || flag == "true", session: query.Get("_clerk_session_id")}
	switch { // valid values contain no comma: one with a comma was several headers
	case len(origins) > 1 || strings.Contains(strings.Join(origins, ""), ","):
		return c, problem.New(problem.SeveralOrigins)
	case len(authorizations) > 1 || strings.Contains(strings.Join(authorizations, ""), ","):
		return c, problem.New(problem.SeveralAuthorizations)
	case len(origins) > 0 && len(authorizations) > 0:
		return c, problem.New(problem.OriginAndAuthorization)
	case c.native && len(authorizations) == 0:
		return c, problem.New(problem.RequestHeaderMissing).Because("A native application must send the header Authorization.")
	case len(origins) > 0 && !slices.Contains(a.AllowedOrigins, origins[0]):
		return c, problem.New(problem.OriginInvalid)
	}
	if len(origins) > 0 {
		c.origin = origins[0]
	}
	a.credential(&c, r, query)
	// A request with a browser's credential is a browser request. A browser omits Origin on a same-origin read, and
	// marks it with a header that no page can set (docs/dialects/client-sessions.md, a page of our own origin).
	own := safe(r.Method) && r.Header.Get("Sec-Fetch-Site") == "same-origin"
	if !c.native && c.credential != "" && c.origin == "" && !own {
		return c, problem.New(problem.RequestHeaderMissing).Because("A browser must send the header Origin.")
	}
	if !versioned(query["__clerk_api_version"], r.Header.Values("Clerk-API-Version")) {
		return c, problem.New(problem.APIVersionInvalid)
	}
	switch method := query["_method"]; {
	case r.Method != http.MethodPost || len(method) == 0: // a link must not sign a user out
	case len(method) == 1 && slices.Contains([]string{http.MethodDelete, http.MethodPatch, http.MethodPut}, strings.ToUpper(method[0])):
		c.method = strings.ToUpper(method[0])
	default:
		return c, problem.New(problem.MalformedParameters).Because("The parameter _method must be DELETE, PATCH or PUT.").With("name", "_method")
	}
	return c, nil
}

func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// credential sets the client token from the place where this kind of caller sends it.
func (a *api) credential(c *caller, r *http.Request, query url.Values) {
	if c.native {
		c.credential, c.authorization = strings.TrimSpace(r.Header.Get("Authorization")), true
		return
	}
	if a.Development {
		for _, name := range []string{"__clerk_db_jwt", "__dev_session"} {
			if token := query.Get(name); token != "" {
				c.credential, c.development = token, true
				return
			}
		}
	}
	for _, cookie := range r.CookiesNamed(clientCookie) {
		c.cookies = append(c.cookies, cookie.Value)
	}
	if len(c.cookies) > 0 {
		c.credential = c.cookies[0]
	}
}

// versioned reports whether a request has no version, or one valid version.
func versioned(query, header []string) bool {
	value := slices.Concat(query, header)
	if len(value) == 0 {
		return true
	}
	_, err := time.Parse(time.DateOnly, value[0])
	return len(value) == 1 && err == nil && (slices.Contains(versions, value[0]) || value[0] > versions[len(versions)-1])
}

// identify adds the calling client to the context.
func (a *api) identify(r *http.Request, c caller) (context.Context, error) {
	ctx, token := r.Context(), c.credential
	if c.authorization {
		scheme, rest, two := strings.Cut(token, " ")
		switch {
		case strings.EqualFold(token, "Bearer"):
			token = ""
		case two && (!strings.EqualFold(scheme, "Bearer") || strings.Contains(strings.TrimSpace(rest), " ")):
			return ctx, problem.New(problem.AuthorizationMalformed)
		case two:
			token = strings.TrimSpace(rest)
		}
	}
	if token == "" {
		return ctx, signedOut()
	}
	ctx, err := a.Service.WithClient(ctx, token)
	for i := 1; i < len(c.cookies) && problem.Has(err, problem.ClientTokenInvalid); i++ {
		ctx, err = a.Service.WithClient(r.Context(), c.cookies[i])
	}
	if c.development && problem.Has(err, problem.ClientTokenInvalid) {
		return ctx, problem.New(problem.DevBrowserUnknown)
	}
	return ctx, err
}

// exposed are the headers that a page may read.
const exposed = "Authorization, Clerk-Db-Jwt, Retry-After, X-Country, Idempotent-Replayed, X-Request-Id"

// cors sets the CORS headers for pages of the allowed origins, with credentials, and answers their preflights.
func (a *api) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	header := w.Header()
	if !slices.Contains(header.Values("Vary"), "Origin") {
		header.Add("Vary", "Origin")
	}
	origins := r.Header.Values("Origin")
	if len(origins) != 1 || !slices.Contains(a.AllowedOrigins, origins[0]) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origins[0])
	header.Set("Access-Control-Allow-Credentials", "true")
	header.Set("Access-Control-Expose-Headers", exposed)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Clerk-API-Version, Idempotency-Key, X-Request-Id")
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// acting returns the context of the session that acts for a customer outside of /client: the named one, otherwise the
// client's active one, otherwise its first live one.
func (a *api) acting(c *call) (context.Context, error) {
	id := c.caller.session
	if id == "" {
		client, listed, err := a.Service.ClientSessions(c.Context(), c.clientID())
		if err != nil {
			return nil, err
		}
		for _, r := range listed {
			if r.State.Live() && (id == "" || client.LastActiveSessionID != nil && *client.LastActiveSessionID == r.ID) {
				id = r.ID
			}
		}
		if id == "" {
			return nil, signedOut()
		}
	}
	ctx, err := a.Service.WithSessionUser(c.Context(), id)
	return ctx, describe(err, "use", id)
}
