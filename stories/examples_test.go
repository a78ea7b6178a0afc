package stories

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/gatehouse/gatehouse/examples"
	"github.com/gatehouse/gatehouse/graph"
	"github.com/gatehouse/gatehouse/reference"
	"github.com/gatehouse/gatehouse/testkit"
)

var update = flag.Bool("update", false, "write the answers of examples/operations anew")

// TestExamples makes the requests that the reference pages show, as they are printed, on the demonstration data, and
// compares the answers with those that the pages show.
func TestExamples(t *testing.T) {
	t.Parallel()
	stories, err := reference.Stories()
	if err != nil {
		t.Fatal(err)
	}
	for _, story := range stories {
		for _, db := range testkit.Databases {
			t.Run(story.Name+"/"+db.Name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if db.Name == "postgres" {
					w.env = append(w.env, "GATEHOUSE_DATABASE_URL="+db.URL(t))
				}
				tell(t, w.serve(), story, *update && db.Name == "sqlite")
			})
		}
	}
}

// telling is a story while it is told.
type telling struct {
	*server
	values map[string]string
	tokens map[string]string
	device *testkit.Device
	seen   map[string]bool
	known  map[string]string
}

func tell(t *testing.T, s *server, story *reference.Story, write bool) {
	t.Helper()
	if story.Import != "" {
		if _, errs, status := s.run(story.Import, "import", "-"); status != 0 {
			t.Fatalf("import: %s", errs)
		}
	}
	device := testkit.NewDevice("ecdsa", 0)
	told := &telling{
		server: s, tokens: map[string]string{}, seen: map[string]bool{}, known: map[string]string{}, device: device,
		values: map[string]string{"API_KEY": s.must("apikey", "create", "--name", "examples"), "PUBLIC_KEY": device.PublicKey(), "FINGERPRINT": device.ID()},
	}
	for _, p := range story.People {
		told.tokens[p.Name] = s.must(append([]string{"token"}, arguments(p.Arguments)...)...)
	}
	for _, step := range story.Steps {
		if step.As != "" && told.tokens[step.As] == "" {
			t.Fatalf("%s: nobody is called %s", step.Name, step.As)
		}
		told.values["TOKEN"] = told.tokens[step.As]
		at := testkit.Now()
		r, err := told.ask(step)
		if err != nil {
			t.Fatalf("%s: %v", step.Name, err)
		}
		answer := told.normal(r, at, step.Command != "")
		switch {
		case step.Hidden():
			if r.status != http.StatusOK || strings.Contains(r.body, `"errors"`) || strings.Contains(r.body, `"code"`) {
				t.Fatalf("%s: %d %s", step.Name, r.status, r.body)
			}
		case write:
			step.Answer = answer
		case step.Answer != answer:
			t.Errorf("%s answers\n%s\nand the pages say\n%s", step.Name, answer, step.Answer)
		}
		for _, k := range step.Keeps {
			if err := told.keep(k, r); err != nil {
				t.Fatalf("%s: $%s: %v in %s", step.Name, k.Name, err, r.body)
			}
		}
	}
	if write {
		if err := os.WriteFile(filepath.Join("..", "examples", "operations", story.Name+".txtar"), story.Format(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop()
}

// arguments splits a line of a command where only double quotes are used.
func arguments(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

// ask makes a request, as it is printed.
func (s *telling) ask(step *reference.Step) (reply, error) {
	if step.Command != "" {
		r, err := reference.Curl(step.Command, s.values)
		if err != nil {
			return reply{}, err
		}
		path, ok := strings.CutPrefix(r.URL, shownURL)
		if !ok {
			return reply{}, errors.New("the command asks another server")
		}
		if r.Body != "" && !slices.ContainsFunc(r.Header, func(h string) bool { return strings.HasPrefix(h, "Content-Type: ") }) {
			r.Header = append(r.Header, "Content-Type: application/x-www-form-urlencoded") // as curl does
		}
		return s.send(r.Method, path, r.Body, r.Header...), nil
	}
	body := map[string]any{"query": step.Document}
	if step.Variables != "" {
		filled, err := reference.Fill(step.Variables, s.values)
		if err != nil {
			return reply{}, err
		}
		if !json.Valid([]byte(filled)) {
			return reply{}, errors.New("the variables are no JSON")
		}
		body["variables"] = json.RawMessage(filled)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return reply{}, err
	}
	var header []string
	if step.As != "" {
		header = append(header, "Authorization: Bearer "+s.values["TOKEN"])
	}
	return s.send("POST", "/graphql", string(text), header...), nil
}

// keep finds a value that later requests use.
func (s *telling) keep(k reference.Keep, r reply) error {
	how, what, _ := strings.Cut(k.From, " ")
	switch how {
	case "mail", "text":
		message := s.posted(map[string]string{"mail": ".eml", "text": ".sms.json"}[how], s.seen)
		message = strings.ReplaceAll(strings.ReplaceAll(message, "=\r\n", ""), "=3D", "=")
		if how == "text" {
			var sms struct{ Text string }
			if err := json.Unmarshal([]byte(message), &sms); err != nil {
				return err
			}
			message = sms.Text
		}
		found := regexp.MustCompile(what).FindStringSubmatch(message)
		if found == nil {
			return errors.New("the message does not have it")
		}
		s.values[k.Name] = found[1]
	case "signature":
		challenge, username, _ := strings.Cut(os.Expand(what, func(name string) string { return s.values[name] }), ":")
		s.values[k.Name] = s.device.Sign(challenge, username)
	case "answers":
		questions, record, _ := strings.Cut(what, " ")
		answers, err := rightAnswers(s.values[strings.TrimPrefix(questions, "$")], record)
		s.values[k.Name] = answers
		return err
	default:
		var v any
		if err := json.Unmarshal([]byte(r.body), &v); err != nil {
			return err
		}
		for part := range strings.SplitSeq(how, ".") {
			m, _ := v.(map[string]any)
			v = m[part]
		}
		if text, ok := v.(string); ok {
			s.values[k.Name] = text
			return nil
		}
		raw, err := json.Marshal(v)
		if err != nil || v == nil {
			return fmt.Errorf("there is no %s: %w", how, err)
		}
		s.values[k.Name] = string(raw)
	}
	return nil
}

// rightAnswers answers the questions of a quiz from the person's record in the demonstration directory. Each question
// has exactly one choice that is a fact of that person.
func rightAnswers(questions, record string) (string, error) {
	var asked []struct {
		ID, QuestionID string // in REST and in GraphQL
		Choices        []string
	}
	if err := json.Unmarshal([]byte(questions), &asked); err != nil {
		return "", err
	}
	facts, err := factsOf(record)
	if err != nil {
		return "", err
	}
	answers := []map[string]string{}
	for _, q := range asked {
		right := slices.DeleteFunc(slices.Clone(q.Choices), func(choice string) bool { return !slices.Contains(facts, choice) })
		if len(right) != 1 {
			return "", fmt.Errorf("question %s: %d of %q are facts of %s", q.ID, len(right), q.Choices, record)
		}
		answers = append(answers, map[string]string{"questionId": q.ID + q.QuestionID, "answer": right[0]})
	}
	raw, err := json.Marshal(answers)
	return string(raw), err
}

// factsOf reads a record of the demonstration directory and returns its facts in the form of a quiz's choices: towns,
// employers, makes and family names.
func factsOf(record string) ([]string, error) {
	for line := range bytes.Lines(examples.Demo) {
		var r struct {
			Kind, ID                       string
			PreviousAddresses              []struct{ City string }
			Relatives, Vehicles, Employers []string
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		if r.Kind != "identityRecord" || r.ID != record {
			continue
		}
		facts := slices.Clone(r.Employers)
		for _, a := range r.PreviousAddresses {
			facts = append(facts, a.City)
		}
		for _, vehicle := range r.Vehicles { // year, make, model
			facts = append(facts, strings.Fields(vehicle)[1])
		}
		for _, name := range r.Relatives {
			facts = append(facts, name[strings.LastIndex(name, " ")+1:])
		}
		return facts, nil
	}
	return nil, fmt.Errorf("the demonstration directory has no record %q", record)
}

// What the pages show in the place of what is different each time.
const shownURL = "http://127.0.0.1:8080"

var (
	shownTime  = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	ids        = regexp.MustCompile(`\b(inv|sess|sess_activity|client|frr|quiz|appr|rev|contact|dev|evt|emv|phv|idn)_[0-9A-Za-z]{20,}\b`)
	uuids      = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	digests    = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	jwts       = regexp.MustCompile(`\beyJ[\w-]+\.[\w-]+\.[\w-]+`)
	instants   = regexp.MustCompile(`\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	milliTimes = regexp.MustCompile(`\b1[78]\d{11}\b`)
)

// normal is an answer as the pages show it.
func (s *telling) normal(r reply, at time.Time, headers bool) string {
	var out strings.Builder
	if headers {
		fmt.Fprintf(&out, "HTTP/1.1 %d %s\n", r.status, http.StatusText(r.status))
		for _, name := range []string{"Content-Type", "Etag", "Location", "Idempotent-Replayed"} {
			if v := r.header.Get(name); v != "" {
				fmt.Fprintf(&out, "%s: %s\n", name, v)
			}
		}
	}
	var v any
	if r.body != "" {
		if err := json.Unmarshal([]byte(r.body), &v); err != nil {
			s.t.Fatalf("no JSON: %s", r.body)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, []byte(r.body), "", "  "); err != nil {
			s.t.Fatal(err)
		}
		if headers {
			out.WriteString("\n")
		}
		out.Write(bytes.TrimSpace(pretty.Bytes()))
		out.WriteString("\n")
	}
	text := strings.ReplaceAll(out.String(), s.url, shownURL)
	for _, re := range []*regexp.Regexp{ids, uuids} {
		text = re.ReplaceAllStringFunc(text, s.standIn)
	}
	text = digests.ReplaceAllString(text, strings.Repeat("5e", 32))
	text = jwts.ReplaceAllString(text, "eyJ…")
	text = instants.ReplaceAllStringFunc(text, func(found string) string {
		when, err := time.Parse(time.RFC3339Nano, found)
		if err != nil {
			s.t.Fatal(err)
		}
		return shownTime.Add(rounded(when.Sub(at))).Format(time.RFC3339)
	})
	text = milliTimes.ReplaceAllStringFunc(text, func(found string) string {
		ms, _ := strconv.ParseInt(found, 10, 64) // the pattern has digits only
		return strconv.FormatInt(shownTime.Add(rounded(time.UnixMilli(ms).Sub(at))).UnixMilli(), 10)
	})
	if issued := regexp.MustCompile(`"iat": (\d{10})`).FindStringSubmatch(text); issued != nil {
		iat, _ := strconv.ParseInt(issued[1], 10, 64) // as above
		text = regexp.MustCompile(`"(exp|iat|nbf)": \d{10}`).ReplaceAllStringFunc(text, func(found string) string {
			member, number, _ := strings.Cut(found, ": ")
			seconds, _ := strconv.ParseInt(number, 10, 64)
			return fmt.Sprintf("%s: %d", member, seconds-iat+shownTime.Unix())
		})
	}
	for _, m := range []struct{ member, value string }{
		{"jti", `"0123456789abcdef0123"`},
		{"cursor", `"NDI"`},
		{"endCursor", `"NDI"`},
		{"startCursor", `"NDI"`},
		{"commit", `"0123456789ab"`},
		{"goVersion", `"go1.26"`},
		{"version", `"1.0.0"`},
		{"question", `"Which of these employers have you worked for?"`},
	} {
		text = regexp.MustCompile(`"`+m.member+`": "[^"]*"`).ReplaceAllLiteralString(text, `"`+m.member+`": `+m.value)
	}
	return regexp.MustCompile(`(?s)"choices": \[.*?\]`).ReplaceAllLiteralString(text, `"choices": ["Publix", "FedEx", "…"]`)
}

// rounded is the difference of a time from now in steps of five minutes. However long a story takes on a busy machine,
// what happened a while ago happened now, and what has the rest of an hour has an hour.
func rounded(d time.Duration) time.Duration {
	const step, slow = 5 * time.Minute, time.Minute
	return time.Duration(math.Ceil(float64(d-slow)/float64(step))) * step
}

// standIn gives an id that is the same each time: the first of its kind, the second, ….
func (s *telling) standIn(id string) string {
	if s.known[id] == "" {
		kind := id[:strings.LastIndex(id, "_")+1]
		n := 1
		for known := range s.known {
			if known[:strings.LastIndex(known, "_")+1] == kind {
				n++
			}
		}
		s.known[id] = fmt.Sprintf("%s01J8Z4K7Q2M5N8P1R4T7V0W%d", kind, n)
		if kind == "" {
			s.known[id] = fmt.Sprintf("6f1c2a9e-0b4d-4c7a-9e21-5d80f3a1b%03d", n)
		}
	}
	return s.known[id]
}

// withoutTwin are the operations that no REST document has.
var withoutTwin = []string{
	"node", "nodes", "viewer", "lifecycle", "invitationPreview", "lifecycleEvents",
	"createSession", "endOtherSessions", "completeSessionTask", "createClientToken", "saveJwtTemplate", "deleteJwtTemplate", "previewJwtTemplate", "jwtTemplates",
	"requestEmailVerification", "requestPhoneVerification", "registerDevice", "revokeDevice", "devices", "openTwoFactorRequest", "twoFactorRequest", "twoFactorRequests",
	"createContact", "updateContact", "contact", "contacts", "approvals", "verificationPolicy",
	"review", "reviews", "takeReview", "releaseReview", "dismissMatch", "decideReview", "confirmReview",
}

// TestEveryOperationHasItsExamples: a document for each operation, which is about that operation and no other, and the
// curl command of its REST twin where it has one.
func TestEveryOperationHasItsExamples(t *testing.T) {
	t.Parallel()
	stories, err := reference.Stories()
	if err != nil {
		t.Fatal(err)
	}
	schema := graph.NewExecutableSchema(graph.Config{}).Schema()
	documents, commands, refused := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, story := range stories {
		for _, step := range story.Steps {
			if step.Command != "" {
				commands[step.Operation] = true
				continue
			}
			doc, errs := gqlparser.LoadQueryWithRules(schema, step.Document, rules.NewDefaultRules())
			if errs != nil {
				t.Errorf("%s: %v", step.Name, errs)
				continue
			}
			for _, op := range doc.Operations {
				for _, f := range op.SelectionSet {
					if name := fieldName(f); name != step.Operation && !step.Hidden() {
						t.Errorf("%s is about %s", step.Name, name)
					}
				}
			}
			documents[step.Operation] = true
			if strings.Contains(step.Answer, `"code"`) {
				refused[story.Name] = true
			}
		}
	}
	for _, root := range []string{"Query", "Mutation"} {
		for _, f := range schema.Types[root].Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			if !documents[f.Name] {
				t.Errorf("examples/operations has no %s.graphql: write one, and run make examples", f.Name)
			}
			if without := slices.Contains(withoutTwin, f.Name); commands[f.Name] == without {
				t.Errorf("%s has a curl command: %t; the list of those without one has it: %t", f.Name, commands[f.Name], without)
			}
		}
	}
	for _, story := range stories {
		if !refused[story.Name] {
			t.Errorf("%s shows no problem", story.Name)
		}
	}
}

func fieldName(s ast.Selection) string {
	if f, ok := s.(*ast.Field); ok {
		return f.Name
	}
	return ""
}
