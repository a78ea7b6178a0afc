package problem

// Shape says which extras a caller may rely on: one of the types of this file. Which one follows from the kind of
// the problem, so that a door need not know the codes.
type Shape interface{ shape() }

// FieldProblem is about a member of the input; see Path.
type FieldProblem struct{ *Problem }

// StateProblem is about the state of the record, or of what it leads to.
type StateProblem struct{ *Problem }

// CurrentState is the state of the record; empty where that is not what is wrong.
func (p StateProblem) CurrentState() string {
	s, _ := p.Attributes["currentState"].(string)
	return s
}

// AllowedStates are the states in which it would be possible; nil where the state is not what is wrong.
func (p StateProblem) AllowedStates() []string {
	switch states := p.Attributes["allowedStates"].(type) {
	case []string:
		return states
	case []any: // as a store gives it back
		out := make([]string, 0, len(states))
		for _, s := range states {
			if text, ok := s.(string); ok {
				out = append(out, text)
			}
		}
		return out
	}
	return nil
}

// StaleVersionProblem is about the version the caller decided on.
type StaleVersionProblem struct{ *Problem }

// CurrentVersion is the version that the record has now; nil where it is not known.
func (p StaleVersionProblem) CurrentVersion() *int { return p.number("currentVersion") }

// LimitProblem is about how much is allowed; see AvailableAt.
type LimitProblem struct{ *Problem }

// Limit is how much is allowed; nil where it is not told.
func (p LimitProblem) Limit() *int { return p.number("limit") }

// NotFoundProblem is about a record that is not there, or that the caller may not know of.
type NotFoundProblem struct{ *Problem }

// DependencyProblem is about somebody else's service.
type DependencyProblem struct{ *Problem }

// AccessProblem is about the caller's rights.
type AccessProblem struct{ *Problem }

func (FieldProblem) shape()        {}
func (StateProblem) shape()        {}
func (StaleVersionProblem) shape() {}
func (LimitProblem) shape()        {}
func (NotFoundProblem) shape()     {}
func (DependencyProblem) shape()   {}
func (AccessProblem) shape()       {}

// Shape gives the problem its shape; nil for one of our own faults and for a request that reached no operation:
// they have nothing that a caller may rely on.
func (p *Problem) Shape() Shape {
	switch p.Kind {
	case Invalid, Required, Unprocessable:
		return FieldProblem{p}
	case Missing:
		return NotFoundProblem{p}
	case Conflict, Gone:
		if _, ok := p.Attributes["limit"]; ok {
			return LimitProblem{p}
		}
		return StateProblem{p}
	case Stale:
		return StaleVersionProblem{p}
	case Limited:
		return LimitProblem{p}
	case Unavailable:
		return DependencyProblem{p}
	case Unauthenticated, Denied:
		return AccessProblem{p}
	case Internal, Protocol:
	}
	return nil
}

// number reads a whole number among the attributes, as the rules set it or as a store gives it back.
func (p *Problem) number(name string) *int {
	var n int
	switch v := p.Attributes[name].(type) {
	case int:
		n = v
	case int64:
		n = int(v)
	case float64:
		n = int(v)
	default:
		return nil
	}
	return &n
}
