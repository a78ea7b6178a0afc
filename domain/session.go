package domain

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Session is a customer's login on a client (a browser or a device). Two documented APIs and GraphQL act on the same
// record (GraphQL contract, one session machine).
type Session struct {
	Meta
	State  SessionState
	UserID string
	// ClientID is the browser or device; nil if the login service did not name one.
	ClientID *string
	// HandleHash is a keyed hash of the foreign handle, which is a secret; nil if there is none.
	HandleHash []byte
	// Tasks are the open tasks of a pending session.
	Tasks []string
	// LastActiveAt and AbandonAt change with activity, without a transition, a version or an event.
	LastActiveAt, AbandonAt time.Time
	// ExpireAt is the end of the maximum lifetime; it never changes.
	ExpireAt time.Time
	// EndedAt, EndReason and EndedBy describe the end of the session; nil before.
	EndedAt            *time.Time
	EndReason, EndedBy *string
	// OrganizationID is the organization the session acts for; nil: none.
	OrganizationID *string
	// IPAddress and UserAgent are those of the login; personal data.
	IPAddress, UserAgent *string
}

// Head returns the part that all records share.
func (s *Session) Head() *Meta { return &s.Meta }

// KindSession is the kind.
const KindSession Kind = "session"

// Kind names the machine.
func (*Session) Kind() Kind { return KindSession }

// Device returns a readable name of the browser or device, or nil if it is unknown.
func (s *Session) Device() *string {
	if s.UserAgent == nil {
		return nil
	}
	name := DeviceName(*s.UserAgent)
	return &name
}

// SessionState is the state of a session.
type SessionState string

// The states; sessionMachine describes how each is reached.
const (
	SessionActive    SessionState = "active"
	SessionPending   SessionState = "pending"
	SessionAbandoned SessionState = "abandoned"
	SessionExpired   SessionState = "expired"
	SessionEnded     SessionState = "ended"
	SessionRemoved   SessionState = "removed"
	SessionRevoked   SessionState = "revoked"
	SessionReplaced  SessionState = "replaced"
)

// Live reports whether the session is signed in. Only live sessions issue tokens and accept activity.
func (s SessionState) Live() bool { return s == SessionActive || s == SessionPending }

// SessionTransition is a verb of the machine.
type SessionTransition string

// The transitions.
const (
	SessionEnd          SessionTransition = "end"
	SessionRemove       SessionTransition = "remove"
	SessionTerminate    SessionTransition = "terminate"
	SessionResume       SessionTransition = "resume"
	SessionCompleteTask SessionTransition = "completeTask"
	SessionReplace      SessionTransition = "replace"
	SessionAbandon      SessionTransition = "abandon"
	SessionExpire       SessionTransition = "expire"
)

type sessionRow = lifecycle.Row[SessionState, SessionTransition, Role]

var sessionMachine = &lifecycle.Machine[SessionState, SessionTransition, Role]{
	Name: string(KindSession), Start: SessionActive, Starts: list(SessionActive, SessionPending), Clock: RoleClock,
	Create: "createSession", CreateBy: list(RoleAdmin),
	States: []lifecycle.State[SessionState]{
		{
			Name: SessionActive,
			Help: "Signed in. Activity extends the session up to its maximum lifetime; time, the customer or the institution ends it.",
		},
		{Name: SessionPending, Help: "Signed in, with open tasks. Completing the last task makes the session active."},
		{
			Name: SessionAbandoned,
			Help: "There was no activity within the idle time. The institution may resume the session within its maximum lifetime.",
		},
		{Name: SessionExpired, Help: "The session reached its maximum lifetime. It can only be removed from its client."},
		{Name: SessionEnded, Help: "The customer or an administrator signed out; the client still lists the session."},
		{Name: SessionRemoved, Help: "Signed out, and removed from the client. This state is final."},
		{Name: SessionRevoked, Help: "The institution terminated the session. It can only be removed from its client."},
		{Name: SessionReplaced, Help: "A new session of the same user on the same client replaced it."},
	},
	Transitions: []sessionRow{
		{On: SessionEnd, From: list(SessionActive, SessionPending), To: list(SessionEnded), By: list(RoleOwner, RoleAdmin), Else: sessionNotLive},
		{On: SessionRemove, From: list(SessionActive, SessionPending, SessionAbandoned, SessionExpired, SessionEnded, SessionRevoked, SessionReplaced), To: list(SessionRemoved), By: list(RoleOwner, RoleAdmin), Else: sessionNotLive},
		{On: SessionTerminate, From: list(SessionActive, SessionPending, SessionAbandoned, SessionExpired), To: list(SessionRevoked), By: list(RoleAdmin), Else: sessionOver},
		{On: SessionResume, From: list(SessionActive, SessionPending, SessionAbandoned), To: list(SessionActive, SessionPending), By: list(RoleAdmin), Else: sessionNotResumable},
		{On: SessionCompleteTask, From: list(SessionPending), To: list(SessionActive, SessionPending), By: list(RoleAdmin), Else: sessionNotLive, Operation: "completeSessionTask"},
		{On: SessionReplace, From: list(SessionActive, SessionPending, SessionAbandoned), To: list(SessionReplaced), By: list(RoleAdmin), Else: sessionOver, Within: "createSession"},
		{On: SessionAbandon, From: list(SessionActive, SessionPending), To: list(SessionAbandoned), By: list(RoleClock), Else: sessionNotLive},
		{On: SessionExpire, From: list(SessionActive, SessionPending, SessionAbandoned), To: list(SessionExpired), By: list(RoleClock), Else: sessionOver},
	},
}

func sessionNotLive(SessionState) *problem.Definition { return problem.SessionNotLive }
func sessionOver(SessionState) *problem.Definition    { return problem.SessionTerminated }

// sessionNotResumable distinguishes an expired session from an ended one (Customer Sessions, state machine).
func sessionNotResumable(state SessionState) *problem.Definition {
	if state == SessionExpired {
		return problem.SessionLifetimeExceeded
	}
	return problem.SessionTerminated
}

var sessions = &life[Session, SessionState, SessionTransition]{
	kind: KindSession, machine: sessionMachine,
	shelf:   func(s Store) Shelf[Session] { return s.Sessions() },
	head:    func(r *Session) *Meta { return &r.Meta },
	state:   func(r *Session) *SessionState { return &r.State },
	rolesOf: sessionRoles,
	dummy:   func() *Session { return &Session{} },
	due: func(r *Session) (SessionTransition, SessionState, time.Time, bool) {
		switch {
		case r.State.Live() && r.AbandonAt.Before(r.ExpireAt):
			return SessionAbandon, SessionAbandoned, r.AbandonAt, true
		case r.State.Live(), r.State == SessionAbandoned:
			return SessionExpire, SessionExpired, r.ExpireAt, true
		}
		return "", "", time.Time{}, false
	},
	settled: func(r *Session, to SessionState, at time.Time) {
		if to == SessionExpired {
			r.recordEnd(at, "", "maximum lifetime")
		}
	},
	update:   updateSession,
	concerns: func(r *Session) []string { return list(r.UserID) },
	missing:  problem.NoSuchSession, denied: problem.AccessDenied, member: "sessionId",
}

// updateSession sets the members that activity has changed since the session was read.
func updateSession(r *Session, w Written) {
	if a, ok := w.Activity[r.ID]; ok {
		r.LastActiveAt, r.AbandonAt, r.OrganizationID = a.LastActiveAt, a.AbandonAt, a.OrganizationID
	}
}

// recordEnd sets time, user and reason of the end of a session, unless they are already set: removing an ended session
// does not change them.
func (s *Session) recordEnd(at time.Time, by, reason string) {
	if s.EndedAt != nil {
		return
	}
	s.EndedAt = &at
	if by != "" {
		s.EndedBy = &by
	}
	if reason != "" {
		s.EndReason = &reason
	}
}

// sessionRoles returns the actor's roles for a session. Its user and its client, by client token, are owners.
func sessionRoles(_ context.Context, _ *Service, _ *Prefetched, a Actor, r *Session) ([]Role, bool, error) {
	roles := a.staffRoles()
	if a.Known() && a.ID == r.UserID {
		roles = append(roles, RoleOwner)
	}
	if a.ClientKey != "" && r.ClientID != nil && *r.ClientID == a.ClientKey && r.State != SessionRemoved {
		roles = append(roles, RoleOwner)
	}
	return roles, len(roles) > 0, nil
}

// Client is a browser or a device, with the sessions on it.
type Client struct {
	ID                   string
	CreatedAt, UpdatedAt time.Time
	// LastActiveSessionID is the most recently touched session; nil if that session has ended.
	LastActiveSessionID *string
}

// NodeID returns the client's id.
func (c *Client) NodeID() string { return c.ID }

// CreateSessionInput describes a login; the login service sends it.
type CreateSessionInput struct {
	UserID    string   `json:"userId" validate:"required,max=255,printable"`
	ClientID  *string  `json:"clientId" validate:"omitempty,min=1,max=48,clientId"`
	Handle    *string  `json:"handle" validate:"omitempty,min=1,max=128"`
	UserAgent *string  `json:"userAgent" validate:"omitempty,max=1024"`
	IPAddress *string  `json:"ipAddress" validate:"omitempty,ip"`
	Tasks     []string `json:"tasks" validate:"omitempty,max=3,unique,dive,oneof=choose-organization reset-password setup-mfa"`
	Replace   *bool    `json:"replace"`

	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// CreateSession signs a user in. With replace, the user's other sessions on the same client are replaced. The handle is
// a secret of the caller: it is stored as a keyed hash, accepted in place of a session id, and never returned.
// Refuses with AccessDenied, InvalidInput, SessionHandleTaken and IdempotencyKeyReused.
func (s *Service) CreateSession(ctx context.Context, in CreateSessionInput) (Outcome[Session], error) {
	const operation = "createSession"
	a, err := s.begin(ctx, operation, in)
	if err != nil {
		return Outcome[Session]{}, err
	}
	replace := in.Replace != nil && *in.Replace
	replaces := "-"
	if replace {
		replaces = "+"
	}
	c := call{operation: operation, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: append([]string{
		in.UserID, optional(in.ClientID), optional(in.Handle), optional(in.UserAgent), optional(in.IPAddress), replaces,
	}, in.Tasks...)}
	return create(ctx, s, sessions, c, func(ctx context.Context, n *creation) (*Session, error) {
		r := &Session{
			Meta: newMeta("sess", n.Now), State: taskState(in.Tasks), UserID: in.UserID, ClientID: in.ClientID, Tasks: slices.Clone(in.Tasks),
			LastActiveAt: n.Now, ExpireAt: n.Now.Add(s.Settings.SessionMaxLifetime), IPAddress: in.IPAddress, UserAgent: in.UserAgent,
		}
		r.AbandonAt = s.idleUntil(n.Now, r.ExpireAt)
		if in.Handle != nil {
			r.HandleHash = s.handleHash(*in.Handle)
			switch _, err := s.Store.SessionByHandle(ctx, r.HandleHash); {
			case err == nil:
				return nil, n.keep(problem.New(problem.SessionHandleTaken).At("handle"))
			case !errors.Is(err, ErrMissing):
				return nil, err
			}
		}
		if in.ClientID == nil {
			return r, nil
		}
		login := Sighting{ClientID: *in.ClientID, SessionID: r.ID, At: n.Now}
		if replace {
			login.SoleOf = in.UserID // of concurrent logins the last one wins
			if err := s.replaceSessions(ctx, n.Unit, a, r); err != nil {
				return nil, err
			}
		}
		n.Seen = append(n.Seen, login)
		return r, nil
	})
}

// taskState returns the state of a live session.
func taskState(tasks []string) SessionState {
	if len(tasks) > 0 {
		return SessionPending
	}
	return SessionActive
}

// replaceSessions adds to the unit the replacement of the user's other sessions on the same client.
func (s *Service) replaceSessions(ctx context.Context, unit *Unit, a Actor, by *Session) error {
	others, err := s.everySession(ctx, listing.All(
		listing.Eq("userId", by.UserID), listing.Eq("clientId", *by.ClientID),
		listing.OneWord("state", SessionActive, SessionPending, SessionAbandoned),
	))
	if err != nil {
		return err
	}
	for _, r := range others {
		read := settle(s, sessions, r)
		if !sessionMachine.Row(SessionReplace).Has(read.record.State) {
			continue
		}
		read.record.recordEnd(by.CreatedAt, a.ID, "replaced by a new session")
		err := join(
			s, sessions, unit, read,
			movement[SessionState, SessionTransition]{on: SessionReplace, to: SessionReplaced, at: by.CreatedAt, by: a.ID},
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// maxHandle is the maximum length of a foreign handle, in characters (Customer Sessions, schema customerSession).
const maxHandle = 128

func (s *Service) handleHash(handle string) []byte { return s.KeyedHash("session handle", handle) }

// sessionID returns the id of a session for a reference: its id, or its foreign handle, which may look like an id of
// another system. Any other reference is returned unchanged, and no session has it.
func (s *Service) sessionID(ctx context.Context, reference string) (string, error) {
	if isLocalID("sess", reference) || reference == "" || utf8.RuneCountInString(reference) > maxHandle {
		return reference, nil
	}
	id, err := s.Store.SessionByHandle(ctx, s.handleHash(reference))
	if errors.Is(err, ErrMissing) {
		return reference, nil
	}
	return id, err
}

func isSessionID(text string) bool { return strings.HasPrefix(text, "sess_") && plausibleID(text) }

// SessionInput names a session by its id or its foreign handle, with an optional reason.
type SessionInput struct {
	SessionID string  `json:"sessionId" validate:"required,max=128"`
	Reason    *string `json:"reason" validate:"omitempty,min=1,max=255,printable"`
	Guard
}

// transitSession is begin and apply for the session of a reference. input is the caller's input.
func (s *Service) transitSession(ctx context.Context, operation string, input any, in SessionInput, on SessionTransition, parts []string,
	effect func(context.Context, *change[Session]) (SessionState, error),
) (Outcome[Session], error) {
	if _, err := s.begin(ctx, operation, input); err != nil {
		return Outcome[Session]{}, err
	}
	id, err := s.sessionID(ctx, in.SessionID)
	if err != nil {
		return Outcome[Session]{}, err
	}
	c := call{operation: operation, id: id, guard: in.Guard, parts: append(parts, optional(in.Reason))}
	return apply(ctx, s, sessions, c, on, func(ctx context.Context, ch *change[Session]) (SessionState, error) {
		ch.Reason = orEmpty(in.Reason)
		return effect(ctx, ch)
	})
}

// finish returns the effect of a transition that ends a session.
func finish(to SessionState) func(context.Context, *change[Session]) (SessionState, error) {
	return func(_ context.Context, ch *change[Session]) (SessionState, error) {
		if ch.Actor.ClientKey != "" { // the browser or device acts for its user
			ch.Actor.ID = ch.Record.UserID
		}
		ch.Record.recordEnd(ch.Now, ch.Actor.ID, ch.Reason)
		if ch.Record.ClientID != nil {
			ch.Seen = append(ch.Seen, Sighting{ClientID: *ch.Record.ClientID, SessionID: ch.Record.ID, At: ch.Now, Gone: true})
		}
		return to, nil
	}
}

// EndSession signs a session out; its client still lists it.
// Refuses with NoSuchSession, AccessDenied, StaleVersion, SessionNotLive and IdempotencyKeyReused.
func (s *Service) EndSession(ctx context.Context, in SessionInput) (Outcome[Session], error) {
	return s.transitSession(ctx, "endSession", in, in, SessionEnd, nil, finish(SessionEnded))
}

// RemoveSession signs a session out and removes it from its client.
// Refuses with NoSuchSession, AccessDenied, StaleVersion, SessionNotLive (removed already) and IdempotencyKeyReused.
func (s *Service) RemoveSession(ctx context.Context, in SessionInput) (Outcome[Session], error) {
	return s.transitSession(ctx, "removeSession", in, in, SessionRemove, nil, finish(SessionRemoved))
}

// TerminateSession ends a session for the institution. It succeeds without a change if the session has already ended.
// Refuses with NoSuchSession, AccessDenied, StaleVersion and IdempotencyKeyReused.
func (s *Service) TerminateSession(ctx context.Context, in SessionInput) (Outcome[Session], error) {
	out, err := s.transitSession(ctx, "terminateSession", in, in, SessionTerminate, nil, finish(SessionRevoked))
	if problem.Has(err, problem.SessionTerminated) {
		return out, nil
	}
	return out, err
}

// ResumeSession restarts the idle timer of a session, within its maximum lifetime.
// Refuses with NoSuchSession, AccessDenied, StaleVersion, SessionTerminated, SessionLifetimeExceeded and
// IdempotencyKeyReused.
func (s *Service) ResumeSession(ctx context.Context, in SessionInput) (Outcome[Session], error) {
	return s.transitSession(
		ctx,
		"resumeSession",
		in,
		in,
		SessionResume,
		nil,
		func(_ context.Context, ch *change[Session]) (SessionState, error) {
			r := ch.Record
			r.LastActiveAt = later(r.LastActiveAt, ch.Now)
			r.AbandonAt = later(r.AbandonAt, s.idleUntil(ch.Now, r.ExpireAt)) // the configured idle time may have been longer before
			return taskState(r.Tasks), nil
		},
	)
}

// CompleteSessionTaskInput names a task of a pending session.
type CompleteSessionTaskInput struct {
	SessionID string `json:"sessionId" validate:"required,max=128"`
	Task      string `json:"task" validate:"required,max=64"`
	Guard
}

// CompleteSessionTask removes a task from a pending session; removing the last one makes the session active.
// Refuses with NoSuchSession, AccessDenied, StaleVersion, InvalidInput (no such task is open), SessionNotLive and
// IdempotencyKeyReused.
func (s *Service) CompleteSessionTask(ctx context.Context, in CompleteSessionTaskInput) (Outcome[Session], error) {
	return s.transitSession(
		ctx,
		"completeSessionTask",
		in,
		SessionInput{SessionID: in.SessionID, Guard: in.Guard},
		SessionCompleteTask,
		list(in.Task),
		func(_ context.Context, ch *change[Session]) (SessionState, error) {
			at := slices.Index(ch.Record.Tasks, in.Task)
			if at < 0 {
				return "", problem.New(problem.InvalidInput).Because("The session has no such open task.").At("task")
			}
			ch.Record.Tasks = slices.Delete(slices.Clone(ch.Record.Tasks), at, at+1)
			return taskState(ch.Record.Tasks), nil
		},
	)
}
