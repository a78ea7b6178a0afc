package resolvers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/testkit"
)

// profiles returns a user with the scopes of the identity operations.
func profiles(user string, scopes ...string) domain.Actor {
	return domain.ActorFrom(testkit.Profiles(user, scopes...))
}

// pike is an identity in the form of document variables.
var pike = map[string]any{
	"taxId": "219-55-0142", "firstName": "Max", "lastName": "Pike", "address1": "1234 S. Front Street", "city": "Wilmington", "region": "NC",
	"postalCode": "28401", "phone": "+1 910 555 0155", "birthdate": "1985-06-15", "email": "max.pike@example.com", "ipAddress": "198.51.100.7",
}

const contactMembers = `id version userId taxId firstName lastName address1 city region postalCode phone birthdate email ipAddress`

func TestPersonalDataIsMaskedUnlessTheScopeAllows(t *testing.T) {
	t.Parallel()
	d := open(t)
	made := d.ask(profiles("max"), `mutation ($in: CreateContactInput!) { createContact(input: $in) { contact { `+contactMembers+` } problems { code } } }`, map[string]any{"in": pike}).done()
	id := made.at("createContact", "contact", "id").(string)
	for _, value := range []string{"219-55", "1234 S.", "1985", "910 555", "max.pike"} {
		if strings.Contains(made.text, value) {
			t.Errorf("%s is not masked: %s", value, made.text)
		}
	}
	made.says("Max", "createContact", "contact", "firstName").says("***om", "createContact", "contact", "email")
	full := d.ask(profiles("max", domain.ScopeReadPII), `query ($id: ID!) { contact(id: $id) { `+contactMembers+` } }`, map[string]any{"id": id}).done()
	for member, want := range pike {
		full.says(want, "contact", member)
	}
	d.ask(profiles("eve"), `query ($id: ID!) { contact(id: $id) { id } }`, map[string]any{"id": id}).done().says(nil, "contact")
	d.ask(as("max"), `query ($id: ID!) { contact(id: $id) { id } }`, map[string]any{"id": id}).refused("FORBIDDEN")
	d.ask(profiles("root", domain.ScopeProfilesFull, domain.ScopeAdminRead), `{ contacts(taxId: "219550142") { nodes { firstName } totalCount } }`, nil).done().says("Max", "contacts", "nodes", 0, "firstName")
	d.ask(profiles("max"), `{ contacts(taxId: "219550142") { totalCount } }`, nil).refused("FORBIDDEN")
}

func TestReportsAndQuizzes(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.Know(t, testkit.Pike())
	c := d.ContactOf(t, "max", testkit.Pike())
	report := d.ask(profiles("max"), `mutation ($id: ID) { createFraudRiskReport(input: {contactId: $id, address1: "P.O. Box 7"}) {
		fraudRiskReport { id state categories { type description evidence { rule } } identity { taxId lastName } contact { id } token actions { name } timeline { nodes { name to } } } problems { code } } }`,
		map[string]any{"id": c.ID}).done()
	report.says("PASSED_WITH_RISK_FACTORS", "createFraudRiskReport", "fraudRiskReport", "state").
		says("ADDRESS_IS_PO_BOX_OR_NON_APPROVED", "createFraudRiskReport", "fraudRiskReport", "categories", 0, "type").
		says(nil, "createFraudRiskReport", "fraudRiskReport", "categories", 0, "evidence").
		says("***42", "createFraudRiskReport", "fraudRiskReport", "identity", "taxId").
		says(c.ID, "createFraudRiskReport", "fraudRiskReport", "contact", "id").
		says(nil, "createFraudRiskReport", "fraudRiskReport", "token").
		says("PASSED_WITH_RISK_FACTORS", "createFraudRiskReport", "fraudRiskReport", "timeline", "nodes", 0, "to")
	d.ask(profiles("max"), `{ fraudRiskReports(where: {category: {in: [ADDRESS_IS_PO_BOX_OR_NON_APPROVED]}}, orderBy: [{field: STATE}]) { totalCount nodes { state } } }`, nil).done().says(1.0, "fraudRiskReports", "totalCount")

	quiz := d.ask(profiles("max"), `mutation ($id: ID) { createQuiz(input: {contactId: $id}) { quiz { id state questionCount token actions { name allowed } } } }`, map[string]any{"id": c.ID}).done().
		says("PENDING", "createQuiz", "quiz", "state").says(true, "createQuiz", "quiz", "actions", 0, "allowed").says(false, "createQuiz", "quiz", "actions", 1, "allowed")
	id := quiz.at("createQuiz", "quiz", "id").(string)
	asked := d.ask(profiles("max"), `mutation ($id: ID!) { createQuizQuestions(input: {quizId: $id}) { quiz { state questionCount } questions { questionId question choices } problems { code } } }`, map[string]any{"id": id}).done()
	asked.says("ASKED", "createQuizQuestions", "quiz", "state").says(5.0, "createQuizQuestions", "quiz", "questionCount")
	if strings.Contains(asked.text, "right") {
		t.Error("the right answers are shown")
	}
	d.ask(profiles("max"), `mutation ($id: ID!) { createQuizQuestions(input: {quizId: $id}) { quiz { state } questions { questionId } problems { code ... on StateProblem { currentState allowedStates } } } }`, map[string]any{"id": id}).
		says("INVALID_QUIZ_STATE", "createQuizQuestions", "problems", 0, "code").says("ASKED", "createQuizQuestions", "problems", 0, "currentState").says(nil, "createQuizQuestions", "questions")
	d.ask(profiles("max"), `mutation ($id: ID!) { scoreQuiz(input: {quizId: $id, answers: [{questionId: "1", answer: "none"}]}) { quiz { state } problems { code } } }`, map[string]any{"id": id}).
		says("INVALID_QUIZ_ANSWERS", "scoreQuiz", "problems", 0, "code").says("ASKED", "scoreQuiz", "quiz", "state")
	d.ask(profiles("max"), `mutation ($id: ID!) { scoreQuiz(input: {quizId: $id, answers: [{questionId: "", answer: ""}]}) { quiz { state } problems { code } } }`, map[string]any{"id": id}).
		says("INVALID_INPUT", "scoreQuiz", "problems", 0, "code").says("ASKED", "scoreQuiz", "quiz", "state")
	d.ask(profiles("eve"), `mutation ($id: ID!) { scoreQuiz(input: {quizId: $id, answers: [{questionId: "", answer: ""}]}) { quiz { state } problems { code } } }`, map[string]any{"id": id}).
		says("INVALID_INPUT", "scoreQuiz", "problems", 0, "code").says(nil, "scoreQuiz", "quiz")
	answers := []any{}
	for i := range 5 {
		choices, _ := asked.at("createQuizQuestions", "questions", i, "choices").([]any)
		right := slices.IndexFunc(choices, func(c any) bool { return slices.Contains(testkit.KnownFacts, c.(string)) })
		answers = append(answers, map[string]any{"questionId": asked.at("createQuizQuestions", "questions", i, "questionId"), "answer": choices[right]})
	}
	d.ask(profiles("max"), `mutation ($in: ScoreQuizInput!) { scoreQuiz(input: $in) { quiz { state } problems { code } } }`, map[string]any{"in": map[string]any{"quizId": id, "answers": answers}}).done().
		says("PASSED", "scoreQuiz", "quiz", "state")
	d.Clock.Pass(time.Minute)
	d.ask(profiles("root", domain.ScopeAdminFull), `mutation ($id: ID!) { createApproval(input: {contactId: $id, method: QUIZ, reason: "Seen."}) { approval { id method reason approvedBy contact { id } } problems { code } } }`, map[string]any{"id": c.ID}).done().
		says("root", "createApproval", "approval", "approvedBy")
	d.ask(profiles("max"), `query ($id: ID!) { contactVerification(contactId: $id) { contact { id } verifications { type state verifiedAt source } } }`, map[string]any{"id": c.ID}).done().
		says("QUIZ", "contactVerification", "verifications", 0, "type").says(id, "contactVerification", "verifications", 0, "source").says("ADMIN_APPROVAL", "contactVerification", "verifications", 1, "type")
	d.ask(profiles("eve"), `query ($id: ID!, $quiz: ID!) { contactVerification(contactId: $id) { contact { id } } node(id: $quiz) { id } quizzes { totalCount } }`, map[string]any{"id": c.ID, "quiz": id}).done().
		says(nil, "contactVerification").says(nil, "node").says(0.0, "quizzes", "totalCount")
	d.ask(profiles("max"), `query ($quiz: ID!) { node(id: $quiz) { ... on Quiz { state } } approvals { totalCount } }`, map[string]any{"quiz": id}).says("PASSED", "node", "state").refused("FORBIDDEN")
}

func TestAnInviteesVerificationIsSeenOnTheInvitation(t *testing.T) {
	t.Parallel()
	d := open(t)
	i := d.Invite(t)
	if _, err := d.VerifyInvitation(testkit.As("dora"), domain.VerifyInvitationInput{InvitationID: i.ID, SharedSecret: testkit.Secret}); err != nil {
		t.Fatal(err)
	}
	const document = `query ($id: ID!) { invitation(id: $id) { inviteeVerification { contact { id } verifications { type state } decision { verified reasons { code } } } } }`
	d.ask(as("alice"), document, map[string]any{"id": i.ID}).done().says(nil, "invitation", "inviteeVerification")
	c := d.ContactOf(t, "dora", testkit.Pike())
	if _, err := d.CreateApproval(testkit.IdentityAdmin(), domain.CreateApprovalInput{ContactID: c.ID}); err != nil {
		t.Fatal(err)
	}
	d.ask(as("alice"), document, map[string]any{"id": i.ID}).done().says(nil, "invitation", "inviteeVerification", "contact").
		says([]any{}, "invitation", "inviteeVerification", "verifications").
		says(map[string]any{"verified": true, "reasons": []any{}}, "invitation", "inviteeVerification", "decision")
	d.ask(administrator(), document, map[string]any{"id": i.ID}).done().says(c.ID, "invitation", "inviteeVerification", "contact", "id")
}
