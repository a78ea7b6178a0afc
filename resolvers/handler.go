package resolvers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

// Options configures the handler.
type Options struct {
	// Service holds the rules; New makes a copy. Required.
	Service *domain.Service
	// Log receives incidents; required.
	Log *slog.Logger
	// Now returns the current time; by default that of Service.
	Now func() time.Time
	// Development shows the schema to every caller, and adds suggestions to errors.
	Development bool
	// TrustedDocuments maps ids to documents. If not nil, only these documents are served.
	TrustedDocuments map[string]string
	// Version, Commit and Go describe the program.
	Version, Commit, Go string
	// Limits restricts requests; the zero value means DefaultLimits.
	Limits Limits
	// Preflight handles OPTIONS; if nil, the method is not allowed.
	Preflight http.Handler
	// Origins lists the browser origins that may open a WebSocket.
	Origins []string
	// Authenticate returns the actor for an Authorization value that was not sent as a header; if nil, such values are
	// ignored.
	Authenticate func(ctx context.Context, authorization string) domain.Actor
	// generated disables the plans and uses only the generated executor; tests compare the two.
	generated bool
}

// The sizes of the caches in documents. A document is at most Limits.Body long, so the caches are limited to some tens
// of megabytes whatever clients send.
const (
	parsedDocuments    = 256
	persistedDocuments = 256
)

// maxErrors is the maximum number of errors in a response, because a document can be invalid in thousands of places.
const maxErrors = 5

// The media types of GraphQL over HTTP.
const (
	typeResponse = "application/graphql-response+json"
	typeJSON     = "application/json"
	// typeAny is typeJSON for success, which every client can read, and otherwise typeResponse with its statuses.
	typeAny = "*/*"
)

type handler struct {
	// executor serves all callers; helpful adds suggestions for callers that may see the schema.
	executor    *executor.Executor
	helpful     *executor.Executor
	log         *slog.Logger
	now         func() time.Time
	development bool
	limits      Limits
	preflight   http.Handler

	live         *domain.Live
	origins      []string
	authenticate func(context.Context, string) domain.Actor
}

// New returns the handler of /graphql: GraphQL over HTTP, by POST, and by GET for queries. The caller is in the context
// (domain.WithActor); a rejected token fails the whole request.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = o.Service.Now
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	service := *o.Service
	service.Directory = cachedDirectory{service.Directory}
	if service.Live == nil {
		service.Live = domain.NewLive(o.Service)
	}
	schema := graph.NewExecutableSchema(graph.Config{
		Resolvers: &resolver{Service: &service, version: domain.Version{Version: o.Version, Commit: o.Commit, Go: o.Go}},
	})
	if !o.generated {
		schema = graph.Lean(schema)
	}
	h := &handler{
		executor: executor.New(schema), helpful: executor.New(schema), log: o.Log, now: o.Now, development: o.Development,
		limits: o.Limits, preflight: o.Preflight, live: service.Live, origins: o.Origins, authenticate: o.Authenticate,
	}
	documents := lru.New[*ast.QueryDocument](parsedDocuments)
	var stored graphql.HandlerExtension = persistedQueries{lru.New[string](persistedDocuments)}
	if o.TrustedDocuments != nil {
		stored = newTrustedDocuments(o.TrustedDocuments)
	}
	limits := &guard{limits: o.Limits, development: o.Development, documents: documents, schema: withCosts(schema), weights: newWeights()}
	for _, e := range []*executor.Executor{h.executor, h.helpful} {
		e.SetQueryCache(documents)
		e.SetParserTokenLimit(o.Limits.Tokens)
		if e != h.helpful {
			e.SetDisableSuggestion(true)
			e.SetDefaultRulesFn(rulesWithoutSuggestions)
		}
		e.SetErrorPresenter(h.present)
		e.SetRecoverFunc(caught)
		e.Use(stored)
		e.Use(limits)
		e.AroundRootFields(withLoaders(&service))
		e.AroundResponses(withEventLoaders(&service))
	}
	return h
}

// ServeHTTP handles one request. The cheap checks come first.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isWebSocketUpgrade(r) {
		h.connect(w, r)
		return
	}
	a := &answer{w: w, media: typeAny, events: acceptsEvents(r.Header.Values("Accept"))}
	defer func() {
		if v := recover(); v != nil {
			a.fail(http.StatusInternalServerError, h.present(r.Context(), caught(r.Context(), v)))
		}
	}()
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Add("Vary", "Accept")
	media, acceptable := negotiate(r.Header.Values("Accept"))
	if acceptable {
		a.media = media
	}
	a.eventsOnly = a.events && !acceptable
	switch {
	case r.Method == http.MethodOptions && h.preflight != nil:
		h.preflight.ServeHTTP(w, r)
		return
	case r.Method != http.MethodPost && r.Method != http.MethodGet:
		w.Header().Set("Allow", "GET, POST")
		a.fail(http.StatusMethodNotAllowed, refusal(codeBadDocument, "Send GraphQL requests by POST, or queries by GET."))
		return
	case !acceptable && !a.events:
		a.fail(http.StatusNotAcceptable, refusal(codeBadDocument, "Answers are "+typeResponse+" or "+typeJSON+"."))
		return
	}
	if p := domain.ActorFrom(r.Context()).Refused; p != nil {
		h.refuse(a, r, p)
		return
	}
	params, status, err := h.read(w, r)
	if err != nil {
		a.fail(status, err)
		return
	}
	h.execute(a, r, params)
}

// rulesWithoutSuggestions returns the validation rules without those that search for similar names: suggestions reveal
// the schema, and are slow for long names. SetDisableSuggestion does the same for the others.
func rulesWithoutSuggestions() *rules.Rules {
	r := rules.NewDefaultRules()
	r.ReplaceRule(rules.KnownArgumentNamesRule.Name, rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc)
	r.ReplaceRule(rules.KnownTypeNamesRule.Name, rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc)
	r.ReplaceRule(rules.ValuesOfCorrectTypeRule.Name, rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc)
	return r
}

// showsSchema reports whether the caller may see the schema.
func (h *handler) showsSchema(ctx context.Context) bool {
	return h.development || domain.ActorFrom(ctx).SeesAll()
}

// refuse fails the whole request of a caller whose token was rejected, including public fields.
func (h *handler) refuse(a *answer, r *http.Request, p *problem.Problem) {
	err := h.present(r.Context(), p)
	status := statusOf(err)
	if status == http.StatusUnauthorized {
		a.w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	a.fail(status, err)
}

// operation parses and validates the requested operation.
func (h *handler) operation(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	chosen := h.executor
	if h.showsSchema(ctx) {
		chosen = h.helpful
	}
	op, errs := chosen.CreateOperationContext(ctx, params)
	if errs == nil {
		return op, nil
	}
	errs = errs[:min(len(errs), maxErrors)] // there can be one for each pair of fields
	return nil, h.executor.DispatchError(graphql.WithOperationContext(ctx, op), errs).Errors
}

func (h *handler) execute(a *answer, r *http.Request, params *graphql.RawParams) {
	ctx := graphql.StartOperationTrace(r.Context())
	op, errs := h.operation(ctx, params)
	if errs != nil {
		a.request(errs)
		return
	}
	subscribes := op.Operation.Operation == ast.Subscription
	if r.Method == http.MethodGet && op.Operation.Operation != ast.Query && (!subscribes || !a.events) {
		a.w.Header().Set("Allow", "POST")
		a.fail(http.StatusMethodNotAllowed, refusal(codeBadDocument, "GET requests may contain queries only."))
		return
	}
	if subscribes {
		h.stream(a, r.WithContext(ctx), op)
		return
	}
	next, ctx := h.executor.DispatchOperation(ctx, op)
	switch reply := next(ctx); {
	case reply == nil: // the caller has disconnected
		a.fail(http.StatusServiceUnavailable, h.present(ctx, context.Canceled))
	case reply.Data == nil:
		a.request(reply.Errors)
	case a.eventsOnly:
		a.writeSingle(reply)
	default:
		a.write(http.StatusOK, reply.Errors, reply.Data)
	}
}

// read parses the request. Its errors contain no part of it.
func (h *handler) read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, int, *gqlerror.Error) {
	if r.Method == http.MethodGet {
		return h.readQuery(r)
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, http.StatusUnsupportedMediaType, refusal(codeBadDocument, "Send "+typeJSON+" in UTF-8.")
	}
	limit := int64(h.limits.Body)
	body := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), limit)+bytes.MinRead))
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, http.StatusRequestEntityTooLarge, refusal(codeTooComplex, "The request is too large.")
	}
	if err != nil {
		return nil, http.StatusBadRequest, refusal(codeBadDocument, "The request is incomplete.")
	}
	var in request
	if !decode(body.Bytes(), &in) {
		return nil, http.StatusBadRequest, refusal(codeBadDocument, "The body must be one JSON object as specified by GraphQL over HTTP.")
	}
	return in.params(r)
}

// isJSON reports whether a Content-Type is JSON in UTF-8.
func isJSON(contentType string) bool {
	if contentType == typeJSON { // the common case
		return true
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	charset := parameters["charset"]
	return err == nil && media == typeJSON && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

func (h *handler) readQuery(r *http.Request) (*graphql.RawParams, int, *gqlerror.Error) {
	if len(r.URL.RawQuery) > h.limits.Body {
		return nil, http.StatusRequestURITooLong, refusal(codeTooComplex, "The request is too large.")
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	in := request{Query: q.Get("query"), OperationName: q.Get("operationName"), DocumentID: q.Get("documentId")}
	for name, to := range map[string]*map[string]any{"variables": &in.Variables, "extensions": &in.Extensions} {
		if text := q.Get(name); text != "" && !decode([]byte(text), to) {
			err = errors.New(name)
		}
	}
	if err != nil {
		return nil, http.StatusBadRequest, refusal(codeBadDocument, "The query string does not follow GraphQL over HTTP.")
	}
	return in.params(r)
}

// request is a request of GraphQL over HTTP.
type request struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	DocumentID    string         `json:"documentId"`
	Variables     map[string]any `json:"variables"`
	Extensions    map[string]any `json:"extensions"`
}

func (in *request) params(r *http.Request) (*graphql.RawParams, int, *gqlerror.Error) {
	p := &graphql.RawParams{
		Query: in.Query, OperationName: in.OperationName, Variables: in.Variables, Extensions: in.Extensions, Headers: r.Header,
	}
	if in.DocumentID != "" {
		if p.Extensions == nil {
			p.Extensions = map[string]any{}
		}
		p.Extensions["documentId"] = in.DocumentID
	}
	if p.Query == "" && documentID(p) == "" {
		return nil, http.StatusBadRequest, refusal(codeBadDocument, "The document is missing.")
	}
	return p, 0, nil
}

// decode decodes exactly one JSON object.
func decode(text []byte, into any) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) == 0 || text[0] != '{' {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(into) != nil {
		return false
	}
	_, err := d.Token()
	return errors.Is(err, io.EOF)
}

// negotiate returns the media type of the response: the preferred one, or the first of several with the same
// preference. If the caller accepts anything or sends no Accept header, it is typeAny
// (docs/decisions/0012-graphql-over-http.md).
func negotiate(accept []string) (media string, ok bool) {
	switch {
	case len(accept) == 0:
		return typeAny, true
	case len(accept) == 1 && (accept[0] == typeJSON || accept[0] == typeResponse):
		return accept[0], true
	}
	best := 0.0
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		name, parameters, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, ok := parameters["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		switch name {
		case "*/*", "application/*":
			name = typeAny
		case typeResponse, typeJSON:
		default:
			continue
		}
		if q > best {
			media, best = name, q
		}
	}
	return media, best > 0
}

// answer writes the response as typeResponse, typeJSON or typeAny.
type answer struct {
	w     http.ResponseWriter
	media string
	// events is true if the caller accepts server-sent events, and eventsOnly if it accepts nothing else.
	events, eventsOnly bool
}

// fail responds to a request that is not a GraphQL request: the status reports the error for every media type.
func (a *answer) fail(status int, err *gqlerror.Error) {
	a.write(status, gqlerror.List{err}, nil)
}

// request responds to a GraphQL request that was not executed. In application/json it is a response like any other
// (GraphQL over HTTP, status codes). An unknown hash is not a failure but a step of its protocol.
func (a *answer) request(errs gqlerror.List) {
	status := http.StatusOK
	if a.media != typeJSON && len(errs) > 0 && errs[0].Message != notPersisted {
		status = statusOf(errs[0])
	}
	a.write(status, errs, nil)
}

// statusOf returns the status for an error without data.
func statusOf(err *gqlerror.Error) int {
	switch err.Extensions["code"] {
	case codeUnauthenticated:
		return http.StatusUnauthorized
	case codeForbidden:
		return http.StatusForbidden
	case codeRateLimited:
		return http.StatusTooManyRequests
	case codeUnavailable:
		return http.StatusServiceUnavailable
	case codeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// wholeAnswer is the size up to which net/http sets Content-Length itself. That is cheaper: one more header field makes
// the header a larger kind of map.
const wholeAnswer = 2048

// write writes the response. The data is encoded already and is written unchanged.
func (a *answer) write(status int, errs gqlerror.List, data json.RawMessage) {
	head, body := []byte(`{"data":`), []byte(data)
	switch {
	case len(errs) > 0:
		text, err := json.Marshal(errs[:min(len(errs), maxErrors)])
		if err != nil {
			panic(err)
		}
		head = append([]byte(`{"errors":`), text...)
		if data != nil {
			head = append(head, `,"data":`...)
		}
	case data == nil:
		head = []byte{'{'}
	}
	body = append(body, '}') // the capacity is reserved, so a large response is not copied
	media := a.media
	if media == typeAny {
		media = typeResponse
		if status == http.StatusOK {
			media = typeJSON
		}
	}
	a.w.Header().Set("Content-Type", media+"; charset=utf-8")
	if size := len(head) + len(body); size > wholeAnswer {
		a.w.Header().Set("Content-Length", strconv.Itoa(size))
	}
	a.w.WriteHeader(status)
	if _, err := a.w.Write(head); err == nil {
		_, _ = a.w.Write(body)
	}
}
