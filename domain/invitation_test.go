package domain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// onBoth runs a test on each database.
func onBoth(t *testing.T, story func(t *testing.T, k *testkit.Kit)) {
	t.Helper()
	for _, db := range testkit.Databases {
		t.Run(db.Name, func(t *testing.T) {
			t.Parallel()
			story(t, testkit.New(t, db.URL(t)))
		})
	}
}

func verify(k *testkit.Kit, user, id, secret string) (domain.Outcome[domain.Invitation], error) {
	return k.VerifyInvitation(testkit.As(user), domain.VerifyInvitationInput{InvitationID: id, SharedSecret: secret})
}

func wants(t *testing.T, err error, d *problem.Definition) *problem.Problem {
	t.Helper()
	if !problem.Has(err, d) {
		t.Fatalf("got %v, want %s", err, d.Code)
	}
	return problem.Of(err)
}

func TestAnInvitationFromMailToRole(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		i := k.Invite(t)
		if i.State != domain.InvitationSent || i.Version != 1 || !i.ExpiresAt.Equal(testkit.Epoch.Add(720*time.Hour)) {
			t.Fatalf("a new invitation is sent and lives for 30 days: %+v", i)
		}
		if strings.Contains(i.SecretHash, testkit.Secret) || !strings.HasPrefix(i.SecretHash, "$argon2id$") {
			t.Error("the secret is kept as a slow hash")
		}
		_, err := verify(k, "dora", i.ID, "a wrong secret")
		wants(t, err, problem.InvitationVerificationFailed)
		out, err := verify(k, "dora", i.ID, testkit.Secret)
		if err != nil || out.Record.State != domain.InvitationAccepted || *out.Record.AcceptedBy != "dora" || out.Record.VerificationCount != 2 {
			t.Fatalf("the right secret accepts, and the wrong one counted: %+v %v", out.Record, err)
		}
		out, err = k.CompleteInvitation(testkit.Admin(), domain.CompleteInvitationInput{InvitationID: i.ID})
		if err != nil || out.Record.State != domain.InvitationCompleted {
			t.Fatal(err)
		}
		account, err := k.Directory.Account(context.Background(), "acc-alice")
		if err != nil || len(account.Owners) != 2 {
			t.Fatalf("dora is an owner now: %+v %v", account, err)
		}
		var names []string
		for _, e := range journal(t, k, i) {
			names = append(names, e.Name+":"+e.To)
		}
		if got := strings.Join(names, " "); got != "createInvitation:sent verifyInvitation:sent verifyInvitation:accepted completeInvitation:completed" {
			t.Errorf("the journal is %s", got)
		}
		messages, err := k.DB.Claim(context.Background(), k.Clock.Now(), time.Minute, 10)
		if err != nil || len(messages) != 1 || messages[0].To != "dora@example.net" {
			t.Fatalf("one mail left: %v %v", messages, err)
		}
		for name, value := range messages[0].Values {
			if strings.Contains(value, testkit.Secret) {
				t.Errorf("the mail holds the secret in %s", name)
			}
		}
	})
}

func TestWhoMayInvite(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	input := func(uri string) domain.CreateInvitationInput {
		in := domain.CreateInvitationInput{
			EmailAddress: "dora@example.net", SharedSecret: testkit.Secret, Type: domain.InvitationJoint, InviterFullName: "Alice Doe", AccountURI: &uri,
		}
		if strings.Contains(uri, "organizations") {
			in.Type, in.AccountURI, in.OrganizationURI = domain.InvitationAuthorizedSigner, nil, &uri
		}
		return in
	}
	for _, c := range []struct {
		claim, user, uri string
		want             *problem.Definition
	}{
		{"an owner invites", "alice", "/accounts/accounts/acc-alice", nil},
		{"an absolute URI of our host is the same", "alice", "http://gatehouse.test/accounts/accounts/acc-alice", nil},
		{"one of another host is malformed", "alice", "http://elsewhere.test/accounts/accounts/acc-alice", problem.InvalidInput},
		{"a stranger is refused", "eve", "/accounts/accounts/acc-alice", problem.InvitationAccessDenied},
		{"an unknown account is refused alike", "alice", "/accounts/accounts/nowhere", problem.InvitationAccessDenied},
		{"an account without joint owners", "alice", "/accounts/accounts/acc-single", problem.JointOwnersDisabled},
		{"an account that is full", "alice", "/accounts/accounts/acc-full", problem.AdditionalOwnersNotAllowed},
		{"a signer invites to the organization", "carol", "/organizations/organizations/org-acme", nil},
		{"an organization is no account", "alice", "/accounts/accounts/org-acme", problem.InvitationAccessDenied},
		{"a path that goes on is malformed", "alice", "/accounts/accounts/acc-alice/x", problem.InvalidInput},
	} {
		_, err := k.CreateInvitation(testkit.As(c.user), input(c.uri))
		if c.want == nil && err != nil || c.want != nil && !problem.Has(err, c.want) {
			t.Errorf("%s: %v", c.claim, err)
		}
	}
}

func TestAllViolationsAreToldAtOnce(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	role := "boss"
	_, err := k.CreateInvitation(testkit.As("alice"), domain.CreateInvitationInput{
		EmailAddress: "no address", SharedSecret: "short", Type: domain.InvitationJoint, Role: &role,
	})
	p := wants(t, err, problem.InvalidInput)
	var members []string
	for _, c := range p.Causes {
		members = append(members, c.Path[0])
		if strings.Contains(c.Text(), "short") || strings.Contains(c.Text(), "no address") {
			t.Errorf("a value is echoed: %s", c.Text())
		}
	}
	if got := strings.Join(members, " "); got != "emailAddress sharedSecret inviterFullName accountUri role" {
		t.Errorf("the members are %s", got)
	}
	_, err = k.CreateInvitation(testkit.As("dora"), domain.CreateInvitationInput{
		EmailAddress: "DORA@example.com", SharedSecret: testkit.Secret, Type: domain.InvitationJoint, InviterFullName: "Dora", AccountURI: &role,
	})
	if p := wants(t, err, problem.InvalidInput); p.Causes[len(p.Causes)-1].Path[0] != "emailAddress" {
		t.Errorf("nobody invites himself: %v", p.Causes)
	}
}

// TestWrongSecretsAtOnce: of any number of concurrent wrong secrets, exactly five are counted.
func TestWrongSecretsAtOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		k.Settings.VerifyRate.Limit = 1000
		i := k.Invite(t)
		failed, locked := counts(64, func(n int) error {
			_, err := verify(k, fmt.Sprintf("guest-%d", n), i.ID, "a wrong secret")
			return err
		}, problem.InvitationVerificationFailed, problem.InvitationIsFailed)
		if failed != 5 || locked != 59 {
			t.Errorf("%d wrong secrets were counted, %d callers heard that it is locked", failed, locked)
		}
		now, err := k.Service.Invitation(testkit.As("alice"), i.ID)
		if err != nil || now.State != domain.InvitationFailed || now.VerificationCount != 5 || now.Version != 6 {
			t.Errorf("%+v %v", now, err)
		}
		if events := journal(t, k, i); len(events) != 6 {
			t.Errorf("%d lines in the journal", len(events))
		}
	})
}

// TestOneWinner: of 64 concurrent calls that accept or revoke, one succeeds and the others are refused for the state.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		k.Settings.VerifyRate.Limit = 1000
		i := k.Invite(t)
		var won, lost atomic.Int32
		parallel(64, func(n int) {
			var err error
			if n%2 == 0 {
				_, err = verify(k, fmt.Sprintf("guest-%d", n), i.ID, testkit.Secret)
			} else {
				_, err = k.RevokeInvitation(testkit.As("alice"), domain.RevokeInvitationInput{InvitationID: i.ID})
			}
			switch p := problem.Of(err); {
			case p == nil:
				won.Add(1)
			case p.Kind == problem.Conflict:
				lost.Add(1)
			default:
				t.Errorf("a loser hears of the state, not of the race: %v", err)
			}
		})
		if won.Load() != 1 || lost.Load() != 63 {
			t.Errorf("%d winners, %d losers", won.Load(), lost.Load())
		}
		if now, err := k.Service.Invitation(testkit.As("alice"), i.ID); err != nil || now.Version != 2 {
			t.Errorf("one transition happened: %+v %v", now, err)
		}
	})
}

// TestCompletionKeepsTheLimitsOfTheAccount: an account gets no owner beyond its limit and none after joint owners were
// switched off, also if many invitations are completed at once.
func TestCompletionKeepsTheLimitsOfTheAccount(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		accepted := func(n int) []*domain.Invitation {
			var out []*domain.Invitation
			for i := range n {
				invitation := k.Invite(t)
				if _, err := verify(k, fmt.Sprintf("guest-%d", i), invitation.ID, testkit.Secret); err != nil {
					t.Fatal(err)
				}
				out = append(out, invitation)
			}
			return out
		}
		account := func(change func(*domain.Account)) {
			a := &domain.Account{ID: "acc-alice", JointOwnersEnabled: true, Owners: []string{"alice"}}
			change(a)
			if err := k.DB.ImportBatch(t.Context(), []any{a}); err != nil {
				t.Fatal(err)
			}
		}
		complete := func(i *domain.Invitation) error {
			_, err := k.CompleteInvitation(testkit.Admin(), domain.CompleteInvitationInput{InvitationID: i.ID})
			return err
		}
		all := accepted(8)
		account(func(a *domain.Account) { a.JointOwnersEnabled = false })
		if err := complete(all[0]); !problem.Has(err, problem.JointOwnersDisabled) {
			t.Errorf("an account without joint owners: %v", err)
		}
		actions, err := k.Actions(testkit.Admin(), seenInvitation(t, k, all[0].ID), nil)
		done(t, err)
		for _, a := range actions {
			if a.Name == "completeInvitation" && (a.Allowed || a.Problem.Definition != problem.JointOwnersDisabled) {
				t.Errorf("the action is %+v", a)
			}
		}
		account(func(a *domain.Account) { a.MaxOwners = new(3) })
		var completed, full atomic.Int32
		parallel(len(all), func(n int) {
			switch err := complete(all[n]); {
			case err == nil:
				completed.Add(1)
			case problem.Has(err, problem.AdditionalOwnersNotAllowed):
				full.Add(1)
			default:
				t.Errorf("a completion: %v", err)
			}
		})
		now, err := k.Directory.Account(t.Context(), "acc-alice")
		done(t, err)
		if completed.Load() != 2 || full.Load() != 6 || len(now.Owners) != 3 {
			t.Errorf("%d completed, %d refused, owners %v", completed.Load(), full.Load(), now.Owners)
		}
	})
}

func seenInvitation(t *testing.T, k *testkit.Kit, id string) *domain.Invitation {
	t.Helper()
	i, err := k.Service.Invitation(testkit.Admin(), id)
	done(t, err)
	return i
}

// TestOneKeyManyCalls: of 64 calls with one key, one does the work and the others return its replays.
func TestOneKeyManyCalls(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		key, account := "once", "/accounts/accounts/acc-alice"
		var fresh, replayed atomic.Int32
		ids := sync.Map{}
		parallel(64, func(int) {
			out, err := k.CreateInvitation(testkit.As("alice"), domain.CreateInvitationInput{
				EmailAddress: "dora@example.net", SharedSecret: testkit.Secret, Type: domain.InvitationJoint,
				InviterFullName: "Alice Doe", AccountURI: &account, IdempotencyKey: &key,
			})
			if err != nil {
				t.Error(err)
				return
			}
			ids.Store(out.Record.ID, true)
			if out.Replayed {
				replayed.Add(1)
			} else {
				fresh.Add(1)
			}
		})
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		if n != 1 || fresh.Load() != 1 || replayed.Load() != 63 {
			t.Errorf("%d invitations, %d calls did the work, %d were replays", n, fresh.Load(), replayed.Load())
		}
		if tally, err := k.DB.Tally(context.Background()); err != nil || tally[domain.MessagePending] != 1 {
			t.Errorf("one mail: %v %v", tally, err)
		}
	})
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		i := k.Invite(t)
		key := "k1"
		guard := domain.Guard{IdempotencyKey: &key}
		wrong := domain.VerifyInvitationInput{InvitationID: i.ID, SharedSecret: "a wrong secret", Guard: guard}
		_, err := k.VerifyInvitation(testkit.As("dora"), wrong)
		wants(t, err, problem.InvitationVerificationFailed)
		out, err := k.VerifyInvitation(testkit.As("dora"), wrong)
		wants(t, err, problem.InvitationVerificationFailed)
		if now, _ := k.Service.Invitation(testkit.As("alice"), i.ID); !out.Replayed || now.VerificationCount != 1 {
			t.Errorf("a repeat is not counted: %+v", now)
		}
		right := wrong
		right.SharedSecret = testkit.Secret
		_, err = k.VerifyInvitation(testkit.As("dora"), right)
		wants(t, err, problem.IdempotencyKeyReused)
		if _, err = k.RevokeInvitation(testkit.As("alice"), domain.RevokeInvitationInput{InvitationID: i.ID, Guard: guard}); err != nil {
			t.Errorf("another caller's key is another key: %v", err)
		}
		_, err = k.ResendInvitation(testkit.As("alice"), domain.ResendInvitationInput{InvitationID: i.ID, Guard: guard})
		wants(t, err, problem.IdempotencyKeyReused)

		// A repeat gets the refusal of the first call, even if the rules would no longer refuse it.
		again := "k2"
		_, err = k.CompleteInvitation(testkit.Admin(), domain.CompleteInvitationInput{InvitationID: i.ID, Guard: domain.Guard{IdempotencyKey: &again}})
		wants(t, err, problem.InvitationWrongState)
		out, err = k.CompleteInvitation(testkit.Admin(), domain.CompleteInvitationInput{InvitationID: i.ID, Guard: domain.Guard{IdempotencyKey: &again}})
		if p := wants(t, err, problem.InvitationWrongState); !out.Replayed || p.Attributes["currentState"] != "revoked" {
			t.Errorf("the refusal is the same: %+v", p.Attributes)
		}

		// The refusal for an unknown invitation is stored like that for a known one.
		wrong.InvitationID, wrong.IdempotencyKey = "inv_nowhere", &again
		_, err = k.VerifyInvitation(testkit.As("dora"), wrong)
		wants(t, err, problem.InvitationVerificationFailed)
		if out, _ = k.VerifyInvitation(testkit.As("dora"), wrong); !out.Replayed {
			t.Error("the repeat of an unknown one is a replay too")
		}

		// A key is kept for a day.
		k.Clock.Pass(24*time.Hour + time.Second)
		if out, err = k.VerifyInvitation(testkit.As("dora"), wrong); out.Replayed || !problem.Has(err, problem.InvitationVerificationFailed) {
			t.Errorf("after a day the key is free: %v", err)
		}
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	i := k.Invite(t)
	one, two := 1, 2
	_, err := k.RevokeInvitation(testkit.As("alice"), domain.RevokeInvitationInput{InvitationID: i.ID, Guard: domain.Guard{ExpectedVersion: &two}})
	if p := wants(t, err, problem.StaleVersion); p.Attributes["currentVersion"] != 1 {
		t.Errorf("the current version is told: %v", p.Attributes)
	}
	_, err = k.RevokeInvitation(testkit.As("alice"), domain.RevokeInvitationInput{InvitationID: i.ID, Guard: domain.Guard{VersionRequired: true}})
	wants(t, err, problem.VersionRequired)
	if _, err = k.RevokeInvitation(testkit.As("alice"), domain.RevokeInvitationInput{InvitationID: i.ID, Guard: domain.Guard{ExpectedVersion: &one, VersionRequired: true}}); err != nil {
		t.Fatal(err)
	}
	_, err = k.RevokeInvitation(testkit.As("alice"), domain.RevokeInvitationInput{InvitationID: i.ID, Guard: domain.Guard{ExpectedVersion: &one}})
	wants(t, err, problem.StaleVersion) // a stale version takes precedence over a wrong state
	// A version discloses nothing about an invitation that the caller may not see.
	_, err = k.VerifyInvitation(testkit.As("eve"), domain.VerifyInvitationInput{InvitationID: k.Invite(t).ID, SharedSecret: "a wrong secret", Guard: domain.Guard{ExpectedVersion: &two}})
	wants(t, err, problem.InvitationVerificationFailed)
}

func TestTimeEndsAnInvitation(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		i := k.Invite(t)
		k.Clock.Pass(k.Settings.InvitationTTL - time.Second)
		if n, err := k.Sweep(context.Background()); n != 0 || err != nil {
			t.Fatalf("nothing is due yet: %d %v", n, err)
		}
		k.Clock.Pass(time.Second)
		read, err := k.Service.Invitation(testkit.As("alice"), i.ID)
		if err != nil || read.State != domain.InvitationExpired || read.Version != 2 || !read.UpdatedAt.Equal(i.ExpiresAt) {
			t.Fatalf("a reader sees it at once: %+v %v", read, err)
		}
		for state, want := range map[string]int{"expired": 1, "sent": 0} {
			page, err := k.Service.Invitations(testkit.As("alice"), listing.Query{Where: listing.Eq("state", state), Limit: 10, WithCount: true})
			if err != nil || page.Count != want || len(page.Items) != want {
				t.Errorf("a list of %s agrees: %d %v", state, page.Count, err)
			}
		}
		_, err = verify(k, "dora", i.ID, testkit.Secret)
		wants(t, err, problem.InvitationIsExpired)
		if n, err := k.Sweep(context.Background()); n != 1 || err != nil {
			t.Fatalf("the sweeper writes it: %d %v", n, err)
		}
		if n, _ := k.Sweep(context.Background()); n != 0 {
			t.Error("once")
		}
		swept, err := k.Service.Invitation(testkit.As("alice"), i.ID)
		if err != nil || swept.Version != read.Version || !swept.UpdatedAt.Equal(read.UpdatedAt) || swept.State != read.State {
			t.Errorf("what was written is what was seen: %+v", swept)
		}
		if events := journal(t, k, i); events[1].Name != "expireInvitation" || events[1].ActorID != "" || !events[1].OccurredAt.Equal(i.ExpiresAt) {
			t.Errorf("the journal says when: %+v", events[1])
		}
		accepted := in(t, k, domain.InvitationAccepted)
		k.Clock.Pass(k.Settings.InvitationTTL)
		if now, _ := k.Service.Invitation(testkit.As("alice"), accepted.ID); now.State != domain.InvitationAccepted {
			t.Error("an accepted invitation does not expire")
		}
	})
}

func TestResendAndNewSecret(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	i := k.Invite(t)
	key := mailKey(t, k, 0)
	for range 5 {
		k.Clock.Pass(time.Second)
		if _, err := k.ResendInvitation(testkit.As("alice"), domain.ResendInvitationInput{InvitationID: i.ID}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := k.ResendInvitation(testkit.As("alice"), domain.ResendInvitationInput{InvitationID: i.ID})
	if p := wants(t, err, problem.InvitationResendLimit); p.Attributes["limit"] != 5 {
		t.Errorf("the limit is told: %v", p.Attributes)
	}
	if _, err := k.InvitationPreview(context.Background(), i.ID, key); !problem.Has(err, problem.NoSuchInvitation) {
		t.Errorf("the key of an older mail opens nothing: %v", err)
	}
	key = mailKey(t, k, 5)
	if p, err := k.InvitationPreview(context.Background(), i.ID, key); err != nil || p.InviterFullName != "Alice Doe" || p.Institution != "First Test Bank" {
		t.Errorf("the key of the newest does: %+v %v", p, err)
	}
	for range 4 {
		_, err = verify(k, "dora", i.ID, "a wrong secret")
		wants(t, err, problem.InvitationVerificationFailed)
	}
	if _, err := k.UpdateInvitationSecret(testkit.As("alice"), domain.UpdateInvitationSecretInput{InvitationID: i.ID, SharedSecret: "a new secret"}); err != nil {
		t.Fatal(err)
	}
	_, err = verify(k, "dora", i.ID, testkit.Secret)
	wants(t, err, problem.InvitationVerificationFailed)
	// The page requires no sign-in: the key in the e-mail and the secret suffice, and AcceptedBy stays nil.
	out, err := k.VerifyInvitation(context.Background(), domain.VerifyInvitationInput{InvitationID: i.ID, SharedSecret: "a new secret", MailKey: &key})
	if err != nil || out.Record.State != domain.InvitationAccepted || out.Record.AcceptedBy != nil {
		t.Errorf("%+v %v", out.Record, err)
	}
}

// mailKey returns the key in the nth e-mail.
func mailKey(t *testing.T, k *testkit.Kit, n int) string {
	t.Helper()
	ctx := context.Background()
	messages, err := k.DB.Claim(ctx, k.Clock.Now(), time.Minute, 100)
	if err != nil || len(messages) <= n {
		t.Fatalf("%d mails: %v", len(messages), err)
	}
	for _, m := range messages {
		if err := k.DB.Retry(ctx, m, k.Clock.Now(), "put back by the test"); err != nil {
			t.Fatal(err)
		}
	}
	newest := messages[0]
	for _, m := range messages {
		if m.ID > newest.ID {
			newest = m
		}
	}
	_, key, _ := strings.Cut(newest.Values["link"], "&key=")
	return key
}

func TestRateOfVerifications(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, k *testkit.Kit) {
		failed, limited := counts(64, func(int) error {
			_, err := verify(k, "dora", "inv_nowhere", "a wrong secret")
			return err
		}, problem.InvitationVerificationFailed, problem.TooManyRequests)
		if failed != 20 || limited != 44 {
			t.Errorf("%d were let through, %d were limited", failed, limited)
		}
		i := k.Invite(t)
		_, err := verify(k, "dora", i.ID, testkit.Secret)
		if p := wants(t, err, problem.TooManyRequests); p.AvailableAt.Sub(k.Clock.Now()) != 10*time.Minute {
			t.Errorf("the address is blocked for ten minutes: %v", p.AvailableAt)
		}
		k.Clock.Pass(10 * time.Minute)
		if _, err := verify(k, "dora", i.ID, testkit.Secret); err != nil {
			t.Errorf("then it may try again: %v", err)
		}
	})
}

// TestAnOutageIsNotRemembered: an outage of the store is not a refusal by the rules, and is not stored under the key.
func TestAnOutageIsNotRemembered(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	i := k.Invite(t)
	key := "k"
	gone, cancel := context.WithCancel(testkit.As("alice"))
	cancel()
	if _, err := k.RevokeInvitation(gone, domain.RevokeInvitationInput{InvitationID: i.ID, Guard: domain.Guard{IdempotencyKey: &key}}); err == nil {
		t.Fatal("a caller who has gone is not served")
	}
	out, err := k.RevokeInvitation(testkit.As("alice"), domain.RevokeInvitationInput{InvitationID: i.ID, Guard: domain.Guard{IdempotencyKey: &key}})
	if err != nil || out.Replayed {
		t.Errorf("%+v %v", out, err)
	}
}

// parallel runs n calls at once.
func parallel(n int, call func(int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; call(i) })
	}
	close(start)
	wg.Wait()
}

// counts runs n calls at once and counts the results with each of two problems.
func counts(n int, call func(int) error, one, other *problem.Definition) (ones, others int) {
	var a, b atomic.Int32
	parallel(n, func(i int) {
		err := call(i)
		var p *problem.Problem
		if errors.As(err, &p) {
			switch p.Definition {
			case one:
				a.Add(1)
			case other:
				b.Add(1)
			}
		}
	})
	return int(a.Load()), int(b.Load())
}

// TestVerifyRepeatsWithAVersion: a verification with an expected version is stored under its key like any other.
func TestVerifyRepeatsWithAVersion(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	for _, c := range []struct {
		claim, secret string
		version       int
		want          *problem.Definition
	}{
		{"a wrong secret", "a wrong secret", 1, problem.InvitationVerificationFailed},
		{"the right secret at an old version", testkit.Secret, 7, problem.StaleVersion},
		{"the right secret", testkit.Secret, 1, nil},
	} {
		i := k.Invite(t)
		in := domain.VerifyInvitationInput{InvitationID: i.ID, SharedSecret: c.secret, Guard: domain.Guard{ExpectedVersion: &c.version, IdempotencyKey: &c.claim}}
		first, err1 := k.VerifyInvitation(testkit.As("dora"), in)
		again, err2 := k.VerifyInvitation(testkit.As("dora"), in)
		if c.want != nil && (!problem.Has(err1, c.want) || !problem.Has(err2, c.want)) || c.want == nil && (err1 != nil || err2 != nil) {
			t.Errorf("%s: %v, then %v", c.claim, err1, err2)
		}
		if first.Replayed || !again.Replayed {
			t.Errorf("%s: the second is the replay: %v %v", c.claim, first.Replayed, again.Replayed)
		}
	}
	// A stale version takes precedence over a refusal for the state.
	i := in(t, k, domain.InvitationRevoked)
	one := 1
	_, err := k.VerifyInvitation(testkit.As("dora"), domain.VerifyInvitationInput{InvitationID: i.ID, SharedSecret: testkit.Secret, Guard: domain.Guard{ExpectedVersion: &one}})
	wants(t, err, problem.StaleVersion)
}

// TestReplaysShowOnlyWhatMayBeSeen: a caller who has lost access since gets the outcome without the record.
func TestReplaysShowOnlyWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	i := in(t, k, domain.InvitationAccepted)
	key := "once"
	guard := domain.Guard{IdempotencyKey: &key}
	if _, err := k.CompleteInvitation(testkit.Admin(), domain.CompleteInvitationInput{InvitationID: i.ID, Guard: guard}); err != nil {
		t.Fatal(err)
	}
	out, err := k.CompleteInvitation(testkit.As("root"), domain.CompleteInvitationInput{InvitationID: i.ID, Guard: guard})
	if err != nil || !out.Replayed || out.Record != nil || out.ID != i.ID {
		t.Errorf("%+v %v", out, err)
	}
}

// TestTheJournalDoesNotLag: a caller who reads an expired invitation also reads its event, even before the sweeper runs.
func TestTheJournalDoesNotLag(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	i := k.Invite(t)
	k.Clock.Pass(k.Settings.InvitationTTL)
	now, err := k.Service.Invitation(testkit.As("alice"), i.ID)
	if err != nil {
		t.Fatal(err)
	}
	if events := journal(t, k, now); events[len(events)-1].To != "expired" {
		t.Errorf("%+v", events[len(events)-1])
	}
}
