package resolvers

import (
	"context"
	"errors"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
)

// loaders are what one root field has read, so that nothing is read once for each entry of a list: what is read together
// is a group, and what one of a group leads to is read for all of it, with the first who asks. The next root field
// starts afresh: in a mutation it may have to see what its neighbour did.
type loaders struct {
	service       *domain.Service
	accounts      *cache[domain.Account]
	organizations *cache[domain.Organization]

	mu      sync.Mutex
	pending []func() // groups that nobody has asked for
	groups  map[any]*group
}

// group is records that were read together.
type group struct {
	members []any
	edges   sync.Map // *edge by name
}

// edge is what the members of a group lead to.
type edge[K comparable, V any] struct {
	once   sync.Once
	values map[K]V
	errs   map[K]error
	err    error
}

type loadersKey struct{}

func newLoaders(s *domain.Service) *loaders { return &loaders{service: s, groups: map[any]*group{}} }

// withLoaders is the root field middleware. Only a query remembers the directory: what a mutation decides, it
// decides on what is so at that moment.
func withLoaders(s *domain.Service) graphql.RootFieldMiddleware {
	return func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		l := newLoaders(s)
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Query {
			l.accounts, l.organizations = &cache[domain.Account]{}, &cache[domain.Organization]{}
		}
		return next(context.WithValue(ctx, loadersKey{}, l))
	}
}

func loadersFrom(ctx context.Context) *loaders {
	l, _ := ctx.Value(loadersKey{}).(*loaders)
	return l
}

// together makes a group of records.
func registerGroup[R comparable](ctx context.Context, records []R) {
	l := loadersFrom(ctx)
	if l == nil || len(records) < 2 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, func() {
		g := &group{members: make([]any, 0, len(records))}
		for _, r := range records {
			if any(r) != nil && l.groups[r] != g {
				g.members, l.groups[r] = append(g.members, r), g
			}
		}
	})
}

// paged makes a group of the records of a page, and gives the page.
func groupPage[R any](ctx context.Context) func(listing.Page[R], error) (listing.Page[R], error) {
	return func(page listing.Page[R], err error) (listing.Page[R], error) {
		registerGroup(ctx, page.Items)
		return page, err
	}
}

// groupOf is the group of a record; one that was read alone is one of its own.
func (l *loaders) groupOf(record any) *group {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, build := range l.pending {
		build()
	}
	l.pending = nil
	g := l.groups[record]
	if g == nil {
		g = &group{members: []any{record}}
		l.groups[record] = g
	}
	return g
}

// edgeName is the name of an edge of one kind of record: a group may have several kinds with an edge of the same name.
type edgeName[K comparable, V any] struct{ name any }

// errUnread is what is found where reading for the group has panicked.
var errLoadPanicked = errors.New("resolvers: what the record leads to was not read")

// along finds what a record leads to by the edge of that name, read for its whole group at once. Read gives one value
// for each, and as many errors, or one for all of them, or none.
func loadEdge[K comparable, V any](ctx context.Context, from K, name any, read func(context.Context, []K) ([]V, []error)) (V, error) {
	g := loadersFrom(ctx).groupOf(from)
	name = edgeName[K, V]{name}
	value, ok := g.edges.Load(name)
	if !ok {
		value, _ = g.edges.LoadOrStore(name, &edge[K, V]{err: errLoadPanicked})
	}
	e := value.(*edge[K, V])
	e.once.Do(func() {
		members := make([]K, 0, len(g.members))
		for _, m := range g.members {
			if k, ok := m.(K); ok {
				members = append(members, k)
			}
		}
		values, errs := read(ctx, members)
		e.values, e.errs = make(map[K]V, len(members)), map[K]error{}
		for i, k := range members {
			switch {
			case len(errs) == 1:
				e.errs[k] = errs[0]
			case i < len(errs) && errs[i] != nil:
				e.errs[k] = errs[i]
			}
			if i < len(values) {
				e.values[k] = values[i]
			}
		}
		e.err = nil
	})
	if e.err != nil {
		var none V
		return none, e.err
	}
	return e.values[from], e.errs[from]
}

// nodeAlong finds the record whose id a record has; nil where there is none that the caller may see.
func loadNode[K comparable](ctx context.Context, from K, name string, id func(K) *string) (domain.Node, error) {
	return loadEdge(ctx, from, name, func(ctx context.Context, members []K) ([]domain.Node, []error) {
		ids, places := distinct(members, id)
		nodes, errs := loadersFrom(ctx).service.Nodes(ctx, ids)
		registerGroup(ctx, nodes)
		return spread(places, nodes), spread(places, errs)
	})
}

// distinct gives the ids that members have, each once, and the place of each member's among them, -1 where it has none.
func distinct[K any](members []K, id func(K) *string) (ids []string, places []int) {
	at := map[string]int{}
	places = make([]int, len(members))
	for i, m := range members {
		places[i] = -1
		if ref := id(m); ref != nil {
			index, seen := at[*ref]
			if !seen {
				index = len(ids)
				at[*ref], ids = index, append(ids, *ref)
			}
			places[i] = index
		}
	}
	return ids, places
}

// spread gives each member what was found in its place.
func spread[V any](places []int, values []V) []V {
	out := make([]V, len(places))
	for i, place := range places {
		if place >= 0 && place < len(values) {
			out[i] = values[place]
		}
	}
	return out
}

// actionsOf says what the caller may do with a record now.
func actionsOf(ctx context.Context, r domain.Record) ([]*domain.Action, error) {
	return pointers(loadEdge(ctx, r, "actions", loadersFrom(ctx).service.ActionsOf))
}

// timelinePage is a page of timelines, as a query asks for it.
type timelinePage struct {
	first, last       int
	hasFirst, hasLast bool
	after, before     string
	withCount         bool
}

// timelineOf finds a page of a record's timeline.
func timelineOf(ctx context.Context, r domain.Record, page domain.Paging) (listing.Page[domain.LifecycleEvent], error) {
	name := timelinePage{after: page.After, before: page.Before, withCount: page.WithCount}
	if page.First != nil {
		name.first, name.hasFirst = *page.First, true
	}
	if page.Last != nil {
		name.last, name.hasLast = *page.Last, true
	}
	return loadEdge(ctx, r, name, func(ctx context.Context, records []domain.Record) ([]listing.Page[domain.LifecycleEvent], []error) {
		pages, err := loadersFrom(ctx).service.Timelines(ctx, records, page)
		if err != nil {
			return nil, []error{err}
		}
		var events []*domain.LifecycleEvent
		for _, p := range pages {
			events = append(events, p.Items...)
		}
		registerGroup(ctx, events)
		return pages, nil
	})
}

// subjectOf finds the record that an event is about; nil where there is none that the caller may see.
func subjectOf(ctx context.Context, e *domain.LifecycleEvent) (domain.Node, error) {
	return loadNode(ctx, e, "subject", func(e *domain.LifecycleEvent) *string { return &e.SubjectID })
}

// contactOf finds the contact that something is about; nil where the caller may not see it.
func contactOf[K comparable](ctx context.Context, from K, id func(K) *string) (*domain.Contact, error) {
	node, err := loadNode(ctx, from, "contact", id)
	if c, ok := node.(*domain.Contact); ok && err == nil {
		return c, nil
	}
	return nil, err
}

// inviteeVerificationOf finds what was found out about the user who accepted an invitation.
func inviteeVerificationOf(ctx context.Context, i *domain.Invitation) (*domain.ContactVerification, error) {
	return loadEdge(ctx, i, "inviteeVerification", func(ctx context.Context, list []*domain.Invitation) ([]*domain.ContactVerification, []error) {
		verifications, err := loadersFrom(ctx).service.InviteeVerifications(ctx, list)
		if err != nil {
			return nil, []error{err}
		}
		var contacts []*domain.Contact
		for _, v := range verifications {
			if v != nil && v.Contact != nil {
				contacts = append(contacts, v.Contact)
			}
		}
		registerGroup(ctx, contacts)
		return verifications, nil
	})
}

// deliveryOf finds how the newest message about a record goes.
func deliveryOf(ctx context.Context, r domain.Record) (*domain.MessageState, error) {
	return loadEdge(ctx, r, "delivery", func(ctx context.Context, records []domain.Record) ([]*domain.MessageState, []error) {
		ids := make([]string, len(records))
		for i, r := range records {
			ids[i] = r.Head().ID
		}
		deliveries, err := loadersFrom(ctx).service.Deliveries(ctx, ids)
		if err != nil {
			return nil, []error{err}
		}
		out := make([]*domain.MessageState, len(ids))
		for i, id := range ids {
			if state, ok := deliveries[id]; ok {
				out[i] = &state
			}
		}
		return out, nil
	})
}

// clientOf finds the client that a session is on; nil where there is none that the caller may see.
func clientOf(ctx context.Context, r *domain.Session) (*domain.Client, error) {
	return loadEdge(ctx, r, "client", func(ctx context.Context, on []*domain.Session) ([]*domain.Client, []error) {
		ids, places := distinct(on, func(r *domain.Session) *string { return r.ClientID })
		if len(ids) == 0 {
			return nil, nil
		}
		clients, err := loadersFrom(ctx).service.Clients(ctx, ids)
		if err != nil {
			return nil, []error{err}
		}
		registerGroup(ctx, clients)
		byID := map[string]*domain.Client{}
		for _, c := range clients {
			byID[c.ID] = c
		}
		ordered := make([]*domain.Client, len(ids))
		for i, id := range ids {
			ordered[i] = byID[id]
		}
		return spread(places, ordered), nil
	})
}

// sessionsOf finds the sessions on a client that the caller may see.
func sessionsOf(ctx context.Context, c *domain.Client) ([]*domain.Session, error) {
	return loadEdge(ctx, c, "sessions", func(ctx context.Context, clients []*domain.Client) ([][]*domain.Session, []error) {
		ids, places := distinct(clients, func(c *domain.Client) *string { return &c.ID })
		byClient, err := loadersFrom(ctx).service.SessionsOfClients(ctx, ids)
		if err != nil {
			return nil, []error{err}
		}
		out := make([][]*domain.Session, len(ids))
		var all []*domain.Session
		for i, id := range ids {
			out[i] = append([]*domain.Session{}, byClient[id]...) // none is a list too
			all = append(all, out[i]...)
		}
		registerGroup(ctx, all)
		return spread(places, out), nil
	})
}

// lastActiveSessionOf finds the session that a client touched last; nil where there is none that the caller may see,
// and where it is over.
func lastActiveSessionOf(ctx context.Context, c *domain.Client) (*domain.Session, error) {
	n, err := loadNode(ctx, c, "lastActiveSession", func(c *domain.Client) *string { return c.LastActiveSessionID })
	if r, ok := n.(*domain.Session); ok && r.State.Live() {
		return r, err
	}
	return nil, err
}

// memo remembers what a key stands for, and asks once for each key.
type cache[V any] struct{ entries sync.Map }

type memoEntry[V any] struct {
	once  sync.Once
	value *V
	err   error
}

func (m *cache[V]) get(ctx context.Context, id string, ask func(context.Context, string) (*V, error)) (*V, error) {
	found, _ := m.entries.LoadOrStore(id, &memoEntry[V]{})
	e := found.(*memoEntry[V])
	e.once.Do(func() { e.value, e.err = ask(ctx, id) })
	return e.value, e.err
}

// remembered is a directory that is asked once for each account and organization in one root field of a query.
type cachedDirectory struct{ domain.Directory }

// Account finds an account.
func (d cachedDirectory) Account(ctx context.Context, id string) (*domain.Account, error) {
	if l := loadersFrom(ctx); l != nil && l.accounts != nil {
		return l.accounts.get(ctx, id, d.Directory.Account)
	}
	return d.Directory.Account(ctx, id)
}

// Organization finds an organisation.
func (d cachedDirectory) Organization(ctx context.Context, id string) (*domain.Organization, error) {
	if l := loadersFrom(ctx); l != nil && l.organizations != nil {
		return l.organizations.get(ctx, id, d.Directory.Organization)
	}
	return d.Directory.Organization(ctx, id)
}
