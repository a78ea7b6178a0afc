package domain

import (
	"context"
	"strings"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Node is an object with a global id.
type Node interface{ NodeID() string }

// NodeID returns the record's id.
func (m *Meta) NodeID() string { return m.ID }

// NodeID returns the event's id.
func (e *LifecycleEvent) NodeID() string { return e.ID }

// uuidPrefix is the key of UUIDs, which have no prefix.
const uuidPrefix = "uuid"

// imported is the key of foreign ids: contacts keep the id with which they were imported.
const imported = ""

// source returns the nodes of a prefix by their ids and omits those that the caller may not see.
type source func(context.Context, *Service, []string) ([]Node, error)

// otherSources has the sources of nodes that are not records with a life.
var otherSources = map[string]source{
	"client": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		clients, err := s.Clients(ctx, ids)
		var out []Node
		for _, c := range clients {
			out = append(out, c)
		}
		return out, err
	},
	imported: func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		if s.Permit(ctx, "contact") != nil {
			return nil, nil // an id of an unknown form does not exist
		}
		return contacts.nodes(ctx, s, "contact", ids)
	},
	"evt": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		events, err := s.Store.Events().GetMany(ctx, ids)
		var out []Node
		for _, e := range events {
			if e.VisibleTo(ActorFrom(ctx)) {
				out = append(out, e)
			}
		}
		return out, err
	},
}

// sourceOf returns the source of a prefix, or nil.
func sourceOf(prefix string) source {
	for _, k := range kinds {
		if k.prefix == prefix {
			return func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
				return k.life.nodes(ctx, s, k.query, ids)
			}
		}
	}
	return otherSources[prefix]
}

// Nodes returns nodes of any kind by their ids: one element for each id, nil if the node does not exist or the caller
// may not see it. If the caller's token does not permit a kind, the ids of that kind have an error each.
// Refuses with Unauthorized, SessionExpired and AccessDenied.
func (s *Service) Nodes(ctx context.Context, ids []string) ([]Node, []error) {
	nodes, errs := make([]Node, len(ids)), make([]error, len(ids))
	if err := s.Permit(ctx, "node"); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return nodes, errs
	}
	places := map[string]map[string][]int{} // by prefix and id
	for i, id := range ids {
		prefix, _, _ := strings.Cut(id, "_")
		if isUUID(id) {
			prefix = uuidPrefix
		}
		if !plausibleID(id) {
			continue
		}
		if sourceOf(prefix) == nil {
			prefix = imported
		}
		if places[prefix] == nil {
			places[prefix] = map[string][]int{}
		}
		places[prefix][id] = append(places[prefix][id], i)
	}
	for prefix, byID := range places {
		wanted := make([]string, 0, len(byID))
		for id := range byID {
			wanted = append(wanted, id)
		}
		found, err := sourceOf(prefix)(ctx, s, wanted)
		for _, at := range byID {
			for _, i := range at {
				errs[i] = err
			}
		}
		for _, n := range found {
			for _, i := range byID[n.NodeID()] {
				nodes[i] = n
			}
		}
	}
	return nodes, errs
}

// Node returns a node of any kind.
// Refuses with Unauthorized, SessionExpired, AccessDenied and NotFound.
func (s *Service) Node(ctx context.Context, id string) (Node, error) {
	nodes, errs := s.Nodes(ctx, []string{id})
	if errs[0] == nil && nodes[0] == nil {
		return nil, problem.New(problem.NotFound)
	}
	return nodes[0], errs[0]
}

// nodes is show for many records; it omits those that the caller may not see.
func (l *life[R, S, T]) nodes(ctx context.Context, s *Service, query string, ids []string) ([]Node, error) {
	if err := s.Permit(ctx, query); err != nil {
		return nil, err
	}
	records, err := l.shelf(s.Store).GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	settleAll(s, l, records)
	all := make([]Record, 0, len(records))
	for _, r := range records {
		if r, ok := any(r).(Record); ok {
			all = append(all, r)
		}
	}
	pre, err := s.Prefetch(ctx, all...)
	if err != nil {
		return nil, err
	}
	var out []Node
	for _, r := range records {
		_, visible, err := l.rolesOf(ctx, s, pre, ActorFrom(ctx), r)
		if err != nil {
			return nil, err
		}
		if n, ok := any(r).(Node); ok && visible {
			out = append(out, n)
		}
	}
	return out, nil
}
