package resolvers

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// subprotocol is GraphQL over WebSocket as implemented by the library graphql-ws and most others.
const subprotocol = "graphql-transport-ws"

// The close codes of the protocol.
const (
	closeBadMessage      websocket.StatusCode = 4400
	closeNotInitialised  websocket.StatusCode = 4401
	closeForbidden       websocket.StatusCode = 4403
	closeNoSubprotocol   websocket.StatusCode = 4406
	closeInitTimeout     websocket.StatusCode = 4408
	closeTakenID         websocket.StatusCode = 4409
	closeInitialisedOnce websocket.StatusCode = 4429
)

const (
	// initTimeout is how long a client may take to send connection_init.
	initTimeout = 10 * time.Second
	// maxOperations is the maximum number of concurrent operations on a connection.
	maxOperations = 50
	// maxOperationID is the maximum length of an operation id.
	maxOperationID = 128
	// pingInterval is how often the connection is checked; pongTimeout is the time limit for the reply.
	pingInterval, pongTimeout = 25 * time.Second, 15 * time.Second
)

// isWebSocketUpgrade reports whether a request is an upgrade to WebSocket.
func isWebSocketUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// socket is one connection.
type socket struct {
	h    *handler
	r    *http.Request
	conn *websocket.Conn
	// ctx ends with the connection.
	ctx    context.Context // the lifetime of the connection
	cancel context.CancelFunc
	// running counts the operations that end by themselves.
	running sync.WaitGroup

	mu          sync.Mutex
	initialised bool
	closing     bool
	// authorization is the client's Authorization value; it is verified for each operation.
	authorization string
	operations    map[string]context.CancelFunc
}

// message is a message of the protocol.
type message struct {
	Type    string          `json:"type"`
	ID      string          `json:"id,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// connect upgrades a request to a WebSocket and serves it until it ends.
func (h *handler) connect(w http.ResponseWriter, r *http.Request) {
	a := &answer{w: w, media: typeResponse}
	if !h.fromAllowedOrigin(r) {
		a.fail(http.StatusForbidden, refusal(codeForbidden, "Connections from this origin are not permitted."))
		return
	}
	if p := domain.ActorFrom(r.Context()).Refused; p != nil {
		h.refuse(a, r, p)
		return
	}
	if h.live.Running().Err() != nil {
		a.fail(http.StatusServiceUnavailable, refusal(codeUnavailable, problem.ServiceUnavailable.Message))
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, InsecureSkipVerify: true, // the origin has been checked
	})
	if err != nil {
		return // Accept has responded
	}
	conn.SetReadLimit(int64(h.limits.Body))
	s := &socket{h: h, r: r, conn: conn, authorization: r.Header.Get("Authorization"), operations: map[string]context.CancelFunc{}}
	s.ctx, s.cancel = context.WithCancel(r.Context())
	s.serve()
}

// fromAllowedOrigin checks the Origin, which browsers send and other clients may omit. In development the server's own
// pages may be opened under each of its names.
func (h *handler) fromAllowedOrigin(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 || origins[0] == "" {
		return false
	}
	if slices.Contains(h.origins, origins[0]) {
		return true
	}
	u, err := url.Parse(origins[0])
	return h.development && err == nil && u.Host != "" && u.Host == r.Host
}

func (s *socket) serve() {
	defer func() {
		s.cancel()
		s.running.Wait()
		_ = s.conn.CloseNow()
	}()
	if s.conn.Subprotocol() != subprotocol {
		s.close(closeNoSubprotocol, "Subprotocol not acceptable")
		return
	}
	initTimer := time.AfterFunc(initTimeout, func() {
		s.mu.Lock()
		initialised := s.initialised
		s.mu.Unlock()
		if !initialised {
			s.close(closeInitTimeout, "Connection initialisation timeout")
		}
	})
	defer initTimer.Stop()
	var ping *time.Timer
	ping = time.AfterFunc(pingInterval, func() {
		ctx, cancel := context.WithTimeout(s.ctx, pongTimeout)
		defer cancel()
		if s.conn.Ping(ctx) != nil {
			_ = s.conn.CloseNow()
			return
		}
		ping.Reset(pingInterval)
	})
	defer ping.Stop()
	defer context.AfterFunc(s.h.live.Running(), s.goAway)()
	for {
		kind, text, err := s.conn.Read(s.ctx)
		if err != nil {
			return
		}
		var in message
		if kind != websocket.MessageText || !decode(text, &in) || !s.handle(in) {
			s.close(closeBadMessage, "Invalid message")
			return
		}
	}
}

// goAway closes the connection when the server stops, after the operations that end by themselves.
func (s *socket) goAway() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.running.Wait()
	s.close(websocket.StatusGoingAway, "The server is stopping; connect again")
}

// close sends the reason, waits for the client's close frame, and ends the read loop.
func (s *socket) close(code websocket.StatusCode, reason string) {
	_ = s.conn.Close(code, reason)
	s.cancel()
}

// send writes a message. A client that does not read for too long is disconnected.
func (s *socket) send(m message) {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(s.ctx, stallTimeout)
	defer cancel()
	if s.conn.Write(ctx, websocket.MessageText, text) != nil {
		s.cancel()
	}
}

// handle processes a message. It returns false if the message is not part of the protocol.
func (s *socket) handle(in message) bool {
	switch in.Type {
	case "connection_init":
		return s.initialise(in.Payload)
	case "ping":
		s.send(message{Type: "pong"})
	case "pong":
	case "subscribe":
		return s.begin(in)
	case "complete":
		s.mu.Lock()
		end := s.operations[in.ID]
		delete(s.operations, in.ID)
		s.mu.Unlock()
		if end != nil {
			end()
		}
	default:
		return false
	}
	return true
}

// initialise reads the client's credentials. The payload must not be logged.
func (s *socket) initialise(payload json.RawMessage) bool {
	params := map[string]any{}
	if len(payload) > 0 && string(payload) != "null" && !decode(payload, &params) {
		return false
	}
	s.mu.Lock()
	repeated := s.initialised
	s.initialised = true
	s.mu.Unlock()
	if repeated {
		s.close(closeInitialisedOnce, "Too many initialisation requests")
		return true
	}
	for name, value := range params {
		if !strings.EqualFold(name, "Authorization") {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return false
		}
		s.authorization = text
	}
	if p := s.actor().Refused; p != nil {
		s.forbid(p)
		return true
	}
	s.send(message{Type: "connection_ack"})
	return true
}

// actor returns the client's current actor: a token that was valid may have expired, and its session may have ended.
func (s *socket) actor() domain.Actor {
	if s.h.authenticate == nil || s.authorization == "" {
		return domain.ActorFrom(s.ctx)
	}
	return s.h.authenticate(s.ctx, s.authorization)
}

// forbid closes the connection of a client whose token is not or no longer valid. With this code clients reconnect,
// with a new token if they have one.
func (s *socket) forbid(p *problem.Problem) {
	if p.Kind == problem.Unavailable {
		s.close(websocket.StatusTryAgainLater, "The token cannot be verified at the moment")
		return
	}
	s.close(closeForbidden, "Forbidden: the token is not valid or has expired, or its session has ended")
}

// begin starts an operation.
func (s *socket) begin(in message) bool {
	var req request
	if in.ID == "" || len(in.ID) > maxOperationID || !decode(in.Payload, &req) {
		return false
	}
	s.mu.Lock()
	_, duplicate := s.operations[in.ID]
	initialised, closing, many := s.initialised, s.closing, len(s.operations) >= maxOperations
	ctx, cancel := context.WithCancel(s.ctx)
	if initialised && !closing && !duplicate && !many {
		s.operations[in.ID] = cancel
		s.running.Add(1)
	}
	s.mu.Unlock()
	switch {
	case !initialised:
		s.close(closeNotInitialised, "Unauthorized")
	case duplicate:
		s.close(closeTakenID, "Subscriber for this id already exists")
	case closing:
	case many:
		s.fail(in.ID, refusal(codeRateLimited, "Too many concurrent operations on this connection."))
	default:
		go func() {
			// A client may use the id again as soon as it has the last message, so the id is released before that is sent.
			release := sync.OnceFunc(func() {
				s.mu.Lock()
				delete(s.operations, in.ID)
				s.mu.Unlock()
			})
			defer func() {
				cancel()
				release()
				s.running.Done()
			}()
			s.operate(ctx, in.ID, req, release)
		}()
		return true
	}
	cancel()
	return true
}

func (s *socket) fail(id string, errs ...*gqlerror.Error) {
	text, err := json.Marshal(errs[:min(len(errs), maxErrors)])
	if err != nil {
		panic(err)
	}
	s.send(message{Type: "error", ID: id, Payload: text})
}

// operate runs one operation to its end. It calls release before it sends the last message.
func (s *socket) operate(ctx context.Context, id string, req request, release func()) {
	defer func() {
		if v := recover(); v != nil {
			release()
			s.fail(id, s.h.present(ctx, caught(ctx, v)))
		}
	}()
	actor := s.actor()
	ctx = domain.WithActor(ctx, actor)
	if actor.Refused != nil {
		release()
		s.fail(id, s.h.present(ctx, actor.Refused))
		s.forbid(actor.Refused)
		return
	}
	params, _, err := req.params(s.r)
	if err != nil {
		release()
		s.fail(id, err)
		return
	}
	params.Headers = s.r.Header.Clone()
	params.Headers.Del("Idempotency-Key") // it applied to one request
	ctx = graphql.StartOperationTrace(ctx)
	op, errs := s.h.operation(ctx, params)
	if errs != nil {
		release()
		s.fail(id, errs...)
		return
	}
	if op.Operation.Operation == ast.Subscription {
		s.stream(ctx, id, op, release)
		return
	}
	next, ctx := s.h.executor.DispatchOperation(ctx, op)
	switch reply := next(ctx); {
	case reply == nil || ctx.Err() != nil: // the client has cancelled it
	case reply.Data == nil:
		release()
		s.fail(id, reply.Errors...)
	default:
		s.send(message{Type: "next", ID: id, Payload: bodyOf(reply.Errors, reply.Data)})
		release()
		s.send(message{Type: "complete", ID: id})
	}
}

func (s *socket) stream(ctx context.Context, id string, op *graphql.OperationContext, release func()) {
	sub, errs := s.h.subscribe(ctx, op, "websocket", nil)
	if errs != nil {
		release()
		if ctx.Err() == nil { // otherwise the client has cancelled it
			s.fail(id, errs...)
		}
		return
	}
	defer sub.end()
	for {
		body, _, last := sub.wait()
		switch {
		case ctx.Err() != nil:
		case body != nil:
			s.send(message{Type: "next", ID: id, Payload: body})
			continue
		case last != nil:
			release()
			s.fail(id, last)
			if unauthenticated(last) {
				s.close(closeForbidden, "Forbidden: the token has expired, or its session has ended")
			}
		case !sub.stopping():
			release()
			s.send(message{Type: "complete", ID: id})
		}
		return
	}
}
