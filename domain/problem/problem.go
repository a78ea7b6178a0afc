// Package problem is the catalogue of everything Gatehouse can refuse, and the value that carries one refusal
// from the rule that made it to the door that renders it.
//
// It knows codes, kinds and words. It knows no HTTP status, no GraphQL type and no media type: each door maps a
// kind to its own dialect.
package problem

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what sort of refusal a problem is. A door maps kinds to its own statuses.
type Kind string

// The kinds, from the caller's mistake to ours.
const (
	Invalid         Kind = "invalid"         // the input is malformed
	Unauthenticated Kind = "unauthenticated" // nobody, or nobody we can believe
	Denied          Kind = "denied"          // somebody without the right
	Missing         Kind = "missing"         // no such record, or none the caller may know of
	Conflict        Kind = "conflict"        // the record's state does not allow it
	Gone            Kind = "gone"            // too late, for good
	Stale           Kind = "stale"           // the caller's version is not the current one
	Required        Kind = "required"        // a condition the caller must state is absent
	Unprocessable   Kind = "unprocessable"   // well formed, but it cannot be meant
	Limited         Kind = "limited"         // too many, try later
	Unavailable     Kind = "unavailable"     // something we depend on does not answer
	Internal        Kind = "internal"        // our fault
	Protocol        Kind = "protocol"        // no operation was reached: the door itself turns the request away
)

// Definition is one entry of the catalogue. Definitions are made in catalogue.go, and for identities in catalogue_identity.go.
type Definition struct {
	// Code is the key of the entry, in camelCase: the documented string where a document names one.
	Code string
	// Type is the documented string where it is not Code: a document may use one string with two statuses.
	Type string
	// Kind decides the status in each door.
	Kind Kind
	// Title is the same for all problems of a code.
	Title string
	// Message is what a caller reads when the occurrence adds no detail.
	Message string
	// Remedy says what the caller can do about it.
	Remedy string
	// GraphQL is the ProblemCode where it is not Code in UPPER_SNAKE_CASE.
	GraphQL string
	// Source names the document and section the code comes from.
	Source string
}

// Problem is one refusal. It is an error, and every error that is not a Problem is Internal.
type Problem struct {
	*Definition
	// Detail says what happened this time; it never holds a secret or personal data. Empty: Message.
	Detail string
	// Path leads to the member of the input that is wrong, outermost first.
	Path []string
	// Attributes are the documented extras of the code: currentState, allowedStates, limit, position, property, …
	Attributes map[string]any
	// AvailableAt is when the refused call may succeed, where that is known.
	AvailableAt time.Time
	// Causes are the problems that make up this one.
	Causes []*Problem
	// ID names this occurrence, for the log and the caller. The door sets it when it renders.
	ID string
	// cause is for the log only.
	cause error
}

// New starts a problem of a definition.
func New(d *Definition) *Problem { return &Problem{Definition: d} }

// Error is for logs. It holds no secret, because Detail never does.
func (p *Problem) Error() string {
	if p.cause != nil {
		return fmt.Sprintf("%s: %s: %v", p.Code, p.Text(), p.cause)
	}
	return p.Code + ": " + p.Text()
}

// Unwrap gives the cause that only the log sees.
func (p *Problem) Unwrap() error { return p.cause }

// Text is the sentence a caller reads.
func (p *Problem) Text() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Message
}

// Because adds what happened this time.
func (p *Problem) Because(format string, args ...any) *Problem {
	p.Detail = fmt.Sprintf(format, args...)
	return p
}

// At names the member of the input that is wrong.
func (p *Problem) At(path ...string) *Problem {
	p.Path = path
	return p
}

// With adds a documented attribute.
func (p *Problem) With(name string, value any) *Problem {
	if p.Attributes == nil {
		p.Attributes = map[string]any{}
	}
	p.Attributes[name] = value
	return p
}

// Until says when the call may succeed.
func (p *Problem) Until(t time.Time) *Problem {
	p.AvailableAt = t
	return p
}

// From keeps an error for the log; callers never see it.
func (p *Problem) From(err error) *Problem {
	p.cause = err
	return p
}

// Join adds causes.
func (p *Problem) Join(causes ...*Problem) *Problem {
	p.Causes = append(p.Causes, causes...)
	return p
}

// Of finds the problem in an error. What is none is InternalError with the error kept for the log; nil is nil.
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

// Has reports whether err is a problem of the definition.
func Has(err error, d *Definition) bool {
	var p *Problem
	return errors.As(err, &p) && p.Definition == d
}
