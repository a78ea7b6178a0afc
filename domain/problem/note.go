package problem

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Notes collects the distinct codes of the refusals of one request, in order. They are logged, because the status may
// not reveal them: a refusal by GraphQL has status 200.
type Notes struct {
	mu    sync.Mutex
	codes []string
}

// maxNotes is the maximum number of codes, because one document can be refused twenty times.
const maxNotes = 8

// Codes returns the codes.
func (n *Notes) Codes() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.codes)
}

func (n *Notes) add(code string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.codes) < maxNotes && !slices.Contains(n.codes, code) {
		n.codes = append(n.codes, code)
	}
}

type notesKey struct{}

// WithNotes returns a context that collects refusals in n.
func WithNotes(ctx context.Context, n *Notes) context.Context {
	return context.WithValue(ctx, notesKey{}, n)
}

// Note records a refusal and returns the error unchanged. It ignores an error that is not a Problem: the
// door that renders it records it.
func Note(ctx context.Context, err error) error {
	var p *Problem
	if err != nil && errors.As(err, &p) {
		NoteCode(ctx, p.Code)
	}
	return err
}

// NoteCode records the code of a refusal that is not in the catalogue.
func NoteCode(ctx context.Context, code string) {
	if n, ok := ctx.Value(notesKey{}).(*Notes); ok && code != "" {
		n.add(code)
	}
}
