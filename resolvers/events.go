package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/graph"
)

// eventTerms are the conditions on events of any kind of record.
type eventTerms struct {
	id, subjectID, actor *graph.IDWhere
	name                 *graph.NameWhere
	occurredAt           *graph.DateTimeWhere
}

func (all *conjunction) event(t eventTerms) {
	all.id("_id", t.id)
	all.id("subjectId", t.subjectID)
	all.id("actor", t.actor)
	if n := t.name; n != nil {
		enumTerms(all, "name", n.Eq, n.Ne, n.In)
	}
	all.instant("occurredAt", t.occurredAt)
}

func (c *whereCompiler) lifecycleEvent(w *graph.LifecycleEventWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.lifecycleEvent, depth, w.And, w.Or, w.Not)
	all.event(eventTerms{id: w.ID, subjectID: w.SubjectID, actor: w.Actor, name: w.Name, occurredAt: w.OccurredAt})
	if k := w.SubjectKind; k != nil {
		enumTerms(all, "subjectKind", k.Eq, k.Ne, k.In)
	}
	return listing.All(all.of...)
}

func (c *whereCompiler) sessionEvent(w *graph.SessionEventWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.sessionEvent, depth, w.And, w.Or, w.Not)
	all.event(eventTerms{id: w.ID, subjectID: w.SessionID, actor: w.Actor, name: w.Name, occurredAt: w.OccurredAt})
	for field, s := range map[string]*graph.SessionStatusWhere{"from": w.From, "to": w.To} {
		if s != nil {
			enumTerms(all, field, s.Eq, s.Ne, s.In)
		}
	}
	return listing.All(all.of...)
}

func (c *whereCompiler) invitationEvent(w *graph.InvitationEventWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.invitationEvent, depth, w.And, w.Or, w.Not)
	all.event(eventTerms{id: w.ID, subjectID: w.InvitationID, actor: w.Actor, name: w.Name, occurredAt: w.OccurredAt})
	for field, s := range map[string]*graph.InvitationStateWhere{"from": w.From, "to": w.To} {
		if s != nil {
			enumTerms(all, field, s.Eq, s.Ne, s.In)
		}
	}
	return listing.All(all.of...)
}

func (c *whereCompiler) quizEvent(w *graph.QuizEventWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.quizEvent, depth, w.And, w.Or, w.Not)
	all.event(eventTerms{id: w.ID, subjectID: w.QuizID, actor: w.Actor, name: w.Name, occurredAt: w.OccurredAt})
	for field, s := range map[string]*graph.QuizStateWhere{"from": w.From, "to": w.To} {
		if s != nil {
			enumTerms(all, field, s.Eq, s.Ne, s.In)
		}
	}
	return listing.All(all.of...)
}

func (c *whereCompiler) twoFactorRequestEvent(w *graph.TwoFactorRequestEventWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.twoFactorRequestEvent, depth, w.And, w.Or, w.Not)
	all.event(eventTerms{id: w.ID, subjectID: w.TwoFactorRequestID, actor: w.Actor, name: w.Name, occurredAt: w.OccurredAt})
	for field, s := range map[string]*graph.TwoFactorRequestStatusWhere{"from": w.From, "to": w.To} {
		if s != nil {
			enumTerms(all, field, s.Eq, s.Ne, s.In)
		}
	}
	return listing.All(all.of...)
}

// events converts the arguments to a query.
func (r *resolver) events(
	ctx context.Context, page domain.Paging, where *graph.LifecycleEventWhere, orderBy []*graph.LifecycleEventOrder,
) (listing.Page[domain.LifecycleEvent], error) {
	q, err := page.Query()
	if err != nil {
		return listing.Page[domain.LifecycleEvent]{}, err
	}
	c := &whereCompiler{}
	if q.Where = c.lifecycleEvent(where, 1); c.err != nil {
		return listing.Page[domain.LifecycleEvent]{}, c.err
	}
	for _, o := range orderBy { // the first key decides, because no two events have the same position
		if q.Order == nil {
			q.Order = domain.FeedOrder(o.Direction == graph.OrderDirectionDesc)
		}
	}
	return groupPage[domain.LifecycleEvent](ctx)(r.Service.LifecycleEvents(ctx, q))
}

// follow starts a subscription to the events that match where. kind is the kind of their records; empty for all.
func follow[W any](
	ctx context.Context, r *resolver, operation string, kind domain.Kind, compile func(*whereCompiler, *W, int) listing.Predicate,
	where *W, after *string,
) (<-chan *domain.LifecycleEvent, error) {
	c := &whereCompiler{}
	selected := compile(c, where, 1)
	if c.err != nil {
		return nil, c.err
	}
	if kind != "" {
		selected = listing.All(listing.Eq("subjectKind", string(kind)), selected)
	}
	return feed(ctx, r.Service, domain.FollowInput{Operation: operation, Where: selected, After: after})
}
