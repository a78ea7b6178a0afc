package stories

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/gatehouse/gatehouse/testkit"
)

const reportMutation = `mutation($id: ID!) { createFraudRiskReport(input: {contactId: $id}) {
	fraudRiskReport { id state token categories { type evidence { rule members entry score } } } problems { code } } }`

// outcome is a report in words.
func (s *server) outcome(token, contact string) string {
	s.t.Helper()
	r := s.gql(token, reportMutation, map[string]any{"id": contact})
	out := fmt.Sprint(r.at(s.t, "data", "createFraudRiskReport", "fraudRiskReport", "state"))
	categories, _ := r.at(s.t, "data", "createFraudRiskReport", "fraudRiskReport", "categories").([]any)
	for _, c := range categories {
		out += fmt.Sprint(" ", c.(map[string]any)["type"])
	}
	return out
}

// TestTheDemonstrationPeople: each comes out as docs/dialects/identity.md says, on both databases.
func TestTheDemonstrationPeople(t *testing.T) {
	t.Parallel()
	for _, db := range testkit.Databases {
		t.Run(db.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if db.Name == "postgres" {
				w.env = append(w.env, "GATEHOUSE_DATABASE_URL="+db.URL(t))
			}
			s := w.serve()
			root := s.token("root", "profiles/full admin/full")
			for person, want := range map[string]string{
				"clean": "PASSED", "watchlisted": "PASSED_WITH_RISK_FACTORS IDENTITY_ON_GOVERNMENT_WATCHLIST", "pobox": "PASSED_WITH_RISK_FACTORS ADDRESS_IS_PO_BOX_OR_NON_APPROVED",
				"restricted_ip": "PASSED_WITH_RISK_FACTORS IP_RESTRICTED", "minor": "PASSED_WITH_RISK_FACTORS AGE_RESTRICTED", "itin": "PASSED_WITH_RISK_FACTORS NON_STANDARD_TAX_ID",
				"mismatch": "PASSED_WITH_RISK_FACTORS PERSONAL_INFO_DOES_NOT_MATCH", "slow": "PASSED", "outage": "PASSED", "unknown": "FAILED",
			} {
				if got := s.outcome(root, "contact_demo_"+person); got != want {
					t.Errorf("%s: %s", person, got)
				}
			}
			quiz := func(person string) string {
				r := s.gql(root, `mutation($id: ID!) { createQuiz(input: {contactId: $id}) { quiz { id } } }`, map[string]any{"id": "contact_demo_" + person})
				return r.at(t, "data", "createQuiz", "quiz", "id").(string)
			}
			const questions = `mutation($id: ID!) { createQuizQuestions(input: {quizId: $id}) { quiz { state } questions { questionId choices } problems { code } } }`
			if r := s.gql(root, questions, map[string]any{"id": quiz("outage")}); r.at(t, "data", "createQuizQuestions", "problems", 0, "code") != "PROVIDER_UNAVAILABLE" {
				t.Errorf("the outage: %s", r.body)
			}
			if r := s.gql(root, questions, map[string]any{"id": quiz("unknown")}); r.at(t, "data", "createQuizQuestions", "quiz", "state") != "FAILED_GET_QUESTIONS" {
				t.Errorf("the unknown: %s", r.body)
			}
			if r := s.gql(root, questions, map[string]any{"id": quiz("mismatch")}); r.at(t, "data", "createQuizQuestions", "quiz", "state") != "FAILED_GET_QUESTIONS" {
				t.Errorf("the person with another birth date: %s", r.body)
			}
			for person, want := range map[string]int{"clean": 5, "watchlisted": 4, "pobox": 4, "restricted_ip": 4, "minor": 4, "itin": 4} {
				r := s.gql(root, questions, map[string]any{"id": quiz(person)})
				facts, err := factsOf("record_demo_" + person)
				if err != nil {
					t.Fatal(err)
				}
				all, _ := r.at(t, "data", "createQuizQuestions", "questions").([]any)
				right := 0
				for _, q := range all {
					for _, c := range q.(map[string]any)["choices"].([]any) {
						if slices.Contains(facts, c.(string)) {
							right++
						}
					}
				}
				if len(all) != want || right != want {
					t.Errorf("%s has %d questions with %d answers from the record: %s", person, len(all), right, r.body)
				}
			}
			id := quiz("slow")
			r := s.gql(root, questions, map[string]any{"id": id})
			var answers []any
			all, _ := r.at(t, "data", "createQuizQuestions", "questions").([]any)
			for _, q := range all {
				for _, c := range q.(map[string]any)["choices"].([]any) {
					if slices.Contains([]string{"Concord", "Foster", "Subaru", "Hilton"}, c.(string)) {
						answers = append(answers, map[string]any{"questionId": q.(map[string]any)["questionId"], "answer": c})
					}
				}
			}
			r = s.gql(root, `mutation($in: ScoreQuizInput!) { scoreQuiz(input: $in) { quiz { state } problems { code } } }`, map[string]any{"in": map[string]any{"quizId": id, "answers": answers}})
			if r.at(t, "data", "scoreQuiz", "quiz", "state") != "SCORING" {
				t.Errorf("the slow one: %s", r.body)
			}
			testkit.Eventually(t, "the slow one passes", func() bool {
				return s.gql(root, `query($id: ID!) { quiz(id: $id) { state } }`, map[string]any{"id": id}).at(t, "data", "quiz", "state") == "PASSED"
			})
			for _, value := range []string{"219-55", "912-70", "Quarry Road", "viktor@", "1961-03-09"} {
				if strings.Contains(s.Log.String(), value) {
					t.Errorf("the log holds %s", value)
				}
			}
		})
	}
}

// TestAContactFromDoorToDoor makes a contact by GraphQL, has it looked at by REST, approved by an administrator, and
// completes an invitation that had to wait for that.
func TestAContactFromDoorToDoor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "SDN.CSV"), []byte(`36,"EXAMPLOWSKI, Dora","individual","X",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 01 Feb 1980."`+"\r\n\x1a"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ADD.CSV", "ALT.CSV", "SDN_COMMENTS.CSV"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("\x1a"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, "GATEHOUSE_COMPLETE_REQUIRES_VERIFICATION=true", "GATEHOUSE_OFAC_DIR="+dir)
	s := w.serve()
	key := "API-Key: " + w.must("apikey", "create", "--name", "test")
	alice, dora, root := s.token("alice", "banking/full"), s.token("dora", "banking/full profiles/read profiles/write"), s.token("root", "banking/full profiles/full admin/full")

	invitation := s.invite(alice)
	s.gql(dora, `mutation($id: ID!, $secret: String!) { verifyInvitation(input: {invitationId: $id, sharedSecret: $secret}) { problems { code } } }`, map[string]any{"id": invitation, "secret": testkit.Secret})
	const complete = `mutation($id: ID!) { completeInvitation(input: {invitationId: $id}) { invitation { state inviteeVerification { verifications { type } } } problems { code } } }`
	if r := s.gql(root, complete, map[string]any{"id": invitation}); r.at(t, "data", "completeInvitation", "problems", 0, "code") != "INVITEE_NOT_VERIFIED" {
		t.Fatalf("it is completed unverified: %s", r.body)
	}

	r := s.gql(dora, `mutation { createContact(input: {taxId: "219-55-0999", firstName: "Dora", lastName: "Examplowski", address1: "1 Lane", city: "Durham", region: "NC",
		postalCode: "27701", phone: "919-555-0177", birthdate: "1980-02-01", ipAddress: "198.51.100.99"}) { contact { id taxId } problems { code } } }`, nil)
	contact, _ := r.at(t, "data", "createContact", "contact", "id").(string)
	if contact == "" || strings.Contains(r.body, "219-55") {
		t.Fatalf("the contact: %s", r.body)
	}
	body := `{"_links":{"apiture:contact":{"href":"/contacts/contacts/` + contact + `"}}}`
	report := s.send("POST", "/identity/fraudRiskReports", body, key, "Authorization: Bearer "+dora)
	if report.status != 201 || report.at(t, "outputs", "state") != "failed" {
		t.Fatalf("the report: %d %s", report.status, report.body)
	}
	if strings.Contains(report.body, "identityOnGovernmentWatchlist") || strings.Contains(report.body, "ipRestricted") {
		t.Errorf("the person is told of the list, or the network is restricted already: %s", report.body)
	}
	// The bank learns of her, and of a bad network, while the server runs.
	_, errs, status := w.run(`{"kind":"identityRecord","id":"rec-dora","taxId":"219550999","firstName":"Dora","lastName":"Examplowski","previousAddresses":[{"address1":"5 Wharf Street","city":"Durham","region":"NC","postalCode":"27701"}]}
{"kind":"listEntry","id":"net-1","list":"restrictedIp","value":"198.51.100.0/24"}
{"kind":"listEntry","id":"net-2","list":"restrictedIp","value":"198.51.100.x"}
`, "import", "-")
	if status != 1 || !strings.Contains(errs, ":3: ") || strings.Contains(errs, "198.51") {
		t.Errorf("the import ends with %d: %s", status, errs)
	}
	if got := s.outcome(dora, contact); got != "PASSED_WITH_RISK_FACTORS IP_RESTRICTED" {
		t.Errorf("after the import, for the person: %s", got)
	}
	if r := s.gql(root, complete, map[string]any{"id": invitation}); r.at(t, "data", "completeInvitation", "problems", 0, "code") != "INVITEE_NOT_VERIFIED" {
		t.Errorf("a report that the person ordered lets them in: %s", r.body)
	}
	if got := s.outcome(root, contact); got != "PASSED_WITH_RISK_FACTORS IP_RESTRICTED IDENTITY_ON_GOVERNMENT_WATCHLIST" {
		t.Errorf("after the import: %s", got)
	}

	token, _ := report.at(t, "outputs", "token").(string)
	set, err := jwk.Parse([]byte(s.send("GET", "/.well-known/verification-keys.json", "").body))
	if err != nil {
		t.Fatal(err)
	}
	if payload, err := jws.Verify([]byte(token), jws.WithKeySet(set)); err != nil || !strings.Contains(string(payload), contact) || !strings.Contains(string(payload), `"state":"failed"`) {
		t.Errorf("the token says %s, %v", payload, err)
	}
	if r := s.send("GET", "/identity/quizzes", "", key, "Authorization: Bearer "+token); r.status != 401 {
		t.Errorf("a verification token is an access token: %d", r.status)
	}

	uri := "/identity/approvals?contactUri=" + url.QueryEscape("/contacts/contacts/"+contact)
	if r := s.send("POST", uri, "", key, "Authorization: Bearer "+root); r.status != 201 || r.header.Get("Location") == "" {
		t.Errorf("the approval: %d %s", r.status, r.body)
	}
	if r := s.gql(root, complete, map[string]any{"id": invitation}); r.at(t, "data", "completeInvitation", "problems", 0, "code") != "INVITEE_NOT_VERIFIED" {
		t.Errorf("an approval that does not name the list overrides it: %s", r.body)
	}
	if r := s.send("POST", uri+"&overrides=onNoList", "", key, "Authorization: Bearer "+root); r.status != 422 && r.status != 400 {
		t.Errorf("an unknown category: %d %s", r.status, r.body)
	}
	if r := s.send("POST", uri+"&overrides=identityOnGovernmentWatchlist", "", key, "Authorization: Bearer "+root); r.status != 201 {
		t.Errorf("the approval that names the list: %d %s", r.status, r.body)
	}
	if r := s.gql(root, complete, map[string]any{"id": invitation}); r.at(t, "data", "completeInvitation", "invitation", "state") != "COMPLETED" {
		t.Errorf("it is not completed: %s", r.body)
	}
	s.Stop()
	for _, value := range []string{"219-55", "Examplowski", "198.51.100.99"} {
		if strings.Contains(s.Log.String(), value) {
			t.Errorf("the log holds %s", value)
		}
	}
}

// TestAnImportOfManyStaysSmall keeps the memory of an import from growing with the file.
func TestAnImportOfManyStaysSmall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, err := os.Create(filepath.Join(w.dir, "records.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	const records = 20_000
	for n := range records {
		fmt.Fprintf(file, `{"kind":"identityRecord","id":"rec-%d","taxId":"%09d","firstName":"Ann","lastName":"Number%d","address1":"%d Main Street","city":"Durham","region":"NC","postalCode":"27701","phone":"919-555-0100","birthdate":"1980-02-01"}`+"\n", n, 100_000_000+n, n, n)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if out := w.must("import", "records.ndjson"); !strings.Contains(out, fmt.Sprintf("loaded %d records", records)) {
		t.Errorf("got %s", out)
	}
	t.Logf("%d records in %s", records, time.Since(begun))
}
