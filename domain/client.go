package domain

import (
	"context"
	"slices"

	"github.com/gatehouse/gatehouse/domain/listing"
)

// clientShows is the maximum number of sessions listed for a client, newest first.
const clientShows = 100

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

// SessionsOfClients returns, by client, the newest 100 sessions that the client lists and the caller may see, ordered by
// creation time.
// Refuses with Unauthorized and SessionExpired.
func (s *Service) SessionsOfClients(ctx context.Context, ids []string) (map[string][]*Session, error) {
	if err := s.Permit(ctx, "client"); err != nil {
		return nil, err
	}
	listed, err := s.sessionsOn(ctx, ids, clientShows, listing.All(
		seenSessions(ActorFrom(ctx)), listing.Not{Of: listing.OneWord("state", SessionRemoved, SessionRevoked)}))
	for _, on := range listed {
		slices.Reverse(on)
	}
	return listed, err
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
