package app

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strings"
	"sync"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// callerRecord collects the attributes of a request's log line that describe the caller: identity, credential and
// refusals.
type callerRecord struct {
	mu sync.Mutex
	// by is the kind of the accepted credential: token, client or key; the strongest if there are several.
	by                string
	user, client, key string
	// refused is the reason why a credential was rejected.
	refused string
	notes   problem.Notes
}

// attach returns a context in which the record receives the actor and the refusals.
func (w *callerRecord) attach(ctx context.Context) context.Context {
	return problem.WithNotes(domain.WithWitness(ctx, w.setActor), &w.notes)
}

// setActor records an actor. Some rules continue as an anonymous actor or as the user of a session; the first identity
// is kept.
func (w *callerRecord) setActor(a domain.Actor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	keep := func(to *string, text string) {
		if *to == "" {
			*to = text
		}
	}
	switch {
	case a.Refused != nil:
		keep(&w.refused, reasonOf(a.Refused))
		return
	case a.ClientKey != "":
		keep(&w.by, "client")
		keep(&w.client, a.ClientKey)
	case a.ID != "":
		keep(&w.by, "token")
		keep(&w.user, a.ID)
		keep(&w.client, a.ClientID)
	}
	keep(&w.key, a.APIKey)
}

// reasonOf returns why a credential was rejected. The errors of the verifiers do not contain any part of it.
func reasonOf(p *problem.Problem) string {
	if cause := p.Unwrap(); cause != nil {
		return cause.Error()
	}
	return p.Code
}

// attrs returns the attributes that are set.
func (w *callerRecord) attrs(mark func(string) string) []slog.Attr {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []slog.Attr
	add := func(name, value string) {
		if value != "" {
			out = append(out, slog.String(name, value))
		}
	}
	by := w.by
	if by == "" && w.key != "" {
		by = "key"
	}
	add("by", by)
	for _, pair := range [][2]string{{"user", w.user}, {"client", w.client}, {"apiKey", w.key}} {
		if pair[1] != "" && !opaque(pair[1]) {
			pair[1] = mark(pair[1])
		}
		add(pair[0], pair[1])
	}
	add("credential", w.refused)
	add("refusals", strings.Join(w.notes.Codes(), ","))
	return out
}

// opaque reports whether an id looks generated: if an issuer uses addresses or telephone numbers as user names, they
// must not be logged.
func opaque(id string) bool {
	return len(id) <= 128 && strings.Trim(id, "-_.:|abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" &&
		strings.Trim(id, "-.0123456789") != ""
}

// newMarker returns a function that pseudonymizes ids: the same id has the same mark on all instances, and cannot be
// recovered without the keys of the installation.
func newMarker(keyed func(purpose string, parts ...string) []byte) func(string) string {
	return func(id string) string { return "~" + hex.EncodeToString(keyed("name in the log", id)[:8]) }
}
