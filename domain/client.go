package domain

import (
	"context"
	"slices"

	"github.com/gatehouse/gatehouse/domain/listing"
)

// deadShown is the number of sessions listed for a client that are not live any more, the newest ones. Live sessions are
// all listed, so that no page loses one to sessions that have ended.
const deadShown = 10

// Clients returns the clients that have a session visible to the caller, in no particular order, and omits the others.
// Refuses with Unauthorized and SessionExpired.
func (s *Service) Clients(ctx context.Context, ids []string) ([]*Client, error) {
	if err := s.Permit(ctx, "client"); err != nil {
		return nil, err
	}
	a := ActorFrom(ctx)
	if a.SeesAll() {
		return s.Store.Clients(ctx, ids)
	}
	var seen []string
	if a.ClientKey != "" {
		if slices.Contains(ids, a.ClientKey) {
			seen = list(a.ClientKey)
		}
	} else {
		one, err := s.sessionsOn(ctx, ids, 1, seenSessions(a))
		if err != nil {
			return nil, err
		}
		for id := range one {
			seen = append(seen, id)
		}
	}
	if len(seen) == 0 {
		return nil, nil
	}
	return s.Store.Clients(ctx, seen)
}

// SessionsOfClients returns, by client, the live sessions and the ten newest others that the client lists and the caller may
// see, ordered by creation time.
// Refuses with Unauthorized and SessionExpired.
func (s *Service) SessionsOfClients(ctx context.Context, ids []string) (map[string][]*Session, error) {
	if err := s.Permit(ctx, "client"); err != nil {
		return nil, err
	}
	return s.listedSessions(ctx, ids, seenSessions(ActorFrom(ctx)))
}

// listedSessions returns the sessions that clients list, of those selected, ordered by creation time.
func (s *Service) listedSessions(ctx context.Context, ids []string, where listing.Predicate) (map[string][]*Session, error) {
	live := listing.OneWord("state", SessionActive, SessionPending)
	all, err := listAll(ctx, s.Store.Sessions(), listing.All(listing.OneWord("clientId", ids...), live, where))
	if err != nil {
		return nil, err
	}
	out, err := s.sessionsOn(ctx, ids, deadShown, listing.All(
		listing.Not{Of: listing.Any(live, listing.OneWord("state", SessionRemoved, SessionRevoked))}, where))
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		out[*r.ClientID] = append(out[*r.ClientID], settle(s, sessions, r).record)
	}
	for id, on := range out {
		slices.SortFunc(on, func(a, b *Session) int { return older(b.CreatedAt, a.CreatedAt, b.ID, a.ID) })
		dead := 0
		on = slices.DeleteFunc(on, func(r *Session) bool { // the clock may have ended some of the live ones
			if r.State.Live() {
				return false
			}
			dead++
			return dead > deadShown
		})
		slices.Reverse(on)
		out[id] = on
	}
	return out, nil
}

// sessionsOn returns, by client, the newest selected sessions, newest first, at most `most` per client. It runs one
// statement, and repeats it while clients with more sessions use up the limit before the others are read.
func (s *Service) sessionsOn(ctx context.Context, ids []string, most int, where listing.Predicate) (map[string][]*Session, error) {
	out := map[string][]*Session{}
	for left := slices.Clone(ids); len(left) > 0; {
		limit := most * len(left)
		page, err := s.Store.Sessions().List(ctx, listing.Query{
			Limit: limit, Where: listing.All(listing.OneWord("clientId", left...), where),
			Order: list(listing.Order{Field: "createdAt", Desc: true}, listing.Order{Field: listing.IDField, Desc: true}),
		})
		if err != nil {
			return nil, err
		}
		for _, id := range left {
			delete(out, id)
		}
		for _, r := range page.Items {
			if on := out[*r.ClientID]; len(on) < most {
				out[*r.ClientID] = append(on, settle(s, sessions, r).record)
			}
		}
		if len(page.Items) < limit {
			break
		}
		left = slices.DeleteFunc(left, func(id string) bool { return len(out[id]) == most })
	}
	return out, nil
}
