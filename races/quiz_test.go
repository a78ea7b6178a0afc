package races

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
)

// quiz is a quiz.
type quiz struct {
	state   string
	version int
	keys    memos
	// asked: the questions were shown; late: answers came after the time, and the caller was told.
	asked, late bool
}

var quizRaces = subject{name: "quiz", model: model(quiz{}, stepQuiz), plan: planQuiz}

// stepQuiz is the life of a quiz, one call after another. The first operation stands for what was done before.
func stepQuiz(s quiz, c call, out outcome) (bool, quiz) {
	shows := func(s quiz) bool {
		return (out.State == "" || out.State == s.state) && (out.Version == 0 || out.Version == s.version)
	}
	if c.Name == "start" {
		return true, quiz{state: out.State, version: out.Version}
	}
	if ok, decided := s.keys.repeat(c, out); decided {
		// The questions come again while the quiz waits for the answers, and no longer.
		return ok && shows(s) && out.Questions == (c.Name == "createQuizQuestions" && out.Code == "" && s.state == "ASKED"), s
	}
	next, code := s, ""
	next.version++
	stale := c.Version != 0 && c.Version != s.version
	switch c.Name {
	case "read":
		return out.Code == "" && shows(s) && !out.Questions, s
	case "createQuizQuestions":
		next.state, next.asked = "ASKED", true
		switch {
		case stale:
			code = "VERSION_STALE"
		case s.state != "PENDING":
			code = "INVALID_QUIZ_STATE"
		}
	case "scoreQuiz":
		next.state = map[string]string{"right": "PASSED", "wrong": "FAILED"}[c.Arg]
		switch {
		case stale:
			code = "VERSION_STALE"
		case s.state == "EXPIRED" && s.asked && !s.late: // the first are told so by the state
			next.state, next.late = s.state, true
		case s.state != "ASKED":
			code = "INVALID_QUIZ_STATE"
		case c.Arg == "misfit":
			code = "INVALID_QUIZ_ANSWERS"
		}
	default:
		return false, s
	}
	if code != "" {
		next = s
	}
	if code != "INVALID_QUIZ_ANSWERS" {
		next.keys = next.keys.with(c.Key, c.input(), code)
	}
	return out.Code == code && shows(next) && out.Questions == (c.Name == "createQuizQuestions" && code == ""), next
}

// knownFacts are what the people of person know, and nobody else.
var knownFacts = []string{"Burlington", "Greenville", "Food Lion", "Mazda", "Carter"}

// person returns the contact of somebody who was never asked, because only some quizzes of one person are asked in a day.
// It imports several people at a time.
func (b *bank) person() string {
	b.Helper()
	const atOnce = 50
	if b.people%atOnce == 0 {
		var lines strings.Builder
		for n := b.people; n < b.people+atOnce; n++ {
			who := fmt.Sprintf(`"taxId":"219-%02d-%04d","firstName":"Max","lastName":"Pike","address1":"1234 S. Front Street","city":"Wilmington",`+
				`"region":"NC","postalCode":"28401","phone":"+1 910 555 0155","birthdate":"1985-06-15"`, 60+n/10000, n%10000)
			fmt.Fprintf(&lines, `{"kind":"contact","id":"contact_quiz_%d",%s}`+"\n", n, who)
			fmt.Fprintf(&lines, `{"kind":"identityRecord","id":"record_quiz_%d",%s,"previousAddresses":[{"address1":"9 Elm Avenue","city":"Burlington","region":"NC"},`+
				`{"address1":"31 Dogwood Drive","city":"Greenville","region":"NC"}],"relatives":["Ada Carter"],"vehicles":["2014 Mazda 3"],"employers":["Food Lion"]}`+"\n", n, who)
		}
		if _, errs, status := b.run(lines.String(), "import", "-"); status != 0 {
			b.Fatalf("import: status %d: %s", status, errs)
		}
	}
	b.people++
	return fmt.Sprintf("contact_quiz_%d", b.people-1)
}

func planQuiz(b *bank, rng *rand.Rand) round {
	root := b.token("root", admin)
	id, _ := at(b.made(root, "createQuiz", "quiz { id }", map[string]any{"contactId": b.person()}), "quiz", "id").(string)
	asked := rng.IntN(3) > 0
	started := unseen()
	started.State, started.Version = "PENDING", 1
	answers := map[string][]map[string]any{"misfit": {{"questionId": "no-such-question", "answer": "none"}}}
	names := []string{"createQuizQuestions", "createQuizQuestions", "read", "scoreQuiz"}
	if asked {
		started.State, started.Version = "ASKED", 2
		questions, _ := b.made(root, "createQuizQuestions", "questions { questionId question choices }", map[string]any{"quizId": id})["questions"].([]any)
		for i, q := range questions {
			choices, _ := at(q, "choices").([]any)
			right := slices.IndexFunc(choices, func(c any) bool { return slices.Contains(knownFacts, c.(string)) })
			if right < 0 {
				b.Fatalf("no choice is known to be right: %v", q)
			}
			answers["right"] = append(answers["right"], map[string]any{"questionId": at(q, "questionId"), "answer": choices[right]})
			if i == 0 {
				right = (right + 1) % len(choices)
			}
			answers["wrong"] = append(answers["wrong"], map[string]any{"questionId": at(q, "questionId"), "answer": choices[right]})
		}
		names = []string{"scoreQuiz", "scoreQuiz", "scoreQuiz", "read", "createQuizQuestions"}
	}
	r := round{first: &porcupine.Operation{Input: call{Name: "start"}, Call: -2, Output: started, Return: -1}}
	for range 6 + rng.IntN(4) {
		c := call{Name: pick(rng, names...), Door: pick(rng, "graphql", "rest"), Instance: rng.IntN(len(b.urls))}
		if c.Name == "scoreQuiz" {
			c.Arg = "misfit"
			if asked {
				c.Arg = pick(rng, "right", "wrong", "wrong", "misfit")
			}
		}
		if c.Name != "read" && rng.IntN(4) == 0 {
			c.Version = 1 + rng.IntN(3)
		}
		if c.Name != "read" && c.Arg != "misfit" && rng.IntN(3) == 0 {
			c.Key = fmt.Sprintf("%s-%d", id, rng.IntN(2))
		}
		r.calls = append(r.calls, c)
	}
	r.first.ClientId = len(r.calls)
	r.do = func(c call) (outcome, error) { return b.quizCall(c, id, root, answers[c.Arg]) }
	r.check = func([]porcupine.Operation) error { return b.journalOf(root, "quiz", id) }
	return r
}

func (b *bank) quizCall(c call, id, token string, answers []map[string]any) (outcome, error) {
	out := unseen()
	if c.Door == "graphql" {
		const shown = "id state version"
		path := []any{"data", "it", "quiz"}
		var a answer
		var err error
		if c.Name == "read" {
			path = path[:2]
			a, err = b.gql(c.Instance, token, "query($id: ID!) { it: quiz(id: $id) { "+shown+" } }", map[string]any{"id": id})
		} else {
			input, selection := map[string]any{"quizId": id}, "quiz { "+shown+" }"
			if c.Name == "scoreQuiz" {
				input["answers"] = answers
			} else {
				selection += " questions { questionId }"
			}
			c.guard(input)
			a, err = b.mutate(c.Instance, token, c.Name, selection, input)
			out.take(a)
			questions, _ := a.at("data", "it", "questions").([]any)
			out.Questions = len(questions) > 0
		}
		out.State, out.Version = a.text(append(path, "state")...), a.number(append(path, "version")...)
		return out, orTopLevel(a, err)
	}
	headers := []string{"API-Key: " + b.key, "Authorization: Bearer " + token}
	if c.Version != 0 {
		headers = append(headers, fmt.Sprintf(`If-Match: "%s:%d"`, id, c.Version))
	}
	if c.Key != "" {
		headers = append(headers, "Idempotency-Key: "+c.Key)
	}
	method, path, body := http.MethodGet, "/identity/quizzes/"+id, ""
	switch c.Name {
	case "createQuizQuestions":
		method, path = http.MethodPost, path+"/questions"
	case "scoreQuiz":
		raw, err := json.Marshal(map[string]any{"answers": answers})
		if err != nil {
			return out, err
		}
		method, path, body = http.MethodPost, path+"/answers", string(raw)
	}
	a, err := b.send(c.Instance, method, path, body, headers...)
	out.Code, out.Replayed = restCode(a), a.header.Get("Idempotent-Replayed") == "true"
	if out.Code == "" {
		out.State = upperState(a.text("outputs", "state"))
		out.Version = version(a.header.Get("ETag"))
		questions, _ := a.at("questions").([]any)
		out.Questions = len(questions) > 0
	}
	return out, err
}

// upperState turns a state of a REST dialect into GraphQL's word.
func upperState(name string) string { return strings.TrimPrefix(upper(name), "_") }
