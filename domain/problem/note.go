package problem

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Notes are the codes of what one request was refused, each once, in order. The log shows them where an answer does
// not: a refusal by GraphQL has the status 200.
type Notes struct {
	mu    sync.Mutex
	codes []string
}

// maxNotes bounds them: a document can be refused twenty times.
const maxNotes = 8

// Codes gives the codes.
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

// WithNotes gives a context in which refusals are noted.
func WithNotes(ctx context.Context, n *Notes) context.Context {
	return context.WithValue(ctx, notesKey{}, n)
}

// Note notes a refusal, and gives the error back. An error that is no problem is left to the door that tells it.
func Note(ctx context.Context, err error) error {
	var p *Problem
	if err != nil && errors.As(err, &p) {
		NoteCode(ctx, p.Code)
	}
	return err
}

// NoteCode notes the code of a refusal that is no problem of the catalogue.
func NoteCode(ctx context.Context, code string) {
	if n, ok := ctx.Value(notesKey{}).(*Notes); ok && code != "" {
		n.add(code)
	}
}
