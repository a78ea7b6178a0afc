// Package auth tells who is asking: it turns a request into a domain.Actor. And it makes tokens, with keys that it
// makes, rotates and publishes.
//
// It knows access tokens and their issuers, API keys, forwarding headers, and the forms of the tokens of sessions and
// clients. It never answers a request and decides nothing: a credential that is not believed becomes Actor.Refused,
// and the rules refuse a nobody. It must not know the database; what it asks of it are the ports Keys, Sessions and
// KeyStore.
package auth

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Why a token is not believed. Other errors of a Verifier count as ErrInvalid. None holds a part of the token.
var (
	// ErrInvalid is a token that is malformed, forged, foreign, not yet valid, or no access token.
	ErrInvalid = errors.New("the token is not valid")
	// ErrExpired is a token that was good.
	ErrExpired = errors.New("the token is expired")
	// ErrUnavailable says that nobody can tell now whether the token is good.
	ErrUnavailable = errors.New("the keys of the issuer were never received")
)

// Verifier believes access tokens. DevelopmentIssuer and ExternalIssuer are the two.
type Verifier interface {
	Verify(ctx context.Context, raw string) (Claims, error)
}

// Keys finds API keys.
type Keys interface {
	// APIKey gives the name of the client whose key has this hash; see NewAPIKey.
	APIKey(ctx context.Context, hash []byte) (name string, found bool, err error)
}

// Sessions knows the sessions that tokens speak for.
type Sessions interface {
	// SessionOver reports whether the claim sid names a session that is no longer active. One that no session has,
	// as other issuers set it, is not over.
	SessionOver(ctx context.Context, sid string) (bool, error)
}

// Config is what an Authenticator works with.
type Config struct {
	// Verifier believes tokens; required.
	Verifier Verifier
	// Keys finds API keys; nil: no key is known.
	Keys Keys
	// Sessions knows sessions; nil: the claim sid is not looked up.
	Sessions Sessions
	// TrustedProxies are the networks whose forwarding headers are believed.
	TrustedProxies []netip.Prefix
}

// Authenticator tells who is asking.
type Authenticator struct {
	verifier Verifier
	keys     Keys
	sessions Sessions
	proxies  proxies
}

// New gives an authenticator.
func New(c Config) *Authenticator {
	return &Authenticator{verifier: c.Verifier, keys: c.Keys, sessions: c.Sessions, proxies: trusted(c.TrustedProxies)}
}

// Middleware puts the actor into the context of each request, and never answers by itself.
func (a *Authenticator) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(domain.WithActor(r.Context(), a.actor(r))))
	})
}

func (a *Authenticator) actor(r *http.Request) domain.Actor {
	ctx := r.Context()
	from := domain.Actor{Address: a.proxies.client(r.RemoteAddr, r.Header)}
	name, err := a.client(ctx, r.Header.Values("API-Key"))
	if err != nil {
		return refuse(from, problem.New(problem.ServiceUnavailable).From(err))
	}
	from.APIKey = name
	switch values := r.Header.Values("Authorization"); len(values) {
	case 0:
		return from
	case 1:
		return a.believe(ctx, from, values[0])
	default:
		// Which of them somebody before us has looked at is anybody's guess.
		return refuse(from, problem.New(problem.Unauthorized).From(invalid("several Authorization headers")))
	}
}

// Authenticate gives the actor of an Authorization value that did not come as a header, as in the first message of a
// WebSocket. Address and APIKey stay those of the actor in the context.
func (a *Authenticator) Authenticate(ctx context.Context, authorization string) domain.Actor {
	was := domain.ActorFrom(ctx)
	return a.believe(ctx, domain.Actor{Address: was.Address, APIKey: was.APIKey}, authorization)
}

// believe adds to the actor who the Authorization value says it is; a blank value says nothing.
func (a *Authenticator) believe(ctx context.Context, actor domain.Actor, authorization string) domain.Actor {
	if strings.TrimSpace(authorization) == "" {
		return actor
	}
	raw, ok := bearer(authorization)
	if !ok {
		return refuse(actor, problem.New(problem.Unauthorized).From(invalid("no bearer token in Authorization")))
	}
	claims, err := a.verifier.Verify(ctx, raw)
	if err != nil {
		return refuse(actor, refusal(err))
	}
	if a.sessions != nil && claims.SessionID != "" {
		over, err := a.sessions.SessionOver(ctx, claims.SessionID)
		if err != nil {
			return refuse(actor, problem.New(problem.ServiceUnavailable).From(err))
		}
		if over {
			return refuse(actor, problem.New(problem.SessionExpired))
		}
	}
	actor.ID = claims.Subject
	actor.Username, actor.Email = claims.Username, claims.Email
	actor.CustomerID, actor.CustomerGroup = claims.CustomerID, claims.CustomerGroup
	actor.ClientID, actor.SessionID = claims.ClientID, claims.SessionID
	actor.Scopes, actor.ExpiresAt = claims.Scopes, claims.ExpiresAt
	return actor
}

// refuse says why a credential was not believed. Of the actor only the address and the client key remain.
func refuse(actor domain.Actor, why *problem.Problem) domain.Actor {
	return domain.Actor{Address: actor.Address, APIKey: actor.APIKey, Refused: why}
}

func refusal(err error) *problem.Problem {
	switch {
	case errors.Is(err, ErrExpired):
		return problem.New(problem.SessionExpired).From(err)
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.ServiceUnavailable).From(err)
	default:
		return problem.New(problem.Unauthorized).From(err)
	}
}

// bearer takes the token out of an Authorization value: RFC 6750, section 2.1, with the scheme in any case.
func bearer(authorization string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(authorization), " ")
	token = strings.TrimLeft(token, " ")
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != "" && !strings.ContainsAny(token, " \t,")
}
