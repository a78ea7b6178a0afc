package domain_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// between does something once, after an idempotency key was found free.
type between struct {
	domain.Store
	once  sync.Once
	first func()
}

func (b *between) Recall(ctx context.Context, key []byte, now time.Time) (*domain.Memory, error) {
	m, err := b.Store.Recall(ctx, key, now)
	if errors.Is(err, domain.ErrMissing) {
		b.once.Do(b.first)
	}
	return m, err
}

// TestARepeatAtTheSameTime: what the first call has done may be why the second one is refused, and still the second one
// is a repeat: where the record is no more to be seen, where it is erased, and where what was asked for is done.
func TestARepeatAtTheSameTime(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		key := func(text string) domain.Guard { return domain.Guard{IdempotencyKey: ptr(text)} }
		removed := k.Login(t, "alice", "browser")
		touched := k.Login(t, "alice", "browser")
		pending, err := k.CreateSession(testkit.Admin(), domain.CreateSessionInput{UserID: "alice", Tasks: []string{"setup-mfa", "reset-password"}})
		if err != nil {
			t.Fatal(err)
		}
		erased := k.Invite(t)
		for _, c := range []struct {
			claim string
			do    func(*domain.Service) (replayed bool, err error)
		}{
			{"removing a session from its client", func(s *domain.Service) (bool, error) {
				out, err := s.RemoveSession(onClient("browser"), domain.SessionInput{SessionID: removed.ID, Guard: key("remove")})
				return out.Replayed, err
			}},
			{"completing a task", func(s *domain.Service) (bool, error) {
				out, err := s.CompleteSessionTask(testkit.Admin(), domain.CompleteSessionTaskInput{SessionID: pending.Record.ID, Task: "setup-mfa", Guard: key("complete")})
				return out.Replayed, err
			}},
			{"erasing an invitation", func(s *domain.Service) (bool, error) {
				out, err := s.DeleteInvitation(testkit.Admin(), domain.DeleteInvitationInput{InvitationID: erased.ID, Guard: key("delete")})
				return out.Replayed, err
			}},
			{"touching a session", func(s *domain.Service) (bool, error) {
				out, err := s.TouchSession(testkit.As("alice"), domain.TouchSessionInput{SessionID: touched.ID, IdempotencyKey: ptr("touch")})
				return out.Replayed, err
			}},
		} {
			second := *k.Service
			second.Store = &between{Store: k.Store, first: func() {
				if replayed, err := c.do(k.Service); err != nil || replayed {
					t.Errorf("%s: a replay %t, %v", c.claim, replayed, err)
				}
			}}
			if replayed, err := c.do(&second); err != nil || !replayed {
				t.Errorf("%s again: a replay %t, %v", c.claim, replayed, err)
			}
		}
		// Another call with the key is refused for that, and not because of what the first one did.
		gone := k.Login(t, "alice", "browser")
		second := *k.Service
		second.Store = &between{Store: k.Store, first: func() {
			if _, err := k.RemoveSession(onClient("browser"), domain.SessionInput{SessionID: gone.ID, Guard: key("one for two")}); err != nil {
				t.Error(err)
			}
		}}
		_, err = second.TouchSession(onClient("browser"), domain.TouchSessionInput{SessionID: gone.ID, IdempotencyKey: ptr("one for two")})
		wants(t, err, problem.IdempotencyKeyReused)
	})
}
