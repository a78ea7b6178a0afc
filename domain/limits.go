package domain

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
)

// take counts a call for a key, and refuses the call if it exceeds the rate.
func (s *Service) take(ctx context.Context, key []byte, rate Rate) error {
	ok, until, err := s.Limiter.Take(ctx, key, rate, 0)
	if err == nil && !ok {
		err = problem.Note(ctx, problem.New(problem.TooManyRequests).With("limit", rate.Limit).Until(until))
	}
	return err
}

// orders counts a call that orders a report, a quiz or questions: once for the caller and once for the person, however
// often the call is tried (verification, section 3). The institution is not counted.
type orders struct {
	s              *Service
	caller, person bool
}

func (s *Service) orders() *orders { return &orders{s: s} }

// count counts the call for the caller.
// Refuses with TooManyRequests.
func (o *orders) count(ctx context.Context) error {
	if o.caller || o.s.Settings.ReportLimit.Limit <= 0 {
		return nil
	}
	o.caller = true
	return o.s.take(ctx, o.s.KeyedHash("orders of caller", ActorFrom(ctx).ID), o.s.Settings.ReportLimit)
}

// countPerson counts the call for the person, by tax id.
// Refuses with TooManyRequests.
func (o *orders) countPerson(ctx context.Context, i Identity) error {
	if o.person || o.s.Settings.ReportPersonLimit.Limit <= 0 || i.TaxID == nil {
		return nil
	}
	o.person = true
	return o.s.take(ctx, o.s.KeyedHash("orders of person", risk.FoldTaxID(*i.TaxID)), o.s.Settings.ReportPersonLimit)
}

// failures is a counter of failures: a key and the rate that limits it.
type failures struct {
	key  []byte
	rate Rate
}

// unlessFailed refuses if one of the counters has reached its limit. It counts nothing.
func (s *Service) unlessFailed(ctx context.Context, counters ...failures) error {
	for _, c := range counters {
		ok, until, err := s.Limiter.Peek(ctx, c.key, c.rate)
		if err != nil {
			return err
		}
		if !ok {
			return problem.Note(ctx, problem.New(problem.TooManyAttempts).With("limit", c.rate.Limit).Until(until))
		}
	}
	return nil
}

// failed counts a failure in each of the counters, even if the caller has cancelled the call.
func (s *Service) failed(ctx context.Context, counters ...failures) error {
	ctx = context.WithoutCancel(ctx)
	for _, c := range counters {
		if _, _, err := s.Limiter.Take(ctx, c.key, c.rate, 0); err != nil {
			return err
		}
	}
	return nil
}

// refused ends a call with a problem and stores it under the idempotency key for repeats. It counts a failure, unless the
// call is a repeat.
func refused[R any, S, T ~string](
	ctx context.Context, s *Service, l *life[R, S, T], a Actor, c call, p *problem.Problem, counters ...failures,
) (Outcome[R], error) {
	err := s.remember(ctx, a, c, "", p)
	switch {
	case errors.Is(err, ErrRemembered):
		if out, done, err := recall(ctx, s, l, a, c); done {
			return out, err
		}
	case err != nil:
		return Outcome[R]{}, err
	}
	if err := s.failed(ctx, counters...); err != nil {
		return Outcome[R]{}, err
	}
	return Outcome[R]{}, p
}
