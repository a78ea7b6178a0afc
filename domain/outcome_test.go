package domain_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/testkit"
)

// answer has the parts of an outcome that the documentation of Outcome.ID covers.
type answer struct {
	id, record string
	replayed   bool
	err        error
}

func (a answer) String() string {
	return fmt.Sprintf("id %q, record %q, replayed %t, %v", a.id, a.record, a.replayed, a.err)
}

func answerOf[R any](out domain.Outcome[R], err error) answer {
	a := answer{id: out.ID, replayed: out.Replayed, err: err}
	switch r := any(out.Record).(type) {
	case domain.Record:
		if out.Record != nil {
			a.record = r.Head().ID
		}
	case *domain.DeviceChallenge:
		if r != nil {
			a.record = r.ID
		}
	case *domain.Client:
		if r != nil {
			a.record = r.ID
		}
	}
	return a
}

// outcomeRow is an operation whose outcomes are compared.
type outcomeRow struct {
	operation string
	call      func(ctx context.Context, key *string) answer
	// ctx is the caller.
	ctx context.Context
	// want is the id of the record that the input names; empty: the call creates or looks up one.
	want string
	// closes is set where a second call with another key is refused by the state of the record.
	closes bool
}

// An outcome names its record after a success, after a replay of it, and after a refusal that the state of the record
// causes. A record in an outcome is always the named one. A refused creation has no record.
func TestOutcomeNamesItsRecord(t *testing.T) {
	t.Parallel()
	k := testkit.New(t, testkit.SQLite(t))
	p := &proving{k, t}
	k.Customers(t)
	k.Know(t, testkit.Pike())
	mailed, texted := k.MailedToken(t, "alice"), k.TextedCode(t, "alice")
	admin, pike, inviter := testkit.Admin(), testkit.Profiles("pike"), testkit.As("alice")
	guard := func(key *string) domain.Guard { return domain.Guard{IdempotencyKey: key} }

	updated, revoked, completed, erased, resent, verified := k.Invite(t), k.Invite(t), k.Invite(t), k.Invite(t), k.Invite(t), k.Invite(t)
	if _, err := verify(k, "dora", completed.ID, testkit.Secret); err != nil {
		t.Fatal(err)
	}
	contact := k.ContactOf(t, "pike", testkit.Pike())
	quiz, err := k.CreateQuiz(pike, domain.CreateQuizInput{ContactID: &contact.ID})
	done(t, err)
	asked, questions := k.AskQuiz(t, "pike", contact.ID)
	device, registered := p.register("ed25519", 0)
	approved, rejected, approvedByHeader, rejectedByHeader := p.open(), p.open(), p.open(), p.open()
	proof := func(signed ...string) domain.Evidence {
		challenge := p.challenge(registered)
		e := evidence(challenge, device.Sign(challenge, "alice", signed...))
		e.PIN, e.Password = ptr("4711"), ptr("alice's password")
		return e
	}
	approve, reject, approveHeader, rejectHeader := proof(statement), proof(statement), proof(), proof()
	other := testkit.NewDevice("ed25519", 1)
	ended, removed, terminated := k.Login(t, "alice", "one"), k.Login(t, "alice", "two"), k.Login(t, "alice", "three")
	kept, touched, abandoned := k.Login(t, "bob", "four"), k.Login(t, "alice", "five"), k.Login(t, "carol", "six")
	pending, err := k.CreateSession(admin, domain.CreateSessionInput{UserID: "alice", Tasks: []string{"setup-mfa"}})
	done(t, err)

	rows := []outcomeRow{
		{operation: "VerifyEmail", ctx: alice, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.VerifyEmail(ctx, domain.VerifyEmailInput{Token: mailed, Guard: guard(key)}))
		}},
		{operation: "VerifyPhone", ctx: alice, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.VerifyPhone(ctx, domain.VerifyPhoneInput{Code: texted, Guard: guard(key)}))
		}},
		{operation: "CreateInvitation", ctx: inviter, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CreateInvitation(ctx, domain.CreateInvitationInput{
				EmailAddress: "erin@example.net", SharedSecret: testkit.Secret, Type: domain.InvitationJoint, InviterFullName: "Alice Doe",
				AccountURI: ptr("/accounts/accounts/acc-alice"), IdempotencyKey: key,
			}))
		}},
		{operation: "ResendInvitation", ctx: inviter, want: resent.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.ResendInvitation(ctx, domain.ResendInvitationInput{InvitationID: resent.ID, Guard: guard(key)}))
		}},
		{operation: "RevokeInvitation", ctx: inviter, want: revoked.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.RevokeInvitation(ctx, domain.RevokeInvitationInput{InvitationID: revoked.ID, Guard: guard(key)}))
		}},
		{operation: "UpdateInvitationSecret", ctx: inviter, want: updated.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.UpdateInvitationSecret(ctx, domain.UpdateInvitationSecretInput{
				InvitationID: updated.ID, SharedSecret: "quite another one", Guard: guard(key),
			}))
		}},
		{operation: "VerifyInvitation", ctx: testkit.As("dora"), want: verified.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.VerifyInvitation(ctx, domain.VerifyInvitationInput{
				InvitationID: verified.ID, SharedSecret: testkit.Secret, Guard: guard(key),
			}))
		}},
		{operation: "CompleteInvitation", ctx: admin, want: completed.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CompleteInvitation(ctx, domain.CompleteInvitationInput{InvitationID: completed.ID, Guard: guard(key)}))
		}},
		{operation: "DeleteInvitation", ctx: admin, want: erased.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.DeleteInvitation(ctx, domain.DeleteInvitationInput{InvitationID: erased.ID, Guard: guard(key)}))
		}},
		{operation: "CreateContact", ctx: pike, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CreateContact(ctx, domain.CreateContactInput{Identity: testkit.Pike(), IdempotencyKey: key}))
		}},
		{operation: "UpdateContact", ctx: pike, want: contact.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.UpdateContact(ctx, domain.UpdateContactInput{
				ContactID: contact.ID, Identity: domain.Identity{City: ptr("Durham")}, Guard: guard(key),
			}))
		}},
		{operation: "CreateApproval", ctx: testkit.IdentityAdmin(), call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CreateApproval(ctx, domain.CreateApprovalInput{ContactID: contact.ID, IdempotencyKey: key}))
		}},
		{operation: "CreateFraudRiskReport", ctx: testkit.IdentityAdmin(), call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CreateFraudRiskReport(ctx, domain.CreateFraudRiskReportInput{ContactID: &contact.ID, IdempotencyKey: key}))
		}},
		{operation: "CreateQuiz", ctx: pike, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CreateQuiz(ctx, domain.CreateQuizInput{ContactID: &contact.ID, IdempotencyKey: key}))
		}},
		{operation: "CreateQuizQuestions", ctx: pike, want: quiz.Record.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			out, _, err := k.CreateQuizQuestions(ctx, domain.CreateQuizQuestionsInput{QuizID: quiz.Record.ID, Guard: guard(key)})
			return answerOf(out, err)
		}},
		{operation: "ScoreQuiz", ctx: pike, want: asked.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.ScoreQuiz(ctx, domain.ScoreQuizInput{QuizID: asked.ID, Answers: testkit.RightAnswers(questions, 0), Guard: guard(key)}))
		}},
		{operation: "RegisterDevice", ctx: alice, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.RegisterDevice(ctx, domain.RegisterDeviceInput{PublicKey: other.PublicKey(), IdempotencyKey: key}))
		}},
		{operation: "OpenTwoFactorRequest", ctx: admin, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.OpenTwoFactorRequest(ctx, domain.OpenTwoFactorRequestInput{
				CustomerID: "bob", ClientID: "web", Statement: statement, IdempotencyKey: key,
			}))
		}},
		{operation: "ApproveTwoFactorRequest", ctx: alice, want: approved.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.ApproveTwoFactorRequest(ctx, domain.ApproveTwoFactorRequestInput{
				TwoFactorRequestID: approved.ID, Evidence: approve, Guard: guard(key),
			}))
		}},
		{operation: "RejectTwoFactorRequest", ctx: alice, want: rejected.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.RejectTwoFactorRequest(ctx, domain.RejectTwoFactorRequestInput{
				TwoFactorRequestID: rejected.ID, Evidence: reject, Guard: guard(key),
			}))
		}},
		{operation: "ApproveTwoFactor", ctx: alice, want: approvedByHeader.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.ApproveTwoFactor(ctx, domain.TwoFactorDecision{
				TwoFactorRequestID: &approvedByHeader.ID, ClientID: ptr("web"), Evidence: approveHeader, Guard: guard(key),
			}))
		}},
		{operation: "RejectSecondFactor", ctx: alice, want: rejectedByHeader.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.RejectSecondFactor(ctx, domain.TwoFactorDecision{
				TwoFactorRequestID: &rejectedByHeader.ID, ClientID: ptr("web"), Evidence: rejectHeader, Guard: guard(key),
			}))
		}},
		{operation: "CreateDeviceChallenge", ctx: alice, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CreateDeviceChallenge(ctx, domain.CreateDeviceChallengeInput{DeviceID: registered.ID, IdempotencyKey: key}))
		}},
		{operation: "RevokeDevice", ctx: alice, want: registered.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.RevokeDevice(ctx, domain.RevokeDeviceInput{DeviceID: registered.ID, Guard: guard(key)}))
		}},
		{operation: "RequestEmailVerification", ctx: testkit.As("bob"), call: func(ctx context.Context, key *string) answer {
			return answerOf(k.RequestEmailVerification(ctx, domain.RequestEmailVerificationInput{CustomerID: ptr("bob"), IdempotencyKey: key}))
		}},
		{operation: "RequestPhoneVerification", ctx: testkit.As("bob"), call: func(ctx context.Context, key *string) answer {
			return answerOf(k.RequestPhoneVerification(ctx, domain.RequestPhoneVerificationInput{CustomerID: ptr("bob"), IdempotencyKey: key}))
		}},
		{operation: "CreateSession", ctx: admin, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CreateSession(ctx, domain.CreateSessionInput{UserID: "dora", IdempotencyKey: key}))
		}},
		{operation: "EndSession", ctx: admin, want: ended.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.EndSession(ctx, domain.SessionInput{SessionID: ended.ID, Guard: guard(key)}))
		}},
		{operation: "RemoveSession", ctx: admin, want: removed.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.RemoveSession(ctx, domain.SessionInput{SessionID: removed.ID, Guard: guard(key)}))
		}},
		{operation: "TerminateSession", ctx: admin, want: terminated.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.TerminateSession(ctx, domain.SessionInput{SessionID: terminated.ID, Guard: guard(key)}))
		}},
		{operation: "CompleteSessionTask", ctx: admin, want: pending.Record.ID, closes: true, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.CompleteSessionTask(ctx, domain.CompleteSessionTaskInput{
				SessionID: pending.Record.ID, Task: "setup-mfa", Guard: guard(key),
			}))
		}},
		{operation: "EndOtherSessions", ctx: admin, want: kept.ID, call: func(ctx context.Context, key *string) answer {
			out, _, err := k.EndOtherSessions(ctx, domain.EndOtherSessionsInput{SessionID: &kept.ID, IdempotencyKey: key})
			return answerOf(out, err)
		}},
		{operation: "CreateClientToken", ctx: admin, call: func(ctx context.Context, key *string) answer {
			out, _, err := k.CreateClientToken(ctx, domain.CreateClientTokenInput{IdempotencyKey: key})
			return answerOf(out, err)
		}},
		{operation: "CreateSessionToken", ctx: testkit.As("alice"), want: touched.ID, call: func(ctx context.Context, key *string) answer {
			out, _, err := k.CreateSessionToken(ctx, domain.CreateSessionTokenInput{SessionID: touched.ID, IdempotencyKey: key})
			return answerOf(out, err)
		}},
		{operation: "TouchSession", ctx: testkit.As("alice"), want: touched.ID, call: func(ctx context.Context, key *string) answer {
			return answerOf(k.TouchSession(ctx, domain.TouchSessionInput{SessionID: touched.ID, IdempotencyKey: key}))
		}},
		{operation: "ResumeSession", ctx: admin, want: abandoned.ID, call: func(ctx context.Context, key *string) answer {
			if s := seen(t, k, abandoned.ID); s.State.Live() && strings.HasPrefix(*key, "first") && k.Clock.Now().Before(s.AbandonAt) {
				k.Clock.Pass(k.Settings.SessionIdleTimeout)
			}
			return answerOf(k.ResumeSession(ctx, domain.SessionInput{SessionID: abandoned.ID, Guard: guard(key)}))
		}},
	}
	rows = append(rows, reviewRows(t, k)...)
	tested := map[string]bool{}
	for _, row := range rows {
		tested[row.operation] = true
		first := row.call(row.ctx, ptr("first"+row.operation))
		if first.err != nil || first.replayed || first.id == "" || row.want != "" && first.id != row.want || first.record != "" && first.record != first.id {
			t.Errorf("%s: %v, want the id %q", row.operation, first, row.want)
			continue
		}
		again := row.call(row.ctx, ptr("first"+row.operation))
		if again.err != nil || !again.replayed || again.id != first.id || again.record != "" && again.record != first.id {
			t.Errorf("%s again: %v, want the id %q", row.operation, again, first.id)
		}
		second := row.call(row.ctx, ptr("second"+row.operation))
		if row.closes && (second.err == nil || second.id != first.id) || second.record != "" && second.record != second.id {
			t.Errorf("%s with another key: %v, want a refusal with the id %q", row.operation, second, first.id)
		}
		if second.err == nil {
			continue
		}
		// The replay of a refusal names the same record as the refusal.
		if replay := row.call(row.ctx, ptr("second"+row.operation)); replay.replayed && replay.id != second.id {
			t.Errorf("%s refused again: %v, want the id %q", row.operation, replay, second.id)
		}
	}
	service := reflect.TypeFor[*domain.Service]()
	for i := range service.NumMethod() {
		m := service.Method(i)
		if m.Type.NumOut() > 0 && strings.HasPrefix(m.Type.Out(0).Name(), "Outcome[") && !tested[m.Name] {
			t.Errorf("the outcome of %s is not tested", m.Name)
		}
	}
}
