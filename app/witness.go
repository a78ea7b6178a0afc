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

// witness is what a request's line in the log says about its caller: who, by which credential, and what was refused.
type witness struct {
	mu sync.Mutex
	// by is the kind of the credential that was believed: token, client or key; the strongest, where several came.
	by                string
	user, client, key string
	// refused is why a credential was not believed.
	refused string
	notes   problem.Notes
}

// watch gives a context in which the witness learns who asks and what is refused.
func (w *witness) watch(ctx context.Context) context.Context {
	return problem.WithNotes(domain.WithWitness(ctx, w.hear), &w.notes)
}

// hear is told of an actor. Some rules go on as a nobody, or as the user of a session; what was found out first stays.
func (w *witness) hear(a domain.Actor) {
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

// reasonOf is why a credential was not believed, in our own words: no error of the verifiers repeats a part of it.
func reasonOf(p *problem.Problem) string {
	if cause := p.Unwrap(); cause != nil {
		return cause.Error()
	}
	return p.Code
}

// attrs are the members of the line that there is something to say for.
func (w *witness) attrs(mark func(string) string) []slog.Attr {
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
	for _, one := range [][2]string{{"user", w.user}, {"client", w.client}, {"apiKey", w.key}} {
		if one[1] != "" && !opaque(one[1]) {
			one[1] = mark(one[1])
		}
		add(one[0], one[1])
	}
	add("credential", w.refused)
	add("refusals", strings.Join(w.notes.Codes(), ","))
	return out
}

// opaque reports whether an id looks like one that a program made: where an issuer has addresses or telephone numbers
// as the names of its users, they stay out of the log.
func opaque(id string) bool {
	return len(id) <= 128 && strings.Trim(id, "-_.:|abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" &&
		strings.Trim(id, "-.0123456789") != ""
}

// marker names who must not be named: the same id has the same mark on all instances, and nobody finds the id from it
// without the keys of the installation.
func marker(keyed func(purpose string, parts ...string) []byte) func(string) string {
	return func(id string) string { return "~" + hex.EncodeToString(keyed("name in the log", id)[:8]) }
}
