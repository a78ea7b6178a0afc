// Package clientsessions is the documented REST dialect of the client session API under /v1: what a browser or a
// native application does with the sessions on it. docs/dialects/client-sessions.md says where its contract leaves
// room and what was chosen.
//
// It knows HTTP, the encodings of forms and the objects of the contract, and turns a request into calls of the rules
// and the answer back. It must not know who may do what, what is possible in which state, or where anything is stored:
// package domain decides that.
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

// Prefix is where the contract has the API.
const Prefix = "/v1"

// Options configure the dialect.
type Options struct {
	// Service holds the rules; required.
	Service *domain.Service
	// Now is the clock; required.
	Now func() time.Time
	// Log gets what a caller must not see of an internal error, with the trace id that the caller does see; nil means
	// slog.Default().
	Log *slog.Logger
	// AllowedOrigins are the browser origins that may call.
	AllowedOrigins []string
	// Development lets browsers that keep no cookie of this server call, by development browsers.
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

// asks is whether an operation needs a client.
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
	// handle calls the rules, and gives the answer or the refusal. It writes nothing.
	handle func(*call) (reply, error)
}

// call is a request that has been read.
type call struct {
	*http.Request
	caller caller
	form   form
	// key is the Idempotency-Key; nil where there is none.
	key *string
	// refused is why there is no client; nil where there is one, which then is the actor.
	refused error
	// people are the customers that this request has asked the directory for.
	people map[string]*domain.Customer
}

// clientID is the client that calls.
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

// ServeHTTP checks what every request must be, whatever it is for: the headers that say who calls, and the version.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.cors(w, r) {
		return
	}
	who, err := a.read(r)
	if err != nil {
		a.refuse(w, r, problem.Of(err))
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
	if r.Method == http.MethodPost && who.method != "" {
		r.Method = who.method // r is a copy already
	}
	a.router.ServeHTTP(w, r)
}

// unrouted answers for a path or a method that is not there; like every other request it needs a client.
func (a *api) unrouted(w http.ResponseWriter, r *http.Request, p *problem.Problem) {
	who, _ := r.Context().Value(callerKey{}).(caller)
	if _, err := a.identify(r, who); err != nil {
		p = problem.Of(err)
	}
	a.refuse(w, r, p)
}

// reply is an answer before it is written; its status is 200.
type reply struct {
	// body is written as JSON.
	body any
	// document is a body that is JSON already.
	document []byte
	// credential is a new client token; empty for none.
	credential string
	// replayed is set where an earlier call with the same Idempotency-Key had this outcome. It is sent
	// with an error too.
	replayed bool
}

// serve is the only writer of successful responses.
func (a *api) serve(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := r.Context().Value(callerKey{}).(caller)
		out, err := a.answer(op, r, who)
		if out.replayed {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		if err == nil && out.body != nil {
			out.document, err = json.Marshal(out.body)
		}
		if err != nil {
			a.refuse(w, r, problem.Of(err))
			return
		}
		if out.credential != "" {
			a.handOver(w, who, out.credential)
		}
		wire.WriteBody(w, http.StatusOK, "application/json", out.document)
	})
}

// answer reads the request in the order of the contract: the credential, then the body, then what it is for.
func (a *api) answer(op operation, r *http.Request, who caller) (reply, error) {
	c := &call{Request: r, caller: who, people: map[string]*domain.Customer{}}
	if op.asks != noClient {
		ctx, err := a.identify(r, who)
		if err != nil && op.asks == needsClient {
			return reply{}, err
		}
		c.Request, c.refused = r.WithContext(ctx), err
	}
	if !safe(r.Method) {
		var err error
		if c.form, err = readForm(r, op.takes); err != nil {
			return reply{}, err
		}
		if c.key, err = wire.IdempotencyKey(r); err != nil {
			return reply{}, err
		}
	}
	return op.handle(c)
}

// handOver gives a client its credential: a native application in the header Authorization, a browser in the cookie.
func (a *api) handOver(w http.ResponseWriter, who caller, token string) {
	if who.native {
		w.Header().Set("Authorization", token)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: clientCookie, Value: token, Path: "/", MaxAge: cookieLife, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(a.Service.Settings.PublicURL, "https://"),
	})
}

//go:embed openapi.json
var document []byte

func (a *api) openAPI(*call) (reply, error) { return reply{document: document}, nil }
