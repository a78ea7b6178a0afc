package clientsessions

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/recent"
)

const (
	// tokenReuse is how long plain reads return the same token of a session. Pages that regain focus read the client
	// every few seconds, and a signature costs a millisecond.
	tokenReuse = 5 * time.Second
	// tokenGeneration is half of the number of cached tokens; each takes about a kilobyte.
	tokenGeneration = 1000
)

// tokens issues the tokens in objects, and caches each for a short time.
type tokens struct {
	service *domain.Service
	now     func() time.Time
	cache   recent.Cache[tokenKey, cachedToken]
}

// tokenKey has everything that the content of a token depends on: a different version, activity, organization or origin
// requires a different token.
type tokenKey struct {
	id           string
	version      int
	state        domain.SessionState
	active       time.Time
	organization string
	origin       string
}

type cachedToken struct {
	jwt string
	at  time.Time
}

func newTokens(service *domain.Service, now func() time.Time) *tokens {
	return &tokens{service: service, now: now, cache: recent.Cache[tokenKey, cachedToken]{Size: tokenGeneration}}
}

// of returns a token of a live session for a browser origin. If fresh is set, the token is not from the cache.
func (t *tokens) of(ctx context.Context, r *domain.Session, origin string, fresh bool) (string, error) {
	key := tokenKey{id: r.ID, version: r.Version, state: r.State, active: r.LastActiveAt.UTC(), origin: origin}
	if r.OrganizationID != nil {
		key.organization = "+" + *r.OrganizationID
	}
	now := t.now()
	reuse := min(tokenReuse, t.service.Settings.SessionTokenTTL/4)
	if cached, ok := t.cache.Get(key); ok && !fresh && !now.Before(cached.at) && now.Sub(cached.at) < reuse {
		return cached.jwt, nil
	}
	jwt, err := t.service.SessionToken(ctx, r, origin)
	if err == nil {
		t.cache.Add(key, cachedToken{jwt, now})
	}
	return jwt, err
}
