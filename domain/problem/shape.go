package problem

// Shape determines which attributes a caller may rely on: it is one of the types in this file. It follows from the kind
// of the problem, so that a door need not know the codes.
type Shape interface{ shape() }

// FieldProblem concerns an input member; see Path.
type FieldProblem struct{ *Problem }

// StateProblem concerns the state of a record.
type StateProblem struct{ *Problem }

// CurrentState returns the state of the record, or "" if the problem does not concern its state.
func (p StateProblem) CurrentState() string {
	s, _ := p.Attributes["currentState"].(string)
	return s
}

// AllowedStates returns the states in which the operation is possible, or nil if the problem does not concern the
// state.
func (p StateProblem) AllowedStates() []string {
	switch states := p.Attributes["allowedStates"].(type) {
	case []string:
		return states
	case []any: // decoded from a stored problem
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

// StaleVersionProblem concerns the version that the caller stated.
type StaleVersionProblem struct{ *Problem }

// CurrentVersion returns the current version of the record, or nil if it is not known.
func (p StaleVersionProblem) CurrentVersion() *int { return p.number("currentVersion") }

// LimitProblem concerns an exceeded limit; see AvailableAt.
type LimitProblem struct{ *Problem }

// Limit returns the limit, or nil if it is not disclosed.
func (p LimitProblem) Limit() *int { return p.number("limit") }

// NotFoundProblem concerns a record that does not exist or is not visible to the caller.
type NotFoundProblem struct{ *Problem }

// DependencyProblem concerns an external service.
type DependencyProblem struct{ *Problem }

// AccessProblem concerns the permissions of the caller.
type AccessProblem struct{ *Problem }

func (FieldProblem) shape()        {}
func (StateProblem) shape()        {}
func (StaleVersionProblem) shape() {}
func (LimitProblem) shape()        {}
func (NotFoundProblem) shape()     {}
func (DependencyProblem) shape()   {}
func (AccessProblem) shape()       {}

// Shape returns the shape of the problem. It returns nil for an internal error and for a request that reached no
// operation: they have no attributes that a caller may rely on.
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

// number returns an integer attribute, as set by a rule or as decoded from a stored problem.
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
