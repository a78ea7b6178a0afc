package resolvers

import (
	"context"
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
	accounts      *memo[domain.Account]
	organizations *memo[domain.Organization]
}

type loadersKey struct{}

// withLoaders is the root field middleware. Only a query remembers the directory: what a mutation decides, it
// decides on what is so at that moment.
func withLoaders(s *domain.Service) graphql.RootFieldMiddleware {
	return func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
		l := &loaders{nodes: sync.OnceValue(func() *dataloadgen.Loader[string, domain.Node] {
			return dataloadgen.NewLoader(s.Nodes, dataloadgen.WithWait(loadWait), dataloadgen.WithBatchCapacity(loadBatch))
		})}
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Query {
			l.accounts, l.organizations = &memo[domain.Account]{}, &memo[domain.Organization]{}
		}
		return next(context.WithValue(ctx, loadersKey{}, l))
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
