package resttest

import (
	"context"
	"sync"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
)

// Store is a store that fails on demand.
type Store struct {
	domain.Store
	mu  sync.Mutex
	err error
}

// Fail makes every call of the store return an error; nil makes them succeed again. It returns the previous error.
func (s *Store) Fail(err error) (before error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.err = s.err, err
	return before
}

func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Commit returns the failure or forwards the call, like all methods here.
func (s *Store) Commit(ctx context.Context, u *domain.Unit) (domain.Written, error) {
	if err := s.failure(); err != nil {
		return domain.Written{}, err
	}
	return s.Store.Commit(ctx, u)
}

// Client is described at Commit.
func (s *Store) Client(ctx context.Context, id string) (*domain.Client, error) {
	if err := s.failure(); err != nil {
		return nil, err
	}
	return s.Store.Client(ctx, id)
}

// SessionByHandle is described at Commit.
func (s *Store) SessionByHandle(ctx context.Context, hash []byte) (string, error) {
	if err := s.failure(); err != nil {
		return "", err
	}
	return s.Store.SessionByHandle(ctx, hash)
}

// Invitations returns a shelf that fails with the store, like the methods below.
func (s *Store) Invitations() domain.Shelf[domain.Invitation] {
	return shelf[domain.Invitation]{s.Store.Invitations(), s}
}

// Contacts is described at Invitations.
func (s *Store) Contacts() domain.Shelf[domain.Contact] {
	return shelf[domain.Contact]{s.Store.Contacts(), s}
}

// FraudRiskReports is described at Invitations.
func (s *Store) FraudRiskReports() domain.Shelf[domain.FraudRiskReport] {
	return shelf[domain.FraudRiskReport]{s.Store.FraudRiskReports(), s}
}

// Quizzes is described at Invitations.
func (s *Store) Quizzes() domain.Shelf[domain.Quiz] {
	return shelf[domain.Quiz]{s.Store.Quizzes(), s}
}

// Approvals is described at Invitations.
func (s *Store) Approvals() domain.Shelf[domain.Approval] {
	return shelf[domain.Approval]{s.Store.Approvals(), s}
}

// Sessions is described at Invitations.
func (s *Store) Sessions() domain.Shelf[domain.Session] {
	return shelf[domain.Session]{s.Store.Sessions(), s}
}

type shelf[R any] struct {
	domain.Shelf[R]
	store *Store
}

func (s shelf[R]) Get(ctx context.Context, id string) (*R, error) {
	if err := s.store.failure(); err != nil {
		return nil, err
	}
	return s.Shelf.Get(ctx, id)
}

func (s shelf[R]) List(ctx context.Context, q listing.Query) (listing.Page[R], error) {
	if err := s.store.failure(); err != nil {
		return listing.Page[R]{}, err
	}
	return s.Shelf.List(ctx, q)
}
