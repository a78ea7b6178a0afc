// Package clientsessions is the documented REST dialect of the client session API under /v1, which browsers and native
// applications use for their sessions. docs/dialects/client-sessions.md lists the decisions where its contract is
// silent.
//
// It knows HTTP, the encodings of forms and the objects of the contract, and translates a request into calls of the
// rules and the result into a response. It must not know permissions, states or storage: package domain decides.
package clientsessions

import (
	"context"
	_ "embed"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// Prefix is the path prefix of the API in the contract.
const Prefix = "/v1"

// Options configure the dialect.
type Options struct {
	// Service holds the rules; required.
	Service *domain.Service
	// Now is the clock; required.
	Now func() time.Time
	// Log gets the details of internal errors, which callers must not see, with the trace id in the response; nil means
	// slog.Default().
	Log *slog.Logger
	// AllowedOrigins are the browser origins that may call.
	AllowedOrigins []string
	// Development admits development browsers, which store no cookie of this server.
	Development bool
}

// New returns the handler of everything under Prefix.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &api{Options: o, tokens: newTokens(o.Service, o.Now)}
	a.router = wire.NewRouter(Prefix, a.unrouted)
	for _, op := range a.operations() {
		a.router.Handle(op.method, op.below, a.serve(op))
	}
	return a
}

type api struct {
	Options
	router *wire.Router
	tokens *tokens
}

// asks specifies whether an operation needs a client.
type asks int

const (
	needsClient    asks = iota // only a client may call
	optionalClient             // the operation depends on whether there is one
	noClient                   // the response is the same for all callers
)

// operation is a row of the contract's table of endpoints.
type operation struct {
	id            string
	method, below string
	asks          asks
	// takes are the parameters of the body.
	takes []string
	// handle calls the rules, and returns the response or an error. It writes nothing.
	handle func(*call) (reply, error)
}

// call is a parsed request.
type call struct {
	*http.Request
	caller caller
	form   form
	// key is the Idempotency-Key; nil if it is absent.
	key *string
	// refused is the reason why there is no client; nil if there is one, which is then the actor.
	refused error
	// people caches the customers that this request has read from the directory.
	people map[string]*domain.Customer
}

// clientID returns the id of the calling client.
func (c *call) clientID() string { return domain.ActorFrom(c.Context()).ClientKey }

func (a *api) operations() []operation {
	const session = "/client/sessions/{session_id}"
	ignored := []string{"tab_state", "token", "force_origin"} // clients send them with token calls
	post := http.MethodPost
	return []operation{
		{"getSession", http.MethodGet, session, needsClient, nil, a.getSession},
		{"touchSession", post, session + "/touch", needsClient, []string{"active_organization_id", "intent"}, a.touch},
		{"endSession", post, session + "/end", needsClient, nil, a.end},
		{"removeSession", post, session + "/remove", needsClient, nil, a.remove},
		{"createSessionToken", post, session + "/tokens", needsClient, append([]string{"organization_id"}, ignored...), a.token},
		{"createTemplateToken", post, session + "/tokens/{template_name}", needsClient, ignored, a.templateToken},
		{"getClient", http.MethodGet, "/client", optionalClient, nil, a.getClient},
		{"putClient", http.MethodPut, "/client", optionalClient, nil, a.createClient},
		{"postClient", post, "/client", optionalClient, nil, a.createClient},
		{"endClient", http.MethodDelete, "/client", needsClient, nil, a.endClient},
		{"removeSessions", http.MethodDelete, "/client/sessions", needsClient, nil, a.removeSessions},
		{"getMySessions", http.MethodGet, "/me/sessions/active", needsClient, nil, a.mySessions},
		{"revokeMySession", post, "/me/sessions/{session_id}/revoke", needsClient, nil, a.revokeMySession},
		{"getEnvironment", http.MethodGet, "/environment", noClient, nil, a.environment},
		{"patchEnvironment", http.MethodPatch, "/environment", noClient, nil, a.environment},
		{"createDevBrowser", post, "/dev_browser", noClient, nil, a.devBrowser},
		{"getOpenAPI", http.MethodGet, "/openapi.json", noClient, nil, a.openAPI},
	}
}

type callerKey struct{}

// ServeHTTP checks the headers that identify the caller and the version, and routes the request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.cors(w, r) {
		return
	}
	who, err := a.read(r)
	if err != nil {
		a.refuse(w, r, who, problem.Of(err), nil)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
	if r.Method == http.MethodPost && who.method != "" {
		r.Method = who.method // r is a copy already
	}
	a.router.ServeHTTP(w, r)
}

// unrouted writes the error for an unknown path or method. Like every other request, it needs a client.
func (a *api) unrouted(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	who, _ := r.Context().Value(callerKey{}).(caller)
	if _, err := a.identify(r, who); err != nil {
		p = problem.Of(err)
	}
	a.refuse(w, r, who, p, nil)
}

// reply is a successful response before it is written; its status is 200.
type reply struct {
	// body is encoded as JSON.
	body any
	// document is a body in JSON.
	document []byte
	// credential is a new client token; empty for none.
	credential string
	// replayed is set if an earlier call with the same Idempotency-Key had this outcome. It is sent with an error too.
	replayed bool
}

// serve is the only writer of successful responses.
func (a *api) serve(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := r.Context().Value(callerKey{}).(caller)
		out, c, err := a.answer(op, r, who)
		if out.replayed {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		if err == nil && out.body != nil {
			out.document, err = json.Marshal(out.body)
		}
		if err != nil {
			p := problem.Of(err)
			a.refuse(w, r, who, p, a.clientBeside(c, p))
			return
		}
		if out.credential != "" {
			a.handOver(w, who, out.credential)
		}
		wire.WriteBody(w, http.StatusOK, "application/json", out.document)
	})
}

// clientBeside returns the client for an error: pages replace their state by it after a refused change. There is none
// without a client, for a read, and while the server is busy or out of order.
func (a *api) clientBeside(c *call, p *problem.Problem) *client {
	status := nameOf(p).status
	if c.clientID() == "" || safe(c.Method) || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
		return nil
	}
	known, err := a.client(c)
	if err != nil {
		return nil
	}
	return known
}

// answer reads the credential and then the body, in the order of the contract, and calls the operation. The call is
// returned as far as it was read.
func (a *api) answer(op operation, r *http.Request, who caller) (reply, *call, error) {
	c := &call{Request: r, caller: who, people: map[string]*domain.Customer{}}
	if op.asks != noClient {
		ctx, err := a.identify(r, who)
		if err != nil && op.asks == needsClient {
			return reply{}, c, err
		}
		c.Request, c.refused = r.WithContext(ctx), err
	}
	if !safe(r.Method) {
		var err error
		if c.form, err = readForm(r, op.takes); err != nil {
			return reply{}, c, err
		}
		if c.key, err = wire.IdempotencyKey(r); err != nil {
			return reply{}, c, err
		}
	}
	out, err := op.handle(c)
	return out, c, err
}

// handOver sends a client its credential: to a native application in the header Authorization, to a browser in the
// cookie.
func (a *api) handOver(w http.ResponseWriter, who caller, token string) {
	if who.native {
		w.Header().Set("Authorization", token)
		return
	}
	http.SetCookie(w, a.cookie(token, cookieLife))
}

// cookie returns the cookie of a browser; a negative age removes it.
func (a *api) cookie(token string, age int) *http.Cookie {
	return &http.Cookie{
		Name: clientCookie, Value: token, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(a.Service.Settings.PublicURL, "https://"),
	}
}

//go:embed openapi.json
var document []byte

func (a *api) openAPI(*call) (reply, error) { return reply{document: document}, nil }
