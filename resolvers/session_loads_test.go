package resolvers_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/resolvers"
)

// readStore counts the statements that read sessions and clients.
type readStore struct {
	domain.Store
	reads, single atomic.Int32
}

func (s *readStore) Sessions() domain.Shelf[domain.Session] { return readShelf{s.Store.Sessions(), s} }

func (s *readStore) Client(ctx context.Context, id string) (*domain.Client, error) {
	s.single.Add(1)
	return s.Store.Client(ctx, id)
}

func (s *readStore) Clients(ctx context.Context, ids []string) ([]*domain.Client, error) {
	s.reads.Add(1)
	return s.Store.Clients(ctx, ids)
}

type readShelf struct {
	domain.Shelf[domain.Session]
	of *readStore
}

func (s readShelf) Get(ctx context.Context, id string) (*domain.Session, error) {
	s.of.single.Add(1)
	return s.Shelf.Get(ctx, id)
}

func (s readShelf) GetMany(ctx context.Context, ids []string) ([]*domain.Session, error) {
	s.of.reads.Add(1)
	return s.Shelf.GetMany(ctx, ids)
}

func (s readShelf) List(ctx context.Context, q listing.Query) (listing.Page[domain.Session], error) {
	s.of.reads.Add(1)
	return s.Shelf.List(ctx, q)
}

func TestClientsOfAListAreReadAtOnce(t *testing.T) {
	t.Parallel()
	store := &readStore{}
	d := open(t, func(o *resolvers.Options) {
		service := *o.Service
		store.Store, service.Store = service.Store, store
		o.Service = &service
	})
	for i := range 30 {
		d.Login(t, "alice", fmt.Sprintf("client_%d", i))
		d.Clock.Pass(time.Second)
	}
	for _, who := range []domain.Actor{customer("alice"), administrator()} {
		store.reads.Store(0)
		store.single.Store(0)
		r := d.ask(who, `{ sessions(first: 30) { nodes { client { id sessions { id } lastActiveSession { id } } } } }`, nil).done()
		for i := range 30 {
			r.says(fmt.Sprintf("client_%d", i), "sessions", "nodes", i, "client", "id").
				says(r.at("sessions", "nodes", i, "client", "lastActiveSession"), "sessions", "nodes", i, "client", "sessions", 0)
		}
		if reads, single := store.reads.Load(), store.single.Load(); single != 0 || reads < 2 || reads > 6 {
			t.Errorf("30 clients were read in %d statements, and %d for one each", reads, single)
		}
	}
}

// TestAClientWithManySessionsLeavesTheOthersTheirs: such a client returns its live sessions and the ten newest others, in
// order of creation, and the sessions of other clients are complete.
func TestAClientWithManySessionsLeavesTheOthersTheirs(t *testing.T) {
	t.Parallel()
	d := open(t)
	var many []*domain.Session
	few := d.Login(t, "alice", "client_few")
	for range 205 {
		d.Clock.Pass(time.Second)
		many = append(many, d.Login(t, "alice", "client_many"))
	}
	for _, r := range many[:200] {
		_, err := d.EndSession(domain.WithActor(t.Context(), customer("alice")), domain.SessionInput{SessionID: r.ID})
		if err != nil {
			t.Fatal(err)
		}
	}
	query := `query($ids: [ID!]!) { nodes(ids: $ids) { ... on Client { id sessions { id } } } }`
	r := d.ask(customer("alice"), query, map[string]any{"ids": []any{"client_many", "client_few"}}).done()
	if n := len(r.at("nodes", 0, "sessions").([]any)); n != 15 {
		t.Errorf("%d sessions", n)
	}
	r.says(many[190].ID, "nodes", 0, "sessions", 0, "id").says(many[204].ID, "nodes", 0, "sessions", 14, "id").
		says([]any{map[string]any{"id": few.ID}}, "nodes", 1, "sessions")
}
