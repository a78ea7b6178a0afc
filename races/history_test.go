package races

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// call is one operation of a history: what is asked of one record, and by which door.
type call struct {
	// Name is the mutation's name, or read.
	Name string
	// Door is graphql or rest, Instance the one that is asked.
	Door     string
	Instance int
	// Arg tells operations of one name apart: the secret, the task, the answers, the challenge.
	Arg string
	// Version is the expected one; 0: none.
	Version int
	// Key is the idempotency key; empty: none.
	Key string
}

// input is what a repeat with the same idempotency key must repeat. The doors share keys.
func (c call) input() string { return fmt.Sprint(c.Name, " ", c.Arg, " ", c.Version) }

// outcome is what the caller saw. What a door does not show is empty, or -1.
type outcome struct {
	// Code is the problem's; empty where it was done.
	Code string
	// State is the record's, in the words of GraphQL.
	State    string
	Version  int
	Count    int
	Resends  int
	Replayed bool
	// Active is lastActiveAt, in milliseconds.
	Active int64
	// ID is the record's; of interest where calls create it.
	ID string
	// Questions: the answer had the questions of a quiz.
	Questions bool
}

// unseen is an outcome that shows nothing.
func unseen() outcome { return outcome{Count: -1, Resends: -1, Active: -1} }

// memo is what is known of an idempotency key.
type memo struct {
	used  bool
	input string
	code  string
}

// memos are those of a round, which has two keys at most. It is comparable, as the states of the models are.
type memos [2]memo

func (m memos) of(key string) memo { return m[key[len(key)-1]-'0'] }

func (m memos) with(key, input, code string) memos {
	if key != "" {
		m[key[len(key)-1]-'0'] = memo{true, input, code}
	}
	return m
}

// made reports whether the call repeats one that was done.
func (m memos) made(c call) bool {
	return c.Key != "" && m.of(c.Key) == memo{used: true, input: c.input()}
}

// repeat answers for the keys, which all models treat alike: the first outcome again, or a refusal where the input is
// another one. decided is false where the key is new, or there is none.
func (m memos) repeat(c call, out outcome) (ok, decided bool) {
	if c.Key == "" || !m.of(c.Key).used {
		return !out.Replayed, out.Replayed
	}
	known := m.of(c.Key)
	if known.input != c.input() {
		return out.Code == "IDEMPOTENCY_KEY_REUSED", true
	}
	return out.Replayed && out.Code == known.code, true
}

// round is the plan of one round: a fresh record, and what is done to it at once.
type round struct {
	calls []call
	// first is an operation that was over before; nil: none.
	first *porcupine.Operation
	do    func(call) (outcome, error)
	// check looks at the record when all is over; nil: nothing.
	check func(history []porcupine.Operation) error
}

// subject is a kind of record with its model.
type subject struct {
	name  string
	model porcupine.Model
	plan  func(b *bank, rng *rand.Rand) round
}

// pick gives one of several.
func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// model makes a porcupine model of a step that is written with types.
func model[S comparable](start S, step func(S, call, outcome) (bool, S)) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return start },
		Step: func(state, input, output any) (bool, any) {
			return step(state.(S), input.(call), output.(outcome))
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
}

// run makes the calls of a round at once and gives their history.
func (r round) run(rng *rand.Rand) ([]porcupine.Operation, error) {
	history, errs := make([]porcupine.Operation, len(r.calls)), make([]error, len(r.calls))
	start, ready := time.Now(), make(chan struct{})
	var wg sync.WaitGroup
	for i, c := range r.calls {
		wait := time.Duration(rng.IntN(4000)) * time.Microsecond
		wg.Go(func() {
			<-ready
			time.Sleep(wait)
			from := time.Since(start).Nanoseconds()
			out, err := r.do(c)
			history[i] = porcupine.Operation{ClientId: i, Input: c, Call: from, Output: out, Return: time.Since(start).Nanoseconds()}
			errs[i] = err
		})
	}
	close(ready)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return history, fmt.Errorf("%+v: %w", r.calls[i], err)
		}
	}
	if r.first != nil {
		history = append(history, *r.first)
	}
	return history, nil
}

// checked fails the test where no order of the calls, one after another, explains what their callers saw. The history
// is then kept as a page that shows it.
func checked(t testing.TB, s subject, name string, history []porcupine.Operation) bool {
	t.Helper()
	result, info := porcupine.CheckOperationsVerbose(s.model, history, time.Minute)
	if result == porcupine.Ok {
		return true
	}
	dir, err := os.MkdirTemp("", "gatehouse-history-")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, s.name+"-"+name+".html")
	if err := porcupine.VisualizePath(s.model, info, path); err != nil {
		t.Error(err)
	}
	text := ""
	for _, op := range history {
		text += fmt.Sprintf("\n  [%8d %8d] %+v -> %+v", op.Call/1000, op.Return/1000, op.Input, op.Output)
	}
	t.Errorf("%s %s: %s: no order explains the history; see %s%s", s.name, name, result, path, text)
	return false
}

// subjects are all kinds of histories.
var subjects = []subject{invitationRaces, sessionRaces, decisionRaces, challengeRaces, quizRaces, creationRaces, deviceRaces}

// TestHistories runs rounds of each kind on both databases: short, or 1,000 of them on each, or as many as
// GATEHOUSE_ROUNDS says; GATEHOUSE_RACES=session runs those of one kind alone.
func TestHistories(t *testing.T) {
	t.Parallel()
	kinds := slices.DeleteFunc(slices.Clone(subjects), func(s subject) bool {
		name := os.Getenv("GATEHOUSE_RACES")
		return name != "" && name != s.name
	})
	rounds := 3 * len(kinds)
	if long() {
		rounds = 1000
	}
	if n, err := strconv.Atoi(os.Getenv("GATEHOUSE_ROUNDS")); err == nil {
		rounds = n
	}
	first := seed(t)
	eachBank(t, func(t *testing.T, b *bank) {
		begun, told, operations := time.Now(), time.Now(), 0
		tell := func(n int) {
			told = time.Now()
			t.Logf("%s: %d of %d histories with %d operations in %s, seed %d", b.name, n, rounds, operations, time.Since(begun).Round(time.Second), first)
		}
		for n := range rounds {
			k := n % len(kinds)
			s := kinds[k]
			rng := rand.New(rand.NewPCG(first*1_000_003+uint64(n/len(kinds)), uint64(k)))
			r := s.plan(b, rng)
			history, err := r.run(rng)
			name := fmt.Sprintf("%s-seed-%d-round-%d", b.name, first, n)
			if err != nil {
				t.Fatalf("%s %s: %v", s.name, name, err)
			}
			operations += len(r.calls)
			if !checked(t, s, name, history) {
				return
			}
			if r.check != nil {
				if err := r.check(history); err != nil {
					t.Fatalf("%s %s: %v\n%+v", s.name, name, err, history)
				}
			}
			if time.Since(told) > time.Minute {
				tell(n + 1)
			}
		}
		tell(rounds)
	}, "GATEHOUSE_INVITATION_RESEND_LIMIT=2")
}

// TestTheCheckSeesADoubleAccept makes sure that the check can fail.
func TestTheCheckSeesADoubleAccept(t *testing.T) {
	t.Parallel()
	verify := call{Name: "verifyInvitation", Arg: rightSecret}
	accepted := unseen()
	accepted.State, accepted.Version, accepted.Count = "ACCEPTED", 2, 1
	refused := unseen()
	refused.Code = "INVALID_INVITATION_STATE"
	for _, c := range []struct {
		claim  string
		second outcome
		want   bool
	}{{"one of two is refused", refused, true}, {"both are accepted", accepted, false}} {
		history := []porcupine.Operation{
			{ClientId: 0, Input: verify, Call: 0, Output: accepted, Return: 10},
			{ClientId: 1, Input: verify, Call: 1, Output: c.second, Return: 11},
		}
		if got := porcupine.CheckOperations(invitationRaces.model, history); got != c.want {
			t.Errorf("%s: %v", c.claim, got)
		}
	}
	read := unseen()
	read.State, read.Version = "SENT", 1
	late := []porcupine.Operation{
		{ClientId: 0, Input: verify, Call: 0, Output: accepted, Return: 10},
		{ClientId: 1, Input: call{Name: "read"}, Call: 11, Output: read, Return: 12},
	}
	if porcupine.CheckOperations(invitationRaces.model, late) {
		t.Error("a read may be older than what was answered before it")
	}
}

// journalOf reads version and timeline of a record, and says what is wrong with them: there is one event for each
// version, and each begins where the one before ended.
func (b *bank) journalOf(token, query, id string) error {
	a, err := b.gql(0, token, "query($id: ID!) { it: "+query+"(id: $id) { version timeline(first: 100) { totalCount nodes { name from to } } } }", map[string]any{"id": id})
	if err != nil {
		return err
	}
	it := a.at("data", "it")
	if it == nil {
		return nil // erased
	}
	version, _ := at(it, "version").(float64)
	count, _ := at(it, "timeline", "totalCount").(float64)
	events, _ := at(it, "timeline", "nodes").([]any)
	if version != count || int(count) != len(events) {
		return fmt.Errorf("version %v, %v events: %s", version, count, a.body)
	}
	var before any
	for i, e := range events {
		if from := at(e, "from"); i > 0 && from != before {
			return fmt.Errorf("event %d begins at %v, and the one before ended at %v: %s", i, from, before, a.body)
		}
		before = at(e, "to")
	}
	return nil
}
