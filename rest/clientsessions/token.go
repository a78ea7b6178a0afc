package clientsessions

import (
	"context"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

const (
	// tokenReuse is how long a plain read shows the same token of a session again. Pages that come back into focus read
	// the client every few seconds, and a signature costs a millisecond.
	tokenReuse = 5 * time.Second
	// tokenGeneration is half of how many tokens are kept; each takes about a kilobyte.
	tokenGeneration = 1000
)

// tokens makes the tokens that objects carry, and keeps the youngest for a moment. It keeps two generations: when the
// young one is full, the old one is forgotten and the young one is the old one.
type tokens struct {
	service *domain.Service
	now     func() time.Time

	mu         sync.Mutex
	young, old map[tokenKey]madeToken
}

// tokenKey holds all that a token says: another version, activity, organization or origin is another token.
type tokenKey struct {
	id           string
	version      int
	state        domain.SessionState
	active       time.Time
	organization string
	origin       string
}

type madeToken struct {
	jwt string
	at  time.Time
}

func newTokens(service *domain.Service, now func() time.Time) *tokens {
	return &tokens{service: service, now: now, young: map[tokenKey]madeToken{}}
}

// of gives a token of a live session for a browser origin. A fresh one is made now.
func (t *tokens) of(ctx context.Context, r *domain.Session, origin string, fresh bool) (string, error) {
	key := tokenKey{id: r.ID, version: r.Version, state: r.State, active: r.LastActiveAt.UTC(), origin: origin}
	if r.OrganizationID != nil {
		key.organization = "+" + *r.OrganizationID
	}
	now := t.now()
	reuse := min(tokenReuse, t.service.Settings.SessionTokenTTL/4)
	if made, ok := t.get(key); ok && !fresh && !now.Before(made.at) && now.Sub(made.at) < reuse {
		return made.jwt, nil
	}
	jwt, err := t.service.SessionToken(ctx, r, origin)
	if err == nil {
		t.put(key, madeToken{jwt, now})
	}
	return jwt, err
}

func (t *tokens) get(key tokenKey) (madeToken, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if made, ok := t.young[key]; ok {
		return made, true
	}
	made, ok := t.old[key]
	return made, ok
}

func (t *tokens) put(key tokenKey, made madeToken) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.young) >= tokenGeneration {
		t.young, t.old = make(map[tokenKey]madeToken, tokenGeneration), t.young
	}
	t.young[key] = made
}
