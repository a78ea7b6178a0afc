package domain

import (
	"context"
	"strings"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Node is anything that has an id of its own.
type Node interface{ NodeID() string }

// NodeID is the record's id.
func (m *Meta) NodeID() string { return m.ID }

// NodeID is the event's id.
func (e *LifecycleEvent) NodeID() string { return e.ID }

// uuids stands among the prefixes for ids that are UUIDs and have none.
const uuids = "uuid"

// imported stands for ids that are not ours: contacts keep the id they are imported with.
const imported = ""

// sources says where the records of an id's prefix are found, many at once. What the caller may not see is left out.
var sources = map[string]func(context.Context, *Service, []string) ([]Node, error){
	"inv": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, invitations, "invitation", ids)
	},
	"sess": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, sessions, "session", ids)
	},
	"client": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		clients, err := s.Clients(ctx, ids)
		var out []Node
		for _, c := range clients {
			out = append(out, c)
		}
		return out, err
	},
	"emv": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, emailVerifications, "emailVerification", ids)
	},
	"phv": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, phoneVerifications, "phoneVerification", ids)
	},
	"dev": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, devices, "device", ids)
	},
	uuids: func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, twoFactorRequests, "twoFactorRequest", ids)
	},
	"contact": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, contacts, "contact", ids)
	},
	"frr": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, reports, "fraudRiskReport", ids)
	},
	"quiz": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, quizzes, "quiz", ids)
	},
	"appr": func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		return showMany(ctx, s, approvals, "approval", ids)
	},
	imported: func(ctx context.Context, s *Service, ids []string) ([]Node, error) {
		if s.Permit(ctx, "contact") != nil {
			return nil, nil // an id of no known form is simply not there
		}
		return showMany(ctx, s, contacts, "contact", ids)
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

// Nodes finds records of any kind by their ids: one element for each id, nil where there is none that the caller
// may see. Records of a kind that the caller's token is not good for are told as an error beside the others.
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
			prefix = uuids
		}
		if !plausibleID(id) {
			continue
		}
		if sources[prefix] == nil {
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
		found, err := sources[prefix](ctx, s, wanted)
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

// Node finds a record of any kind.
// Refuses with Unauthorized, SessionExpired, AccessDenied and NotFound.
func (s *Service) Node(ctx context.Context, id string) (Node, error) {
	nodes, errs := s.Nodes(ctx, []string{id})
	if errs[0] == nil && nodes[0] == nil {
		return nil, problem.New(problem.NotFound)
	}
	return nodes[0], errs[0]
}

// showMany is show for many records: those that the caller may not see are left out.
func showMany[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], operation string, ids []string,
) ([]Node, error) {
	if err := s.Permit(ctx, operation); err != nil {
		return nil, err
	}
	records, err := l.shelf(s.Store).GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	var out []Node
	all := make([]Record, 0, len(records))
	for i, r := range records {
		records[i] = settle(s, l, r).record
		if r, ok := any(records[i]).(Record); ok {
			all = append(all, r)
		}
	}
	if ctx, err = s.Prefetch(ctx, all...); err != nil {
		return nil, err
	}
	for _, r := range records {
		_, visible, err := l.rolesOf(ctx, s, ActorFrom(ctx), r)
		if err != nil {
			return nil, err
		}
		if n, ok := any(r).(Node); ok && visible {
			out = append(out, n)
		}
	}
	return out, nil
}
