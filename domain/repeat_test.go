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

// between calls a function once, after an idempotency key was found unused.
type between struct {
	domain.Store
	once  sync.Once
	first func()
}

func (b *between) Recall(ctx context.Context, key []byte, now time.Time) (*domain.IdempotencyRecord, error) {
	m, err := b.Store.Recall(ctx, key, now)
	if errors.Is(err, domain.ErrMissing) {
		b.once.Do(b.first)
	}
	return m, err
}

// TestARepeatAtTheSameTime: the effect of the first call would cause a refusal of a concurrent repeat, which is still
// answered as a repeat: the record is no longer visible, is erased, or already has the requested state.
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
		// A different call with the key is refused for the key, and not for the effect of the first one.
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

// beforeRefusal calls a function once, between the decision of a refusal and its storage.
type beforeRefusal struct {
	domain.Store
	once  sync.Once
	first func()
}

func (b *beforeRefusal) Commit(ctx context.Context, u *domain.Unit) (domain.Written, error) {
	if u.IdempotencyRecord != nil && u.IdempotencyRecord.Code != "" {
		b.once.Do(b.first)
	}
	return b.Store.Commit(ctx, u)
}

// TestARefusalIsOfItsTime: a refusal still holds when it is stored. If the record had changed in between, a different
// call with the same key that has seen the change would have been ordered both before and after the refusal.
func TestARefusalIsOfItsTime(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		key := ptr("one for two")
		erased, removed := k.Invite(t), k.Login(t, "alice", "browser")
		if _, err := k.TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: removed.ID}); err != nil {
			t.Fatal(err)
		}
		secret := func(s *domain.Service, secret string, version *int) error {
			_, err := s.UpdateInvitationSecret(testkit.As(erased.CreatedBy, domain.ScopeBankingFull), domain.UpdateInvitationSecretInput{
				InvitationID: erased.ID, SharedSecret: secret, Guard: domain.Guard{IdempotencyKey: key, ExpectedVersion: version},
			})
			return err
		}
		second := *k.Service
		second.Store = &beforeRefusal{Store: k.Store, first: func() {
			if _, err := k.DeleteInvitation(testkit.Admin(), domain.DeleteInvitationInput{InvitationID: erased.ID}); err != nil {
				t.Error(err)
			}
			wants(t, secret(k.Service, "quite another one", nil), problem.NoSuchInvitation)
		}}
		wants(t, secret(&second, "the right secret", ptr(7)), problem.NoSuchInvitation)

		touch := func(s *domain.Service, organization *string) error {
			_, err := s.TouchSession(onClient("browser"), domain.TouchSessionInput{SessionID: removed.ID, OrganizationID: organization, IdempotencyKey: key})
			return err
		}
		second.Store = &beforeRefusal{Store: k.Store, first: func() {
			if _, err := k.RemoveSession(onClient("browser"), domain.SessionInput{SessionID: removed.ID}); err != nil {
				t.Error(err)
			}
			wants(t, touch(k.Service, ptr("")), problem.NoSuchSession)
		}}
		wants(t, touch(&second, nil), problem.NoSuchSession)
	})
}
