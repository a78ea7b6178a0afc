package domain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// LifecycleEvent is one line of the journal: one transition of one record. It is written with the transition and
// never changed. It holds no personal data and no secret.
type LifecycleEvent struct {
	// ID is evt_….
	ID string
	// Position is the position in the feed; the store sets it.
	Position FeedPosition
	// Name is the operation that caused the transition: the mutation, or verb and subject for the clock.
	Name string
	// From and To are states; From is empty for a new record, To for an erased one.
	From, To string
	// OccurredAt is the time of the transition.
	OccurredAt time.Time
	// ActorID is the user who requested it; empty for the clock, and for an invitee who had not signed in.
	ActorID string
	// SubjectKind and SubjectID name the record, Version its version afterwards.
	SubjectKind Kind
	SubjectID   string
	Version     int
	// Reason is the reason that the actor stated, if the operation has one.
	Reason string
	// Concerns lists the users, at most two, who may see the event in addition to those who see all events.
	Concerns []string
}

// FeedPosition orders the feed: by the transaction that wrote the event, then by its number. On a database where
// transactions commit in the order of their numbers Tx is 0.
type FeedPosition struct{ Tx, Seq int64 }

// Before reports whether p comes before q.
func (p FeedPosition) Before(q FeedPosition) bool {
	return p.Tx < q.Tx || p.Tx == q.Tx && p.Seq < q.Seq
}

// Cursor returns the position in the form that clients use.
func (p FeedPosition) Cursor() string { return fmt.Sprintf("%x.%x", p.Tx, p.Seq) }

// ParseFeedPosition reads a cursor.
// Refuses with InvalidInput.
func ParseFeedPosition(text string) (FeedPosition, error) {
	var p FeedPosition
	tx, seq, ok := strings.Cut(text, ".")
	if ok {
		_, err1 := fmt.Sscanf(tx, "%x", &p.Tx)
		_, err2 := fmt.Sscanf(seq, "%x", &p.Seq)
		ok = err1 == nil && err2 == nil && p.Tx >= 0 && p.Seq >= 0 && p.Cursor() == text
	}
	if !ok {
		return p, problem.New(problem.InvalidInput).Because("This is not a cursor of the event feed.").At("after")
	}
	return p, nil
}

// EventSchema has the fields by which events can be selected and ordered. The position in the feed is transaction and
// number.
var EventSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID, Hidden: true},
	{Name: "tx", Type: listing.Number, Hidden: true},
	{Name: "seq", Type: listing.Number, Hidden: true},
	{Name: "name", Type: listing.ID, Hidden: true},
	{Name: "subjectKind", Type: listing.ID, Hidden: true},
	{Name: "subjectId", Type: listing.ID, Hidden: true},
	{Name: "actor", Type: listing.ID, Hidden: true},
	{Name: "from", Type: listing.ID, Hidden: true},
	{Name: "to", Type: listing.ID, Hidden: true},
	{Name: "occurredAt", Type: listing.Time, Hidden: true},
	{Name: "firstUser", Type: listing.ID, Hidden: true},
	{Name: "secondUser", Type: listing.ID, Hidden: true},
}}

// EventValue reads a field of an event.
func EventValue(e *LifecycleEvent, field string) listing.Value {
	switch field {
	case "_id":
		return e.ID
	case "tx":
		return float64(e.Position.Tx)
	case "seq":
		return float64(e.Position.Seq)
	case "name":
		return e.Name
	case "subjectKind":
		return string(e.SubjectKind)
	case "subjectId":
		return e.SubjectID
	case "actor":
		return listing.Word(e.ActorID)
	case "from":
		return listing.Word(e.From)
	case "to":
		return listing.Word(e.To)
	case "occurredAt":
		return e.OccurredAt
	case "firstUser":
		return e.user(0)
	case "secondUser":
		return e.user(1)
	}
	return nil
}

// user returns the n-th user in Concerns, or nil.
func (e *LifecycleEvent) user(n int) listing.Value {
	if n < len(e.Concerns) {
		return e.Concerns[n]
	}
	return nil
}

// Span is a part of a journal, oldest first: the events after one number and before another one, and of these the first
// or the last few. Nil means no bound.
type Span struct {
	After, Before *int64
	First, Last   *int
}

// TimelineSpan has the events of a record in a span. The journal has Total events, Start of them before the span.
type TimelineSpan struct {
	Events       []*LifecycleEvent
	Start, Total int
}

// timelineOrder is the order of a timeline.
var timelineOrder = []listing.Order{{Field: "seq"}}

// Timeline lists the events of a record that the caller has read, oldest first.
// Refuses with InvalidInput and InvalidParameter (a page or a cursor that is malformed).
func (s *Service) Timeline(ctx context.Context, r Record, page Paging) (listing.Page[LifecycleEvent], error) {
	all, err := s.Timelines(ctx, list(r), page)
	if err != nil {
		return listing.Page[LifecycleEvent]{}, err
	}
	return all[0], nil
}

// Timelines is Timeline for many records: the same page of each.
func (s *Service) Timelines(ctx context.Context, records []Record, page Paging) ([]listing.Page[LifecycleEvent], error) {
	span, err := page.span()
	if err != nil {
		return nil, err
	}
	ids, unsettled := make([]string, len(records)), false
	for i, r := range records {
		ids[i], unsettled = r.Head().ID, unsettled || r.Head().Unsettled
	}
	if unsettled { // the journal must not lag behind what the caller sees
		if _, err := s.Sweep(ctx); err != nil {
			return nil, err
		}
	}
	found, err := s.Store.Timelines(ctx, ids, span)
	if err != nil {
		return nil, err
	}
	out := make([]listing.Page[LifecycleEvent], len(records))
	for i, id := range ids {
		t := found[id]
		if t == nil {
			t = &TimelineSpan{}
		}
		out[i] = listing.Page[LifecycleEvent]{Items: t.Events, HasPrevious: t.Start > 0, HasNext: t.Start+len(t.Events) < t.Total}
		if page.WithCount {
			out[i].Count = t.Total
		}
		for _, e := range t.Events {
			out[i].Cursors = append(out[i].Cursors, listing.EncodeCursor(EventSchema, timelineOrder, EventValue, e))
		}
	}
	return out, nil
}

// span returns the part of a timeline that the arguments select.
func (p Paging) span() (Span, error) {
	q, err := p.Query()
	if err != nil {
		return Span{}, err
	}
	out := Span{First: q.First, Last: q.Last}
	for _, c := range []struct {
		name, text string
		to         **int64
	}{{"after", p.After, &out.After}, {"before", p.Before, &out.Before}} {
		if c.text == "" {
			continue
		}
		at, err := listing.DecodeCursor(EventSchema, timelineOrder, c.name, c.text)
		if err != nil {
			return Span{}, err
		}
		seq, _ := at.Values[0].(float64)
		whole := int64(seq)
		*c.to = &whole
	}
	return out, nil
}

// LifecycleEvents lists the events that the caller may see, up to the end of the feed: a subscription that continues from
// a cursor of this list misses no event that is committed later.
// Refuses with Unauthorized, SessionExpired and InvalidInput.
func (s *Service) LifecycleEvents(ctx context.Context, q listing.Query) (listing.Page[LifecycleEvent], error) {
	if err := s.Permit(ctx, "lifecycleEvents"); err != nil {
		return listing.Page[LifecycleEvent]{}, err
	}
	end, err := s.Store.FeedEnd(ctx)
	if err != nil {
		return listing.Page[LifecycleEvent]{}, err
	}
	tx, seq := listing.Amount(end.Tx), listing.Amount(end.Seq)
	there := listing.Any(listing.Is(listing.LT, "tx", tx), listing.All(listing.Eq("tx", tx), listing.Is(listing.LE, "seq", seq)))
	q.Where = listing.All(visibleEvents(ActorFrom(ctx)), there, q.Where)
	if q.Order == nil {
		q.Order = FeedOrder(false)
	}
	return s.Store.Events().List(ctx, q)
}

// FeedOrder returns the order of the feed, or the reverse.
func FeedOrder(newestFirst bool) []listing.Order {
	return []listing.Order{{Field: "tx", Desc: newestFirst}, {Field: "seq", Desc: newestFirst}, {Field: listing.IDField, Desc: newestFirst}}
}

// visibleEvents is VisibleTo as a predicate.
func visibleEvents(a Actor) listing.Predicate {
	if a.SeesAll() {
		return listing.True
	}
	return listing.Any(listing.Eq("firstUser", a.ID), listing.Eq("secondUser", a.ID))
}

// Event finds one event.
// Refuses with Unauthorized and NotFound.
func (s *Service) Event(ctx context.Context, id string) (*LifecycleEvent, error) {
	a, err := s.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	e, err := s.Store.Events().Get(ctx, id)
	if err != nil {
		return nil, missingAs(err, problem.NotFound)
	}
	if !e.VisibleTo(a) {
		return nil, problem.New(problem.NotFound)
	}
	return e, nil
}

// VisibleTo reports whether the actor may see the event.
func (e *LifecycleEvent) VisibleTo(a Actor) bool {
	return a.SeesAll() || a.Known() && slices.Contains(e.Concerns, a.ID)
}

// Paging are the arguments of a connection.
type Paging struct {
	First, Last   *int
	After, Before string
	WithCount     bool
	// NoEnds is set if the caller does not request whether there are more items on the other side of the cursor.
	NoEnds bool
}

// maxPage bounds a page (GraphQL contract: default 20, at most 100).
const (
	defaultPage = 20
	maxPage     = 100
)

func (p Paging) check() error {
	bad := func(name, text string) error {
		return problem.New(problem.InvalidInput).Because("%s", text).At(name)
	}
	switch {
	case p.First != nil && p.Last != nil:
		return bad("last", "Use either first or last, not both.")
	case p.First != nil && (*p.First < 0 || *p.First > maxPage):
		return bad("first", "first must be an integer from 0 to 100.")
	case p.Last != nil && (*p.Last < 0 || *p.Last > maxPage):
		return bad("last", "last must be an integer from 0 to 100.")
	}
	return nil
}

// Query returns the keyset query that the arguments select.
// Refuses with InvalidInput.
func (p Paging) Query() (listing.Query, error) {
	if err := p.check(); err != nil {
		return listing.Query{}, err
	}
	return p.query(), nil
}

func (p Paging) query() listing.Query {
	q := listing.Query{First: p.First, Last: p.Last, After: p.After, Before: p.Before, WithCount: p.WithCount, NoEnds: p.NoEnds}
	if p.First == nil && p.Last == nil {
		n := defaultPage
		q.First = &n
	}
	return q
}
