package dbtest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/seal"
)

// findme is a person whose data the tests search for in everything stored.
func findme() domain.Identity {
	return domain.Identity{
		TaxID: ptr("findme-tax"), FirstName: ptr("findme-first"), LastName: ptr("findme-last"), Address1: ptr("findme-street"), City: ptr("findme-town"),
		Region: ptr("findme-region"), PostalCode: ptr("findme-code"), Phone: ptr("findme-phone"), Birthdate: ptr("1985-06-15"), Email: ptr("findme@example.net"),
	}
}

// people returns a record of each kind that concerns a person.
func people(s *store) (*domain.Contact, *domain.FraudRiskReport, *domain.Quiz, *domain.Approval) {
	now := s.now()
	meta := func(prefix string) domain.Meta {
		return domain.Meta{ID: domain.NewID(prefix, now), Version: 1, CreatedAt: now, UpdatedAt: now}
	}
	method := domain.VerifiedByQuiz
	return &domain.Contact{Meta: meta("contact"), State: domain.ContactActive, Of: findme(), UserID: ptr("dora"), CreatedBy: "root"},
		&domain.FraudRiskReport{
			Meta: meta("frr"), State: domain.ReportPassedWithRiskFactors, Inputs: findme(), CreatedBy: "dora", ContactID: ptr("contact_1"), ContactUserID: ptr("dora"), Vouches: true,
			Findings: []domain.FraudRiskCategory{{
				Type: risk.IPRestricted, Description: "findme-description",
				Evidence: []domain.RiskEvidence{{ID: "frr_1.1", Rule: "findme-evidence", Members: []string{"ipAddress"}, Entry: new("e"), Score: new(0.95)}},
			}},
		},
		&domain.Quiz{
			Meta: meta("quiz"), State: domain.QuizAsked, Inputs: findme(), CreatedBy: "dora", Person: []byte{1, 2, 254}, ExpiresAt: now.Add(time.Minute), AskedAt: &now, QuestionCount: 1,
			Questions: []domain.QuizQuestion{{ID: "1", Question: "findme?", Choices: []string{"findme-right", "findme-wrong"}, Right: "findme-right"}},
			Answers:   []domain.QuizAnswer{{QuestionID: "1", Answer: "findme-right"}},
		},
		&domain.Approval{Meta: meta("appr"), State: domain.ApprovalPassed, ContactID: "contact_1", Method: &method, Reason: ptr("findme-reason"), ApprovedBy: "root"}
}

// identities: records that concern a person are returned as written, are stored sealed, and are found by fields that
// are not personal.
func identities(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	ctx := t.Context()
	contact, report, quiz, approval := people(s)
	must(t, s.commit(ctx, &domain.Unit{Changes: []domain.Change{{Record: contact}, {Record: report}, {Record: quiz}, {Record: approval}}}))
	gotContact, err1 := s.Contacts().Get(ctx, contact.ID)
	gotReport, err2 := s.FraudRiskReports().Get(ctx, report.ID)
	gotQuiz, err3 := s.Quizzes().Get(ctx, quiz.ID)
	gotApproval, err4 := s.Approvals().Get(ctx, approval.ID)
	must(t, errors.Join(err1, err2, err3, err4))
	for _, pair := range [][2]any{{contact, gotContact}, {report, gotReport}, {quiz, gotQuiz}, {approval, gotApproval}} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("written %+v\nread %+v", pair[0], pair[1])
		}
	}
	record := &domain.IdentityRecord{ID: "rec-1", Identity: findme(), Relatives: []string{"findme-relative"}, PreviousAddresses: []domain.PreviousAddress{{Address1: "findme-old"}}}
	entry := &domain.ListEntry{Entry: risk.Entry{ID: "e-1", List: risk.AlertList, Value: "findme-listed", Births: []string{"1970-01-01"}}}
	must(t, s.ImportBatch(ctx, []any{record, entry}))
	found, err := s.IdentityRecords(ctx, " FINDME tax")
	must(t, err)
	if len(found) != 1 || !reflect.DeepEqual(found[0], record) {
		t.Errorf("found %+v", found)
	}
	for _, table := range []string{"contacts", "fraud_risk_reports", "quizzes", "approvals", "identity_records", "list_entries"} {
		if text := strings.ToLower(dump(t, s.url, table)); strings.Contains(text, "findme") || strings.Contains(text, "1985-06-15") {
			t.Errorf("%s contains unsealed personal data", table)
		}
	}
	for where, want := range map[listing.Predicate]int{listing.Eq("taxId", "FindmeTax"): 1, listing.Eq("email", "FINDME@example.net"): 1, listing.Eq("userId", "dora"): 1, listing.Eq("taxId", "other"): 0} {
		page, err := s.Contacts().List(ctx, listing.Query{Where: where, Limit: 5})
		must(t, err)
		if len(page.Items) != want {
			t.Errorf("%v finds %d", where, len(page.Items))
		}
	}
	other, _, _, _ := people(s)
	must(t, s.commit(ctx, &domain.Unit{Changes: []domain.Change{{Record: other}}}))
	_, err = raw(t, s.url).ExecContext(ctx, "UPDATE contacts SET identity = (SELECT identity FROM contacts WHERE id = '"+contact.ID+"') WHERE id = '"+other.ID+"'")
	must(t, err)
	if _, err := s.Contacts().Get(ctx, other.ID); !errors.Is(err, seal.ErrUnreadable) {
		t.Errorf("an identity that was moved to another row: %v", err)
	}
	due, err := s.Quizzes().Due(ctx, s.now().Add(time.Hour), 5)
	must(t, err)
	if len(due) != 1 {
		t.Errorf("due are %v", due)
	}
}

// identityStates: the database accepts exactly the states of the state machines of identity.
func identityStates(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	write := func(kind domain.Kind, state string) error {
		contact, report, quiz, approval := people(s)
		var record any
		switch kind {
		case domain.KindContact:
			contact.State, record = domain.ContactState(state), contact
		case domain.KindFraudRiskReport:
			report.State, record = domain.FraudRiskReportState(state), report
		case domain.KindQuiz:
			quiz.State, record = domain.QuizState(state), quiz
		default:
			approval.State, record = domain.ApprovalState(state), approval
		}
		return s.commit(t.Context(), &domain.Unit{Changes: []domain.Change{{Record: record}}})
	}
	for _, kind := range []domain.Kind{domain.KindContact, domain.KindFraudRiskReport, domain.KindQuiz, domain.KindApproval} {
		machine, _ := domain.Lifecycle(kind)
		for _, state := range machine.States {
			if err := write(kind, state.Name); err != nil {
				t.Errorf("%s %s: %v", kind, state.Name, err)
			}
		}
		if write(kind, "lost") == nil {
			t.Errorf("a %s in an unknown state was written", kind)
		}
	}
}

// turns: of several units with the same turn, one is written.
func turns(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	key := []byte("somebody")
	turn, err := s.Turn(t.Context(), key)
	must(t, err)
	errs := make([]error, 8)
	parallel(len(errs), func(n int) { errs[n] = s.commit(t.Context(), &domain.Unit{Counters: []domain.Counter{turn}}) })
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, domain.ErrStale):
			t.Error(err)
		}
	}
	next, err := s.Turn(t.Context(), key)
	must(t, err)
	if won != 1 || next.Was != turn.Was+1 {
		t.Errorf("%d units took one turn; then it is %d", won, next.Was)
	}
}

// listImports: each import that changes something gets a number, and repeating it changes nothing.
func listImports(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	ctx := t.Context()
	entry := func(id int, value string) *domain.ListEntry {
		return &domain.ListEntry{Entry: risk.Entry{ID: fmt.Sprint("e-", id), List: risk.RestrictedEmail, Value: value}}
	}
	contact, _, _, _ := people(s)
	must(t, s.ImportBatch(ctx, []any{entry(1, "a.example"), entry(2, "b.example"), contact}))
	first, err := s.ListSeq(ctx)
	must(t, err)
	must(t, s.ImportBatch(ctx, []any{entry(1, "a.example"), entry(2, "c.example"), contact}))
	news, err := s.ListEntries(ctx, first, "\uffff", 10)
	must(t, err)
	if len(news) != 1 || news[0].ID != "e-2" || news[0].Value != "c.example" {
		t.Errorf("new are %+v", news)
	}
	all, err := s.ListEntries(ctx, 0, "", 1)
	must(t, err)
	rest, err := s.ListEntries(ctx, all[0].Seq, all[0].ID, 10)
	must(t, err)
	if len(all) != 1 || len(rest) != 1 || all[0].ID != "e-1" {
		t.Errorf("in portions: %+v %+v", all, rest)
	}
	got, err := s.Contacts().Get(ctx, contact.ID)
	must(t, err)
	if got.Version != 1 {
		t.Errorf("repeating an import results in version %d", got.Version)
	}
	contact.Of.City = ptr("elsewhere")
	must(t, s.ImportBatch(ctx, []any{contact}))
	if got, err = s.Contacts().Get(ctx, contact.ID); err != nil || got.Version != 2 || *got.Of.City != "elsewhere" {
		t.Errorf("a different import results in %+v, %v", got, err)
	}
}

// recordsAndChoices: imports of identity records are numbered, a sample of them is random, and the choices of a person are
// sealed and replaced only by who has seen them.
func recordsAndChoices(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	ctx := t.Context()
	before, err := s.RecordSeq(ctx)
	must(t, err)
	var all []any
	for n := range 2500 {
		who := findme()
		who.TaxID = ptr(fmt.Sprintf("tax-%04d", n))
		all = append(all, &domain.IdentityRecord{ID: fmt.Sprintf("rec-%04d", n), Identity: who})
	}
	must(t, s.ImportBatch(ctx, all))
	contact, _, _, _ := people(s)
	must(t, s.ImportBatch(ctx, []any{contact}))
	if after, err := s.RecordSeq(ctx); err != nil || after != before+1 {
		t.Errorf("the import before was %d, and after it is %d: %v", before, after, err)
	}
	for limit, want := range map[int]int{10_000: 2500, 2500: 2500, 1200: 1200, 0: 0} {
		seen, low := map[string]bool{}, 0
		must(t, s.SampleIdentityRecords(ctx, limit, func(r *domain.IdentityRecord) {
			seen[r.ID] = true
			if r.ID < "rec-1250" {
				low++
			}
		}))
		if len(seen) != want {
			t.Errorf("a sample of %d has %d records", limit, len(seen))
		}
		if limit == 1200 && (low < 480 || low > 720) { // seven standard deviations
			t.Errorf("of a sample of %d records %d are from the first half", limit, low)
		}
	}

	person := []byte("a keyed hash")
	none, version, err := s.QuizChoices(ctx, person)
	must(t, err)
	if len(none) != 0 || version != 0 {
		t.Errorf("before, there are %v", none)
	}
	choices := map[string][]string{"town|nc|findmeville": {"Findmeville", "Elsewhere"}}
	for n, want := range []bool{true, false} {
		if ok, err := s.SaveQuizChoices(ctx, person, 0, choices); err != nil || ok != want {
			t.Errorf("saving for the first time, try %d: %v, %v", n, ok, err)
		}
	}
	got, version, err := s.QuizChoices(ctx, person)
	must(t, err)
	if version != 1 || !reflect.DeepEqual(got, choices) {
		t.Errorf("got version %d: %v", version, got)
	}
	choices["make||findme"] = []string{"Findme", "Other"}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ok, err := s.SaveQuizChoices(ctx, person, version, choices)
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if got, _, err = s.QuizChoices(ctx, person); err != nil || won.Load() != 1 || !reflect.DeepEqual(got, choices) {
		t.Errorf("%d of 8 changes won: %v, %v", won.Load(), got, err)
	}
	if text := strings.ToLower(dump(t, s.url, "quiz_choices")); strings.Contains(text, "findme") {
		t.Error("quiz_choices contains unsealed personal data")
	}
}

// dump returns the content of a table as text.
func dump(t *testing.T, url, table string) string {
	t.Helper()
	rows, err := raw(t, url).QueryContext(t.Context(), "SELECT * FROM "+table)
	must(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(t, err)
	var b strings.Builder
	for rows.Next() {
		values, places := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		must(t, rows.Scan(places...))
		for _, v := range values {
			if raw, ok := v.([]byte); ok {
				v = string(raw)
			}
			fmt.Fprintf(&b, "%v ", v)
		}
	}
	must(t, rows.Err())
	if b.Len() == 0 {
		t.Errorf("%s is empty", table)
	}
	return b.String()
}
