package domain

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// take counts a call for a key, and refuses the call if it exceeds the rate.
func (s *Service) take(ctx context.Context, key []byte, rate Rate) error {
	ok, until, err := s.Limiter.Take(ctx, key, rate, 0)
	if err == nil && !ok {
		err = problem.Note(ctx, problem.New(problem.TooManyRequests).With("limit", rate.Limit).Until(until))
	}
	return err
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
