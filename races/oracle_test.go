package races

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// changing is what differs between two answers to the very same request: when it was answered, and the id it has in
// the log.
var changing = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z|"(id|_id|clerk_trace_id|instance)":"[^"]*"|#[0-9a-f-]{36}`)

// plain is an answer without what always changes, and without the id that was asked for.
func plain(a answer, id string) string {
	headers := maps.Clone(a.header)
	for _, name := range []string{"Date", "X-Request-Id"} {
		delete(headers, name)
	}
	var out strings.Builder
	fmt.Fprintln(&out, a.status)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintln(&out, name, headers[name])
	}
	return out.String() + strings.ReplaceAll(changing.ReplaceAllString(a.body, "…"), id, "ID")
}

// alike fails where two answers differ in more than the ids that were asked for.
func alike(t testing.TB, claim string, one answer, oneID string, other answer, otherID string) {
	t.Helper()
	if a, b := plain(one, oneID), plain(other, otherID); a != b {
		t.Errorf("%s: the answers tell\n%s\nfrom\n%s", claim, a, b)
	}
}

// unlike changes the last sixteen characters of an id, so that it keeps its form and is nobody's.
func unlike(id string) string {
	at := len(id) - 16
	return id[:at] + strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '0' + (r-'0'+3)%10
		case r >= 'a' && r <= 'f':
			return 'a' + (r-'a'+1)%6
		}
		return r
	}, id[at:])
}

// question is one way to ask for a record, or to act on it, by its id.
type question struct {
	claim string
	ask   func(id string) (answer, error)
}

// TestNotYoursAndNotThere: for every kind of record, every way to ask for it and to act on it answers a stranger with
// the same bytes whether it is there or not, at whatever version.
func TestNotYoursAndNotThere(t *testing.T) {
	t.Parallel()
	eachBank(t, func(t *testing.T, b *bank) {
		root, alice, eve := b.token("root", admin), b.token("alice", customer), b.token("eve", customer)
		strange, _ := b.made(root, "createClientToken", "jwt", map[string]any{})["jwt"].(string)
		make := func(name, object string, input map[string]any) string {
			id, _ := at(b.made(root, name, object+" { id }", input), object, "id").(string)
			return id
		}
		query := func(field, argument, selection string) question {
			return question{"query " + field, func(id string) (answer, error) {
				return b.gql(0, eve, "query($id: ID!) { "+field+"("+argument+": $id) { "+selection+" } }", map[string]any{"id": id})
			}}
		}
		many := question{"query nodes", func(id string) (answer, error) {
			return b.gql(0, eve, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", map[string]any{"ids": []string{id}})
		}}
		mutation := func(name, member string, more map[string]any) []question {
			var out []question
			for _, version := range []int{0, 1, 99} {
				out = append(out, question{fmt.Sprintf("mutation %s at version %d", name, version), func(id string) (answer, error) {
					input := maps.Clone(more)
					if input == nil {
						input = map[string]any{}
					}
					input[member] = id
					if version > 0 {
						input["expectedVersion"] = version
					}
					return b.mutate(0, eve, name, "", input)
				}})
			}
			return out
		}
		unversioned := func(name, member string, more map[string]any) []question { return mutation(name, member, more)[:1] }
		rest := func(method, path, body string, headers ...string) question {
			return question{method + " " + path, func(id string) (answer, error) {
				all := append([]string{"API-Key: " + b.key, "Authorization: Bearer " + eve}, headers...)
				if strings.HasPrefix(path, "/v1/") {
					all = []string{"Authorization: " + strange}
				}
				return b.send(0, method, strings.ReplaceAll(path, "ID", id), strings.ReplaceAll(body, "ID", id), all...)
			}}
		}
		phone := b.phone(rand.New(rand.NewPCG(seed(t), 7)), 1)
		a, err := b.gql(0, phone.token, "{ devices { nodes { id } } }", nil)
		if err != nil {
			t.Fatal(err)
		}
		device := a.text("data", "devices", "nodes", 0, "id")
		if a, err = b.gql(0, root, "query($id: ID!) { session(id: $id) { timeline { nodes { id } } } }", map[string]any{"id": "sess_demo_bob"}); err != nil {
			t.Fatal(err)
		}
		event := a.text("data", "session", "timeline", "nodes", 0, "id")
		evidence := map[string]any{"challengeId": "01890a5d-ac96-774b-bcce-b302099a8057", "signature": "AAAA"}
		answers := map[string]any{"answers": []any{map[string]any{"questionId": "q", "answer": "a"}}}
		link := `{"_links":{"apiture:contact":{"href":"/contacts/contacts/ID"}}}`
		one := "/invitations/invitations/ID"
		asked := 0
		for _, kind := range []struct {
			name, id  string
			questions [][]question
		}{
			{"an invitation", b.invite(alice), [][]question{
				{query("invitation", "id", "id")},
				mutation("revokeInvitation", "invitationId", nil), mutation("resendInvitation", "invitationId", nil),
				mutation("completeInvitation", "invitationId", nil), mutation("deleteInvitation", "invitationId", nil),
				mutation("updateInvitationSecret", "invitationId", map[string]any{"sharedSecret": "some other secret"}),
				mutation("verifyInvitation", "invitationId", map[string]any{"sharedSecret": wrongSecret})[:2],
				{
					rest("GET", one, ""), rest("DELETE", one, ""), rest("PATCH", one, `{"sharedSecret":"some other secret"}`), rest("POST", "/invitations/revoked?invitation=ID", ""),
					rest("POST", "/invitations/sent?invitation=ID", ""), rest("POST", "/invitations/completed?invitation=ID", ""), rest("DELETE", one, "", `If-Match: "ID:7"`),
					rest("POST", "/invitations/verifications", `{"invitationId":"ID","sharedSecret":"`+wrongSecret+`"}`),
				},
			}},
			{"a session", make("createSession", "session", map[string]any{"userId": "alice"}), [][]question{
				{query("session", "id", "id")},
				mutation("endSession", "sessionId", nil), mutation("removeSession", "sessionId", nil),
				unversioned("touchSession", "sessionId", nil), unversioned("createSessionToken", "sessionId", nil), unversioned("endOtherSessions", "sessionId", nil),
				{
					rest("GET", "/v1/client/sessions/ID?_is_native=1", ""), rest("POST", "/v1/client/sessions/ID/touch?_is_native=1", ""), rest("POST", "/v1/client/sessions/ID/end?_is_native=1", ""),
					rest("POST", "/v1/client/sessions/ID/remove?_is_native=1", ""), rest("POST", "/v1/client/sessions/ID/tokens?_is_native=1", ""),
				},
			}},
			{"a contact", make("createContact", "contact", map[string]any{"firstName": "Una"}), [][]question{
				{query("contact", "id", "id"), query("contactVerification", "contactId", "verifications { state }")},
				mutation("updateContact", "contactId", map[string]any{"city": "Boone"}),
				unversioned("createFraudRiskReport", "contactId", nil), unversioned("createQuiz", "contactId", nil),
				{
					rest("POST", "/identity/fraudRiskReports", link), rest("POST", "/identity/quizzes", link),
					rest("GET", "/identity/contactVerification?contactUri=/contacts/contacts/ID", ""), rest("POST", "/identity/approvals?contactUri=/contacts/contacts/ID", ""),
				},
			}},
			{"a report", make("createFraudRiskReport", "fraudRiskReport", map[string]any{"contactId": "contact_demo_clean"}), [][]question{
				{query("fraudRiskReport", "id", "id"), rest("GET", "/identity/fraudRiskReports/ID", "")},
			}},
			{"a quiz", make("createQuiz", "quiz", map[string]any{"contactId": "contact_demo_clean"}), [][]question{
				{query("quiz", "id", "id")},
				mutation("createQuizQuestions", "quizId", nil), mutation("scoreQuiz", "quizId", answers),
				{
					rest("GET", "/identity/quizzes/ID", ""), rest("POST", "/identity/quizzes/ID/questions", ""),
					rest("POST", "/identity/quizzes/ID/answers", `{"answers":[{"questionId":"q","answer":"a"}]}`),
				},
			}},
			{"an approval", make("createApproval", "approval", map[string]any{"contactId": "contact_demo_clean"}), [][]question{
				{query("approval", "id", "id"), rest("GET", "/identity/approvals/ID", "")},
			}},
			{"a device", device, [][]question{mutation("revokeDevice", "deviceId", nil), unversioned("createDeviceChallenge", "deviceId", nil)}},
			{"a two-factor request", phone.request, [][]question{
				{query("twoFactorRequest", "id", "id")}, mutation("approveTwoFactorRequest", "twoFactorRequestId", evidence)[:1], mutation("rejectTwoFactorRequest", "twoFactorRequestId", evidence)[:1],
			}},
			{"a verification of a number", make("requestPhoneVerification", "phoneVerification", map[string]any{"customerId": "bob"}), nil},
			{"an event", event, nil},
		} {
			if kind.id == "" {
				t.Fatalf("%s has no id", kind.name)
			}
			nobodys := unlike(kind.id)
			for _, questions := range append(kind.questions, []question{query("node", "id", "id"), many}) {
				for _, q := range questions {
					there, err := q.ask(kind.id)
					if err != nil {
						t.Fatalf("%s: %v", q.claim, err)
					}
					absent, err := q.ask(nobodys)
					if err != nil {
						t.Fatalf("%s: %v", q.claim, err)
					}
					alike(t, kind.name+", "+q.claim, there, kind.id, absent, nobodys)
					asked++
				}
			}
		}
		for _, other := range []string{"bob", "somebody-else"} { // whom the directory knows, and whom it does not
			first, err := b.mutate(0, eve, "requestPhoneVerification", "", map[string]any{"customerId": other})
			if err != nil || first.text("errors", 0, "extensions", "code") != "FORBIDDEN" {
				t.Errorf("a code for %s: %v %s", other, err, first.body)
			}
		}
		t.Logf("%d questions", asked)
	})
}

// auc is the probability that a sample of the one takes longer than one of the other: 0.5 where nobody can tell. It is
// the statistic of Mann and Whitney; deviation is its standard deviation where there is no difference.
func auc(one, other []float64) (area, deviation float64) {
	type sample struct {
		took float64
		one  bool
	}
	all := make([]sample, 0, len(one)+len(other))
	for _, x := range one {
		all = append(all, sample{x, true})
	}
	for _, x := range other {
		all = append(all, sample{x, false})
	}
	slices.SortFunc(all, func(a, b sample) int {
		switch {
		case a.took < b.took:
			return -1
		case a.took > b.took:
			return 1
		}
		return 0
	})
	ranks := 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].took == all[i].took {
			j++
		}
		for k := i; k < j; k++ {
			if all[k].one {
				ranks += float64(i+j+1) / 2 // ranks of what took the same time are shared
			}
		}
		i = j
	}
	n, m := float64(len(one)), float64(len(other))
	return (ranks - n*(n+1)/2) / (n * m), math.Sqrt((n + m + 1) / (12 * n * m))
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// bootstrap is the 95 % confidence interval of the difference of the medians.
func bootstrap(rng *rand.Rand, one, other []float64) (low, high float64) {
	var all []float64
	draw := func(from []float64) float64 {
		again := make([]float64, len(from))
		for i := range again {
			again[i] = from[rng.IntN(len(from))]
		}
		return median(again)
	}
	for range 1000 {
		all = append(all, draw(one)-draw(other))
	}
	slices.Sort(all)
	return all[25], all[974]
}

// certain is how many standard deviations tell a difference from chance: chance alone passes five of them, in either
// direction, in fewer than 6 of ten million runs.
const certain = 5

func TestTheStatisticTells(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(seed(t), 3))
	var same, again, slower []float64
	for range 2000 {
		same, again, slower = append(same, rng.NormFloat64()), append(again, rng.NormFloat64()), append(slower, rng.NormFloat64()+0.3)
	}
	if area, deviation := auc(same, again); math.Abs(area-0.5) > certain*deviation {
		t.Errorf("the same thing is told apart: %v", area)
	}
	if area, deviation := auc(slower, same); area-0.5 < certain*deviation {
		t.Errorf("what is slower is not: %v", area)
	}
}

// asksOfOne is how often one id is asked for: fewer times than would lock an invitation.
const asksOfOne = 4

// TestNoOracle: a wrong secret and an unknown id are answered with the same bytes, and, in the long form, in the same
// time: of 2,000 samples each, by either door, nobody can tell which was which. They are spread over many open
// invitations and as many ids of nobody, each asked for as often as an invitation allows, all in random order.
func TestNoOracle(t *testing.T) {
	t.Parallel()
	samples, env := 6, []string{}
	if long() {
		samples, env = 2000, append(env, "GATEHOUSE_HASH_COST=default") // as every installation with customers has it
	}
	if n, err := strconv.Atoi(os.Getenv("GATEHOUSE_SAMPLES")); err == nil {
		samples = n
	}
	eachBank(t, func(t *testing.T, b *bank) {
		alice, eve := b.token("alice", customer), b.token("eve", customer)
		rng := rand.New(rand.NewPCG(seed(t), 5))
		for door, ask := range map[string]func(id string) (answer, error){
			"graphql": func(id string) (answer, error) {
				return b.mutate(0, eve, "verifyInvitation", "invitation { id }", map[string]any{"invitationId": id, "sharedSecret": wrongSecret})
			},
			"rest": func(id string) (answer, error) {
				return b.send(0, http.MethodPost, "/invitations/verifications", object("invitationId", id, "sharedSecret", wrongSecret), "API-Key: "+b.key, "Authorization: Bearer "+eve)
			},
		} {
			type asked struct {
				id    string
				there bool
			}
			var all []asked
			for len(all) < 2*samples {
				id := b.invite(alice)
				for range asksOfOne {
					all = append(all, asked{id, true}, asked{unlike(id), false})
				}
			}
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			took, last := map[bool][]float64{}, map[bool]asked{}
			answers := map[bool]answer{}
			for _, one := range all {
				begun := time.Now()
				a, err := ask(one.id)
				took[one.there] = append(took[one.there], float64(time.Since(begun).Nanoseconds())/1e6)
				if err != nil {
					t.Fatal(err)
				}
				answers[one.there], last[one.there] = a, one
				if len(answers) == 2 {
					alike(t, door, answers[true], last[true].id, answers[false], last[false].id)
				}
			}
			if code := restCode(answers[true]) + answers[true].text("data", "it", "problems", 0, "code"); code != "INVITATION_VERIFICATION_FAILED" {
				t.Errorf("%s: it is refused with %q", door, code)
			}
			if samples < 100 {
				continue
			}
			area, deviation := auc(took[true], took[false])
			low, high := bootstrap(rng, took[true], took[false])
			t.Logf("%s %s: %d samples each, medians %.3f and %.3f ms, their difference within [%.3f, %.3f] ms (95 %%), AUC %.4f (sd %.4f)", b.name, door, len(all)/2,
				median(took[true]), median(took[false]), low, high, area, deviation)
			// With an area of 0.55 somebody who asks once is right in 53 of 100 guesses.
			// Of 2,000 samples each this is more than five standard deviations; of fewer, chance alone may pass it.
			if math.Abs(area-0.5) > max(0.05, certain*deviation) {
				t.Errorf("%s: an unknown id is told by the time that it takes: AUC %.4f", door, area)
			}
		}
	}, env...)
}
