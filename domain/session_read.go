package domain

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// SessionSchema has the fields by which sessions can be selected and ordered.
var SessionSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "state", Type: listing.Enum, Values: sessionMachine.StateNames()},
	{Name: "userId", Type: listing.ID},
	{Name: "clientId", Type: listing.ID},
	{Name: "createdAt", Type: listing.Time},
	{Name: "updatedAt", Type: listing.Time},
	{Name: "lastActiveAt", Type: listing.Time},
	{Name: "expireAt", Type: listing.Time},
	{Name: "abandonAt", Type: listing.Time},
}}

// SessionValue reads a field of a session.
func SessionValue(r *Session, field string) listing.Value {
	switch field {
	case "_id":
		return r.ID
	case "state":
		return string(r.State)
	case "userId":
		return r.UserID
	case "clientId":
		if r.ClientID != nil {
			return *r.ClientID
		}
	case "createdAt":
		return r.CreatedAt
	case "updatedAt":
		return r.UpdatedAt
	case "lastActiveAt":
		return r.LastActiveAt
	case "expireAt":
		return r.ExpireAt
	case "abandonAt":
		return r.AbandonAt
	}
	return nil
}

// sessionLapse makes lists return abandoned and expired sessions from the same moment as single reads.
func sessionLapse(state listing.Value, now time.Time) listing.Predicate {
	idle, old := listing.Is(listing.LE, "abandonAt", now), listing.Is(listing.LE, "expireAt", now)
	live := listing.OneWord("state", SessionActive, SessionPending)
	switch state {
	case listing.Value(string(SessionActive)), listing.Value(string(SessionPending)):
		return listing.All(listing.Eq("state", state), listing.Is(listing.GT, "abandonAt", now))
	case listing.Value(string(SessionAbandoned)):
		return listing.All(listing.Any(listing.Eq("state", state), listing.All(live, idle)), listing.Is(listing.GT, "expireAt", now))
	case listing.Value(string(SessionExpired)):
		return listing.Any(
			listing.Eq("state", state), listing.All(listing.OneWord("state", SessionActive, SessionPending, SessionAbandoned), old),
		)
	}
	return nil
}

// Session returns a session that the caller may see, by its id or its foreign handle.
// Refuses with NoSuchSession.
func (s *Service) Session(ctx context.Context, reference string) (*Session, error) {
	if err := s.Permit(ctx, "session"); err != nil {
		return nil, err
	}
	id, err := s.sessionID(ctx, reference)
	if err != nil {
		return nil, err
	}
	return show(ctx, s, sessions, id)
}

// Sessions lists the caller's sessions, or all sessions if the caller may see all records.
// Refuses with InvalidInput and InvalidParameter.
func (s *Service) Sessions(ctx context.Context, q listing.Query) (listing.Page[Session], error) {
	if err := s.Permit(ctx, "sessions"); err != nil {
		return listing.Page[Session]{}, err
	}
	q.Where = settledStates(listing.All(seenSessions(ActorFrom(ctx)), q.Where), s.now(), sessionLapse)
	page, err := s.Store.Sessions().List(ctx, q)
	settleAll(s, sessions, page.Items)
	return page, err
}

// seenSessions selects the sessions that the actor may see.
func seenSessions(a Actor) listing.Predicate {
	switch {
	case a.SeesAll():
		return listing.True
	case a.ClientKey != "":
		return listing.All(listing.Eq("clientId", a.ClientKey), listing.Ne("state", string(SessionRemoved)))
	default:
		return listing.Eq("userId", a.ID)
	}
}

// SessionOver reports whether a token's claim sid, an id or a foreign handle, names a session that has ended. It returns
// false for an unknown sid, such as those of other issuers.
func (s *Service) SessionOver(ctx context.Context, sid string) (bool, error) {
	id, err := s.sessionID(ctx, sid)
	if err != nil {
		return false, err
	}
	read, err := find(ctx, s, sessions, id)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return err == nil && !read.record.State.Live(), err
}

// ClientSessions returns a client with its live sessions and the ten newest others, ordered by creation time.
// Refuses with NoSuchClient.
func (s *Service) ClientSessions(ctx context.Context, id string) (*Client, []*Session, error) {
	client, err := s.Store.Client(ctx, id)
	if err != nil {
		return nil, nil, missingAs(err, problem.NoSuchClient)
	}
	listed, err := s.listedSessions(ctx, list(id), nil)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range listed[id] {
		if client.LastActiveSessionID != nil && *client.LastActiveSessionID == r.ID && !r.State.Live() {
			client.LastActiveSessionID = nil
		}
	}
	return client, listed[id], nil
}
