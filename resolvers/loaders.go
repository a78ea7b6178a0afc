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

// loaders batches the reads of one root field, so that a list is not read entry by entry: records that were read
// together are a group, and related records are loaded for the whole group at first access. The next root field starts
// with empty loaders, because in a mutation it may have to see the effects of the previous one.
type loaders struct {
	service       *domain.Service
	accounts      *cache[domain.Account]
	organizations *cache[domain.Organization]

	mu      sync.Mutex
	pending []func() // groups that have not been accessed
	groups  map[any]*group
}

// group is a set of records that were read together.
type group struct {
	members []any
	edges   sync.Map // *edge by name
}

// edge holds the related values of the members of a group.
type edge[K comparable, V any] struct {
	once   sync.Once
	values map[K]V
	errs   map[K]error
	err    error
}

type loadersKey struct{}

func newLoaders(s *domain.Service) *loaders { return &loaders{service: s, groups: map[any]*group{}} }

// withLoaders is the root field middleware. Only queries cache the directory: a mutation must decide on current data.
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

// registerGroup makes records a group.
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

// groupPage makes the records of a page a group and returns the page.
func groupPage[R any](ctx context.Context) func(listing.Page[R], error) (listing.Page[R], error) {
	return func(page listing.Page[R], err error) (listing.Page[R], error) {
		registerGroup(ctx, page.Items)
		return page, err
	}
}

// groupOf returns the group of a record; a record that was read alone has its own.
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

// edgeName is the name of an edge of one kind of record: a group may contain several kinds with an edge of the same
// name.
type edgeName[K comparable, V any] struct{ name any }

// errLoadPanicked is the result of an edge whose load has panicked.
var errLoadPanicked = errors.New("resolvers: the related record was not loaded")

// loadEdge returns the related value of a record by the named edge, loaded for its whole group at once. read returns
// one value for each key, and one error for each, one for all, or none.
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

// loadNode returns the record whose id another record contains; nil if it does not exist or is not visible to the
// caller.
func loadNode[K comparable](ctx context.Context, from K, name string, id func(K) *string) (domain.Node, error) {
	return loadEdge(ctx, from, name, func(ctx context.Context, members []K) ([]domain.Node, []error) {
		ids, places := distinct(members, id)
		nodes, errs := loadersFrom(ctx).service.Nodes(ctx, ids)
		registerGroup(ctx, nodes)
		return spread(places, nodes), spread(places, errs)
	})
}

// distinct returns the distinct ids of the members, and for each member the index of its id, or -1 if it has none.
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

// spread returns for each member the value at its index.
func spread[V any](places []int, values []V) []V {
	out := make([]V, len(places))
	for i, place := range places {
		if place >= 0 && place < len(values) {
			out[i] = values[place]
		}
	}
	return out
}

// actionsOf returns the caller's possible actions on a record.
func actionsOf(ctx context.Context, r domain.Record) ([]*domain.Action, error) {
	return pointers(loadEdge(ctx, r, "actions", loadersFrom(ctx).service.ActionsOf))
}

// timelinePage identifies a page of timelines in a query.
type timelinePage struct {
	first, last       int
	hasFirst, hasLast bool
	after, before     string
	withCount         bool
}

// timelineOf returns a page of a record's timeline.
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

// subjectOf returns the record of an event; nil if it does not exist or is not visible to the caller.
func subjectOf(ctx context.Context, e *domain.LifecycleEvent) (domain.Node, error) {
	return loadNode(ctx, e, "subject", func(e *domain.LifecycleEvent) *string { return &e.SubjectID })
}

// contactOf returns the contact of a record; nil if it is not visible to the caller.
func contactOf[K comparable](ctx context.Context, from K, id func(K) *string) (*domain.Contact, error) {
	node, err := loadNode(ctx, from, "contact", id)
	if c, ok := node.(*domain.Contact); ok && err == nil {
		return c, nil
	}
	return nil, err
}

// inviteeVerificationOf returns the contact verification of the user who accepted an invitation.
func inviteeVerificationOf(ctx context.Context, i *domain.Invitation) (*domain.ContactVerification, error) {
	return loadEdge(
		ctx,
		i,
		"inviteeVerification",
		func(ctx context.Context, list []*domain.Invitation) ([]*domain.ContactVerification, []error) {
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
		},
	)
}

// deliveryOf returns the delivery state of the latest message about a record.
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

// clientOf returns the client of a session; nil if it does not exist or is not visible to the caller.
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

// sessionsOf returns the sessions of a client that are visible to the caller.
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
			out[i] = append([]*domain.Session{}, byClient[id]...) // an empty list, not null
			all = append(all, out[i]...)
		}
		registerGroup(ctx, all)
		return spread(places, out), nil
	})
}

// lastActiveSessionOf returns the session that a client used last; nil if it has ended, does not exist or is not
// visible to the caller.
func lastActiveSessionOf(ctx context.Context, c *domain.Client) (*domain.Session, error) {
	n, err := loadNode(ctx, c, "lastActiveSession", func(c *domain.Client) *string { return c.LastActiveSessionID })
	if r, ok := n.(*domain.Session); ok && r.State.Live() {
		return r, err
	}
	return nil, err
}

// cache loads each key at most once.
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

// cachedDirectory loads each account and organization at most once in one root field of a query.
type cachedDirectory struct{ domain.Directory }

// Account returns an account.
func (d cachedDirectory) Account(ctx context.Context, id string) (*domain.Account, error) {
	if l := loadersFrom(ctx); l != nil && l.accounts != nil {
		return l.accounts.get(ctx, id, d.Directory.Account)
	}
	return d.Directory.Account(ctx, id)
}

// Organization returns an organization.
func (d cachedDirectory) Organization(ctx context.Context, id string) (*domain.Organization, error) {
	if l := loadersFrom(ctx); l != nil && l.organizations != nil {
		return l.organizations.get(ctx, id, d.Directory.Organization)
	}
	return d.Directory.Organization(ctx, id)
}
