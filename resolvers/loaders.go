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
)

// Loads of one root field are gathered for loadWait, at most loadBatch at once.
const (
	loadWait  = time.Millisecond
	loadBatch = 100
)

// loaders are what one root field has read, so that nothing is read once for each entry of a list. The next root
// field starts afresh: in a mutation it may have to see what its neighbour did.
type loaders struct {
	nodes         func() *dataloadgen.Loader[string, domain.Node]
	clients       func() *dataloadgen.Loader[string, *domain.Client]
	sessions      func() *dataloadgen.Loader[string, []*domain.Session]
	accounts      *memo[domain.Account]
	organizations *memo[domain.Organization]
}

type loadersKey struct{}

func newLoaders(s *domain.Service) *loaders {
	return &loaders{nodes: gathered(s.Nodes), clients: gathered(clientsOf(s)), sessions: gathered(sessionsOf(s))}
}

// withLoaders is the root field middleware. Only a query remembers the directory: what a mutation decides, it
// decides on what is so at that moment.
func withLoaders(s *domain.Service) graphql.RootFieldMiddleware {
	return func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		l := newLoaders(s)
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Query {
			l.accounts, l.organizations = &memo[domain.Account]{}, &memo[domain.Organization]{}
		}
		return next(context.WithValue(ctx, loadersKey{}, l))
	}
}

// gathered is a loader that is made when it is needed.
func gathered[V any](fetch func(context.Context, []string) ([]V, []error)) func() *dataloadgen.Loader[string, V] {
	return sync.OnceValue(func() *dataloadgen.Loader[string, V] {
		return dataloadgen.NewLoader(fetch, dataloadgen.WithWait(loadWait), dataloadgen.WithBatchCapacity(loadBatch))
	})
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
