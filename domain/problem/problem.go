// Package problem defines the catalogue of all refusals, and the error value that carries a refusal from a rule to the
// door that renders it.
//
// It knows codes, kinds and texts. It must not know HTTP statuses, GraphQL types or media types: each door maps a kind
// to its own dialect.
package problem

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of a problem. A door maps kinds to its own statuses.
type Kind string

// The kinds, from errors of the caller to errors of the server.
const (
	Invalid         Kind = "invalid"         // the input is malformed
	Unauthenticated Kind = "unauthenticated" // no credential, or an invalid one
	Denied          Kind = "denied"          // the caller does not have the permission
	Missing         Kind = "missing"         // no such record, or not visible to the caller
	Conflict        Kind = "conflict"        // the record's state does not allow it
	Gone            Kind = "gone"            // no longer available, permanently
	Stale           Kind = "stale"           // the caller's version is not the current one
	Required        Kind = "required"        // a condition that the caller must state is absent
	Unprocessable   Kind = "unprocessable"   // well formed, but invalid
	Limited         Kind = "limited"         // too many requests or records; try later
	Unavailable     Kind = "unavailable"     // a dependency is unavailable
	Internal        Kind = "internal"        // error of the server
	Protocol        Kind = "protocol"        // the door refuses the request before it reaches an operation
)

// Definition is an entry of the catalogue. Definitions are created in catalogue.go, codes.go and catalogue_identity.go.
type Definition struct {
	// Code is the key of the entry in camelCase: the documented string if a document defines one.
	Code string
	// Type is the documented string if it differs from Code: a document may use one string with two statuses.
	Type string
	// Kind determines the status in each door.
	Kind Kind
	// Title is the same for all problems with this code.
	Title string
	// Message is the text for the caller if the problem has no detail.
	Message string
	// Remedy describes what the caller can do.
	Remedy string
	// GraphQL is the ProblemCode if it is not Code in UPPER_SNAKE_CASE.
	GraphQL string
	// Source is the document and section that defines the code.
	Source string
}

// Problem is one refusal. It is an error; doors treat every error that is not a Problem as Internal.
type Problem struct {
	*Definition
	// Detail describes this occurrence; it must not contain a secret or personal data. If empty, Message applies.
	Detail string
	// Path is the path of the invalid input member, outermost first.
	Path []string
	// Attributes holds the documented attributes of the code: currentState, allowedStates, limit, position, property, …
	Attributes map[string]any
	// AvailableAt is when the refused call may succeed; zero if unknown.
	AvailableAt time.Time
	// Causes holds the problems that this problem consists of.
	Causes []*Problem
	// ID identifies this occurrence in the response and the log. The door sets it when it renders the problem.
	ID string
	// cause is the underlying error, for the log only.
	cause error
}

// New returns a problem with the given definition.
func New(d *Definition) *Problem { return &Problem{Definition: d} }

// Error returns a text for logs. It does not contain secrets, because Detail does not.
func (p *Problem) Error() string {
	if p.cause != nil {
		return fmt.Sprintf("%s: %s: %v", p.Code, p.Text(), p.cause)
	}
	return p.Code + ": " + p.Text()
}

// Unwrap returns the underlying error, which only the log contains.
func (p *Problem) Unwrap() error { return p.cause }

// Text returns the sentence for the caller.
func (p *Problem) Text() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Message
}

// Because sets the detail.
func (p *Problem) Because(format string, args ...any) *Problem {
	p.Detail = fmt.Sprintf(format, args...)
	return p
}

// At sets the path of the invalid input member.
func (p *Problem) At(path ...string) *Problem {
	p.Path = path
	return p
}

// With sets a documented attribute.
func (p *Problem) With(name string, value any) *Problem {
	if p.Attributes == nil {
		p.Attributes = map[string]any{}
	}
	p.Attributes[name] = value
	return p
}

// Until sets the time at which the call may succeed.
func (p *Problem) Until(t time.Time) *Problem {
	p.AvailableAt = t
	return p
}

// From sets the underlying error for the log; callers never see it.
func (p *Problem) From(err error) *Problem {
	p.cause = err
	return p
}

// Join adds causes.
func (p *Problem) Join(causes ...*Problem) *Problem {
	p.Causes = append(p.Causes, causes...)
	return p
}

// Of returns the problem in err. It converts any other error to InternalError with err as the underlying error; it
// returns nil for nil.
func Of(err error) *Problem {
	if err == nil {
		return nil
	}
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return New(InternalError).From(err)
}

// Has reports whether err is a problem with the given definition.
func Has(err error, d *Definition) bool {
	var p *Problem
	return errors.As(err, &p) && p.Definition == d
}
