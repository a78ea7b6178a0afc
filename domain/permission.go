package domain

import (
	"context"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Permit checks that the caller's token permits the operation, before any other check.
// Refuses with Unauthorized, SessionExpired, ServiceUnavailable (the issuer's keys could not be read) and
// AccessDenied.
func (s *Service) Permit(ctx context.Context, operation string) error {
	o, ok := operations[operation]
	if !ok {
		return problem.New(problem.InternalError).Because("There is no such operation.")
	}
	p := o.needs
	if p.open {
		return nil
	}
	if p.client && ActorFrom(ctx).ClientKey != "" {
		return nil
	}
	a, err := s.signedIn(ctx)
	if err != nil {
		return err
	}
	if p.admin && !a.Admin() {
		return problem.New(problem.AccessDenied)
	}
	if len(p.scopes) == 0 || a.Has(p.scopes...) || p.sees && a.SeesAll() {
		return nil
	}
	return problem.New(problem.AccessDenied)
}

// signedIn returns the actor of an accepted token.
func (s *Service) signedIn(ctx context.Context) (Actor, error) {
	a := ActorFrom(ctx)
	switch {
	case a.Refused != nil:
		return a, a.Refused
	case a.ID == "":
		return a, problem.New(problem.Unauthorized)
	}
	return a, nil
}

// Viewer returns the caller.
// Refuses with Unauthorized and SessionExpired.
func (s *Service) Viewer(ctx context.Context) (*Actor, error) {
	a, err := s.signedIn(ctx)
	if err != nil {
		return nil, err
	}
	return &a, nil
}
