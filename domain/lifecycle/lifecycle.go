// Package lifecycle represents a life cycle as data: which transitions exist, from which state to which, who may
// request them, and which problem a caller receives if one is not open.
//
// It does not know any subject: an invitation, a session and a quiz are each a value of Machine. Every part of the
// program that answers "what may happen next" reads such a value: the guard of a transition, HAL links, GraphQL
// actions, the generated diagrams and the property tests.
package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Row is one transition.
type Row[S, T, R ~string] struct {
	// On is the verb of the transition.
	On T
	// From lists the states in which the transition is open; empty means every state.
	From []S
	// To lists the states in which the transition may end; empty if the transition erases the record.
	To []S
	// By lists the roles towards the record that may request the transition.
	By []R
	// Else returns the problem for a state that is not in From.
	Else func(S) *problem.Definition
	// Operation is the name of the mutation if it differs from On + Subject.
	Operation string
	// Erases is true if the record no longer exists after the transition.
	Erases bool
	// Within is the operation that includes the transition if there is no mutation for it.
	Within string
}

// Machine is the life cycle of one kind of record.
type Machine[S, T, R ~string] struct {
	// Name is the subject in lower camel case, such as "invitation".
	Name string
	// Start is the usual initial state.
	Start S
	// Starts lists all initial states if there are several.
	Starts []S
	// Create is the operation that creates a record.
	Create string
	// CreateWithin is the operation that includes the creation if there is no mutation for it.
	CreateWithin string
	// CreateBy lists the roles that may create a record.
	CreateBy []R
	// States lists every state in the order of the documentation.
	States []State[S]
	// Transitions is the table of transitions.
	Transitions []Row[S, T, R]
	// Clock is the role of clock transitions; a caller never has it.
	Clock R
}

// State is a state and its description: how a record enters it, and what comes next.
type State[S ~string] struct {
	Name S
	Help string
}

// Row returns the row of a transition, or nil if the machine has none.
func (m *Machine[S, T, R]) Row(on T) *Row[S, T, R] {
	for i := range m.Transitions {
		if m.Transitions[i].On == on {
			return &m.Transitions[i]
		}
	}
	return nil
}

// Has reports whether the transition is open in the state.
func (r *Row[S, T, R]) Has(state S) bool { return len(r.From) == 0 || slices.Contains(r.From, state) }

// Grants reports whether one of the roles may request the transition.
func (r *Row[S, T, R]) Grants(roles []R) bool {
	for _, role := range roles {
		if slices.Contains(r.By, role) {
			return true
		}
	}
	return false
}

// Ends reports whether the transition may end in the state.
func (r *Row[S, T, R]) Ends(state S) bool { return slices.Contains(r.To, state) }

// OperationName returns the name of the mutation that makes the transition: Operation, or the verb followed by the
// subject. For a clock transition it is the name used in the journal; no mutation has that name.
func (m *Machine[S, T, R]) OperationName(on T) string {
	if row := m.Row(on); row != nil && row.Operation != "" {
		return row.Operation
	}
	return string(on) + strings.ToUpper(m.Name[:1]) + m.Name[1:]
}

// OfClock reports whether only the clock can make the transition.
func (m *Machine[S, T, R]) OfClock(on T) bool {
	row := m.Row(on)
	return row != nil && len(row.By) == 1 && row.By[0] == m.Clock
}

// Asked reports whether the transition has its own operation, which a caller may request.
func (m *Machine[S, T, R]) Asked(on T) bool {
	row := m.Row(on)
	return row != nil && row.Within == "" && !m.OfClock(on)
}

// Begins reports whether a new record may be in the state.
func (m *Machine[S, T, R]) Begins(state S) bool {
	return state == m.Start || slices.Contains(m.Starts, state)
}

// Verdict is the result of Check.
type Verdict string

// The verdicts. Check tests for Unknown to Closed in this order.
const (
	Open          Verdict = ""              // the transition may be made
	Unknown       Verdict = "unknown"       // the machine does not have this transition
	Denied        Verdict = "denied"        // none of the roles may request it
	Stale         Verdict = "stale"         // the caller's version is not the current one
	Unconditional Verdict = "unconditional" // the caller states no version, but must
	Closed        Verdict = "closed"        // not open in this state
)

// Condition is the caller's requirement on the version of a record; the zero value requires nothing.
type Condition struct {
	// Version is the current version, and Expected the caller's; nil accepts any version.
	Version  int
	Expected *int
	// Required refuses a caller that states no version.
	Required bool
	// InEffect leaves the version check to the effect if the transition is open in the state.
	InEffect bool
}

// Check reports whether the transition is open to the roles in the state. The role is checked before the version and the
// state, so that a caller without permission learns neither.
func (m *Machine[S, T, R]) Check(on T, state S, roles []R, c Condition) Verdict {
	row := m.Row(on)
	switch {
	case row == nil:
		return Unknown
	case !row.Grants(roles):
		return Denied
	case c.Expected != nil && *c.Expected != c.Version && (!c.InEffect || !row.Has(state)):
		return Stale
	case c.Required && c.Expected == nil:
		return Unconditional
	case !row.Has(state):
		return Closed
	}
	return Open
}

// Allowed returns the transitions that Check finds open, in the order of the table.
func (m *Machine[S, T, R]) Allowed(state S, roles []R) []T {
	var open []T
	for _, row := range m.Transitions {
		if m.Check(row.On, state, roles, Condition{}) == Open {
			open = append(open, row.On)
		}
	}
	return open
}

// Final reports whether no transition leads from the state to another state.
func (m *Machine[S, T, R]) Final(state S) bool {
	for _, row := range m.Transitions {
		if row.Erases || !row.Has(state) {
			continue
		}
		for _, to := range row.To {
			if to != state {
				return false
			}
		}
	}
	return true
}

// Refusal returns the problem for a transition requested in a state in which it is not open: the row's problem with the
// current state and the states in which it is open.
func (m *Machine[S, T, R]) Refusal(on T, state S) *problem.Problem {
	row := m.Row(on)
	from := make([]string, 0, len(row.From))
	for _, s := range row.From {
		from = append(from, string(s))
	}
	return problem.New(row.Else(state)).With("currentState", string(state)).With("allowedStates", from)
}

// Map is a machine without type parameters, for code that is not generic: documentation, GraphQL, tests.
type Map struct {
	Name   string
	Start  string
	Starts []string
	Create string
	// CreateWithin is the operation that includes the creation; empty if the creation has its own operation.
	CreateWithin string
	CreateBy     []string
	States       []MapState
	Transitions  []MapRow
}

// MapState is a state of a Map.
type MapState struct {
	Name  string
	Help  string
	Final bool
}

// MapRow is a transition of a Map.
type MapRow struct {
	Name      string
	Operation string
	From, To  []string
	By        []string
	Erases    bool
	// Clock is true if only the clock can make the transition.
	Clock bool
	// Within is the operation that includes the transition; empty if the transition has its own operation.
	Within string
}

// StateNames returns the names of the states in the order of the documentation.
func (m *Machine[S, T, R]) StateNames() []string {
	out := make([]string, 0, len(m.States))
	for _, s := range m.States {
		out = append(out, string(s.Name))
	}
	return out
}

// Map returns the machine as a Map. From lists every state for a row that is open in every state.
func (m *Machine[S, T, R]) Map() Map {
	out := Map{
		Name: m.Name, Start: string(m.Start), Starts: toStrings(m.Starts),
		Create: m.Create, CreateWithin: m.CreateWithin, CreateBy: toStrings(m.CreateBy),
	}
	if len(out.Starts) == 0 {
		out.Starts = []string{out.Start}
	}
	all := m.StateNames()
	for _, s := range m.States {
		out.States = append(out.States, MapState{Name: string(s.Name), Help: s.Help, Final: m.Final(s.Name)})
	}
	for _, row := range m.Transitions {
		from := toStrings(row.From)
		if len(from) == 0 {
			from = all
		}
		out.Transitions = append(out.Transitions, MapRow{
			Name: string(row.On), Operation: m.OperationName(row.On),
			From: from, To: toStrings(row.To), By: toStrings(row.By), Erases: row.Erases, Clock: m.OfClock(row.On), Within: row.Within,
		})
	}
	return out
}

func toStrings[X ~string](in []X) []string {
	out := make([]string, 0, len(in))
	for _, x := range in {
		out = append(out, string(x))
	}
	return out
}

// Mermaid returns the machine as a Mermaid state diagram.
func (m Map) Mermaid() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n")
	for _, start := range m.Starts {
		fmt.Fprintf(&b, "    [*] --> %s: %s\n", start, m.Create)
	}
	for _, row := range m.Transitions {
		if row.Erases {
			continue // an edge from every state to the end would hide the other transitions
		}
		for _, from := range row.From {
			for _, to := range row.To {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, row.Name)
			}
		}
	}
	for _, s := range m.States {
		if s.Final {
			fmt.Fprintf(&b, "    %s --> [*]\n", s.Name)
		}
	}
	return b.String()
}
