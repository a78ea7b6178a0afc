package resolvers

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vikstrous/dataloadgen"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
)

// Loads of one root field are gathered for loadWait, at most loadBatch at once: as many as the database is asked for in
// one statement.
const (
	loadWait  = time.Millisecond
	loadBatch = 500
)

// loaders are what one root field has read, so that nothing is read once for each entry of a list. The next root
// field starts afresh: in a mutation it may have to see what its neighbour did.
type loaders struct {
	actions       func() *dataloadgen.Loader[domain.Record, []domain.Action]
	timelines     func() *dataloadgen.Loader[timelineKey, listing.Page[domain.LifecycleEvent]]
	invitees      func() *dataloadgen.Loader[*domain.Invitation, *domain.ContactVerification]
	deliveries    func() *dataloadgen.Loader[string, *domain.MessageState]
	nodes         func() *dataloadgen.Loader[string, domain.Node]
	clients       func() *dataloadgen.Loader[string, *domain.Client]
	sessions      func() *dataloadgen.Loader[string, []*domain.Session]
	accounts      *memo[domain.Account]
	organizations *memo[domain.Organization]
}

type loadersKey struct{}

// withLoaders is the root field middleware. Only a query remembers the directory: what a mutation decides, it
// decides on what is so at that moment.
func withLoaders(s *domain.Service, wait time.Duration) graphql.RootFieldMiddleware {
	if wait == 0 {
		wait = loadWait
	}
	return func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		l := &loaders{
			actions: gathered(wait, s.ActionsOf), timelines: gathered(wait, timelinesOf(s)), invitees: gathered(wait, inviteesOf(s)),
			deliveries: gathered(wait, deliveriesOf(s)), nodes: gathered(wait, s.Nodes), clients: gathered(wait, clientsOf(s)),
			sessions: gathered(wait, sessionsOf(s)),
		}
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Query {
			l.accounts, l.organizations = &memo[domain.Account]{}, &memo[domain.Organization]{}
		}
		return next(context.WithValue(ctx, loadersKey{}, l))
	}
}

// gathered is a loader that is made when it is needed.
func gathered[K comparable, V any](wait time.Duration, fetch func(context.Context, []K) ([]V, []error)) func() *dataloadgen.Loader[K, V] {
	return sync.OnceValue(func() *dataloadgen.Loader[K, V] {
		return dataloadgen.NewLoader(fetch, dataloadgen.WithWait(wait), dataloadgen.WithBatchCapacity(loadBatch))
	})
}

// timelineKey is a page of the timeline of a record, as a query asks for it.
type timelineKey struct {
	record domain.Record
	page   timelinePage
}

type timelinePage struct {
	first, last   int // -1: not given
	after, before string
	withCount     bool
}

func (p timelinePage) paging() domain.Paging {
	out := domain.Paging{After: p.after, Before: p.before, WithCount: p.withCount}
	if p.first >= 0 {
		out.First = &p.first
	}
	if p.last >= 0 {
		out.Last = &p.last
	}
	return out
}

// timelinesOf finds timelines: with one statement those of which the same page is wanted.
func timelinesOf(s *domain.Service) func(context.Context, []timelineKey) ([]listing.Page[domain.LifecycleEvent], []error) {
	return func(ctx context.Context, keys []timelineKey) ([]listing.Page[domain.LifecycleEvent], []error) {
		alike := map[timelinePage][]int{}
		for i, k := range keys {
			alike[k.page] = append(alike[k.page], i)
		}
		out, errs := make([]listing.Page[domain.LifecycleEvent], len(keys)), make([]error, len(keys))
		for page, places := range alike {
			records := make([]domain.Record, 0, len(places))
			for _, i := range places {
				records = append(records, keys[i].record)
			}
			found, err := s.Timelines(ctx, records, page.paging())
			for n, i := range places {
				if errs[i] = err; err == nil {
					out[i] = found[n]
				}
			}
		}
		return out, errs
	}
}

func inviteesOf(s *domain.Service) func(context.Context, []*domain.Invitation) ([]*domain.ContactVerification, []error) {
	return func(ctx context.Context, list []*domain.Invitation) ([]*domain.ContactVerification, []error) {
		out, err := s.InviteeVerifications(ctx, list)
		if err != nil {
			return nil, []error{err}
		}
		return out, nil
	}
}

func deliveriesOf(s *domain.Service) func(context.Context, []string) ([]*domain.MessageState, []error) {
	return func(ctx context.Context, ids []string) ([]*domain.MessageState, []error) {
		found, err := s.Deliveries(ctx, ids)
		if err != nil {
			return nil, []error{err}
		}
		out := make([]*domain.MessageState, len(ids))
		for i, id := range ids {
			if state, ok := found[id]; ok {
				out[i] = &state
			}
		}
		return out, nil
	}
}

// actionsOf says what the caller may do with a record now.
func actionsOf(ctx context.Context, r domain.Record) ([]*domain.Action, error) {
	return pointers(loadersFrom(ctx).actions().Load(ctx, r))
}

// timelineOf finds a page of a record's timeline.
func timelineOf(ctx context.Context, r domain.Record, page domain.Paging) (listing.Page[domain.LifecycleEvent], error) {
	if _, err := page.Query(); err != nil { // a size of its own that is less than nothing is not the mark for none
		return listing.Page[domain.LifecycleEvent]{}, err
	}
	key := timelineKey{record: r, page: timelinePage{first: -1, last: -1, after: page.After, before: page.Before, withCount: page.WithCount}}
	if page.First != nil {
		key.page.first = *page.First
	}
	if page.Last != nil {
		key.page.last = *page.Last
	}
	return loadersFrom(ctx).timelines().Load(ctx, key)
}

// inviteeVerificationOf finds what was found out about the user who accepted an invitation.
func inviteeVerificationOf(ctx context.Context, i *domain.Invitation) (*domain.ContactVerification, error) {
	return loadersFrom(ctx).invitees().Load(ctx, i)
}

// deliveryOf finds how the newest message about a record goes.
func deliveryOf(ctx context.Context, r domain.Record) (*domain.MessageState, error) {
	return loadersFrom(ctx).deliveries().Load(ctx, r.Head().ID)
}

// clientsOf finds clients by id: one element for each, nil where there is none that the caller may see.
func clientsOf(s *domain.Service) func(context.Context, []string) ([]*domain.Client, []error) {
	return func(ctx context.Context, ids []string) ([]*domain.Client, []error) {
		found, err := s.Clients(ctx, ids)
		if err != nil {
			return nil, []error{err}
		}
		out := make([]*domain.Client, len(ids))
		for _, c := range found {
			out[slices.Index(ids, c.ID)] = c
		}
		return out, nil
	}
}

// sessionsOf finds the sessions on clients: one list for each.
func sessionsOf(s *domain.Service) func(context.Context, []string) ([][]*domain.Session, []error) {
	return func(ctx context.Context, ids []string) ([][]*domain.Session, []error) {
		found, err := s.SessionsOfClients(ctx, ids)
		if err != nil {
			return nil, []error{err}
		}
		out := make([][]*domain.Session, len(ids))
		for i, id := range ids {
			out[i] = append([]*domain.Session{}, found[id]...) // none is a list too
		}
		return out, nil
	}
}

func loadersFrom(ctx context.Context) *loaders {
	l, _ := ctx.Value(loadersKey{}).(*loaders)
	return l
}

// node finds a record; nil where there is none that the caller may see.
func (l *loaders) node(ctx context.Context, id string) (domain.Node, error) {
	return l.nodes().Load(ctx, id)
}

// client finds a client; nil where there is none that the caller may see.
func (l *loaders) client(ctx context.Context, id *string) (*domain.Client, error) {
	if id == nil {
		return nil, nil //nolint:nilnil // null is the answer
	}
	return l.clients().Load(ctx, *id)
}

// sessionsOn finds the sessions on a client that the caller may see.
func (l *loaders) sessionsOn(ctx context.Context, clientID string) ([]*domain.Session, error) {
	return l.sessions().Load(ctx, clientID)
}

// liveSession finds a session; nil where there is none that the caller may see, and where it is over.
func (l *loaders) liveSession(ctx context.Context, id *string) (*domain.Session, error) {
	if id == nil {
		return nil, nil //nolint:nilnil // null is the answer
	}
	n, err := l.node(ctx, *id)
	if r, ok := n.(*domain.Session); ok && r.State.Live() {
		return r, err
	}
	return nil, err
}

// memo remembers what a key stands for, and asks once for each key.
type memo[V any] struct{ entries sync.Map }

type memoEntry[V any] struct {
	once  sync.Once
	value *V
	err   error
}

func (m *memo[V]) get(ctx context.Context, id string, ask func(context.Context, string) (*V, error)) (*V, error) {
	found, _ := m.entries.LoadOrStore(id, &memoEntry[V]{})
	e := found.(*memoEntry[V])
	e.once.Do(func() { e.value, e.err = ask(ctx, id) })
	return e.value, e.err
}

// remembered is a directory that is asked once for each account and organization in one root field of a query.
type remembered struct{ domain.Directory }

// Account finds an account.
func (d remembered) Account(ctx context.Context, id string) (*domain.Account, error) {
	if l := loadersFrom(ctx); l != nil && l.accounts != nil {
		return l.accounts.get(ctx, id, d.Directory.Account)
	}
	return d.Directory.Account(ctx, id)
}

// Organization finds an organisation.
func (d remembered) Organization(ctx context.Context, id string) (*domain.Organization, error) {
	if l := loadersFrom(ctx); l != nil && l.organizations != nil {
		return l.organizations.get(ctx, id, d.Directory.Organization)
	}
	return d.Directory.Organization(ctx, id)
}
