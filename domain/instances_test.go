package domain_test

import (
	"sync/atomic"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// onTwo runs a test of races on each database with two instances; instance(n) returns them in turn.
func onTwo(t *testing.T, story func(t *testing.T, k *testkit.Kit, instance func(int) *testkit.Kit)) {
	t.Helper()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		both := [2]*testkit.Kit{k, k.Another(t)}
		story(t, k, func(n int) *testkit.Kit { return both[n%2] })
	})
}

// TestTwoInstancesTouch: 64 touches through two instances change only the activity.
func TestTwoInstancesTouch(t *testing.T) {
	t.Parallel()
	onTwo(t, func(t *testing.T, k *testkit.Kit, instance func(int) *testkit.Kit) {
		r := k.Login(t, "alice", "browser")
		parallel(64, func(n int) {
			if _, err := instance(n).TouchSession(testkit.As("alice"), domain.TouchSessionInput{SessionID: r.ID}); err != nil {
				t.Error(err)
			}
		})
		if now, err := k.Service.Session(testkit.As("alice"), r.ID); err != nil || now.Version != 1 || now.State != domain.SessionActive {
			t.Errorf("%+v %v", now, err)
		}
	})
}

// TestTwoInstancesAgainstTerminate: touches, tokens and resumes in flight on one instance never undo a terminate that
// the other acknowledged.
func TestTwoInstancesAgainstTerminate(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*testkit.Kit, string) error{
		"touch": func(k *testkit.Kit, id string) error {
			_, err := k.TouchSession(testkit.As("alice"), domain.TouchSessionInput{SessionID: id})
			return err
		},
		"token": func(k *testkit.Kit, id string) error {
			_, _, err := k.CreateSessionToken(testkit.As("alice"), domain.CreateSessionTokenInput{SessionID: id})
			return err
		},
		"resume": func(k *testkit.Kit, id string) error {
			_, err := k.ResumeSession(testkit.Admin(), domain.SessionInput{SessionID: id})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onTwo(t, func(t *testing.T, k *testkit.Kit, instance func(int) *testkit.Kit) {
				r := k.Login(t, "alice", "browser")
				var acknowledged atomic.Bool
				parallel(65, func(n int) {
					if n == 32 {
						if _, err := instance(n).TerminateSession(testkit.Admin(), domain.SessionInput{SessionID: r.ID}); err != nil {
							t.Error(err)
						}
						acknowledged.Store(true)
						return
					}
					late := acknowledged.Load()
					if err := call(instance(n), r.ID); err == nil && late {
						t.Errorf("a %s that began after the terminate was acknowledged succeeded", name)
					} else if p := problem.Of(err); p != nil && p.Kind != problem.Conflict {
						t.Errorf("a loser hears of the state: %v", err)
					}
				})
				if now, err := instance(1).Service.Session(testkit.Admin(), r.ID); err != nil || now.State != domain.SessionRevoked {
					t.Errorf("%+v %v", now, err)
				}
			})
		})
	}
}

// TestTwoInstancesEndAndRemove: an end and a remove through two instances happen at most once each, and the final state
// is removed.
func TestTwoInstancesEndAndRemove(t *testing.T) {
	t.Parallel()
	onTwo(t, func(t *testing.T, k *testkit.Kit, instance func(int) *testkit.Kit) {
		r := k.Login(t, "alice", "browser")
		var ended, removed atomic.Int32
		parallel(64, func(n int) {
			var err error
			if n/2%2 == 0 {
				if _, err = instance(n).EndSession(testkit.As("alice"), domain.SessionInput{SessionID: r.ID}); err == nil {
					ended.Add(1)
				}
			} else if _, err = instance(n).RemoveSession(testkit.As("alice"), domain.SessionInput{SessionID: r.ID}); err == nil {
				removed.Add(1)
			}
			if err != nil && !problem.Has(err, problem.SessionNotLive) {
				t.Error(err)
			}
		})
		now, err := k.Service.Session(testkit.Admin(), r.ID)
		if err != nil || now.State != domain.SessionRemoved || removed.Load() != 1 || ended.Load() > 1 || now.Version != 1+int(ended.Load()+removed.Load()) {
			t.Errorf("%d ends, %d removes: %+v %v", ended.Load(), removed.Load(), now, err)
		}
	})
}
