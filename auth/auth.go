// Package auth authenticates callers: it derives a domain.Actor from a request. It also issues tokens with keys that it
// creates, rotates and publishes.
//
// It knows access tokens and their issuers, API keys, forwarding headers, and the formats of session and client tokens.
// It does not answer requests and does not make decisions: a credential that fails verification becomes Actor.Refused,
// and the rules refuse the unauthenticated caller. It must not know the database; it accesses stored data through the
// interfaces Keys, Sessions, KeyStore and VerificationKeys.
package auth

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Reasons to reject a token. Any other error of a Verifier is treated as ErrInvalid. No error contains any part of the
// token.
var (
	// ErrInvalid is returned for a token that is malformed, forged, from another issuer, not yet valid, or not an
	// access token.
	ErrInvalid = errors.New("the token is not valid")
	// ErrExpired is returned for a valid token that has expired.
	ErrExpired = errors.New("the token is expired")
	// ErrUnavailable is returned if the keys that are needed to verify the token have never been received.
	ErrUnavailable = errors.New("the keys of the issuer were never received")
)

// Verifier verifies access tokens. It is implemented by DevelopmentIssuer and ExternalIssuer.
type Verifier interface {
	Verify(ctx context.Context, raw string) (Claims, error)
}

// Keys looks up API keys.
type Keys interface {
	// APIKey returns the name of the client whose key has this hash; see NewAPIKey.
	APIKey(ctx context.Context, hash []byte) (name string, found bool, err error)
}

// Sessions looks up the sessions that tokens refer to.
type Sessions interface {
	// SessionOver reports whether the claim sid names a session that is no longer active. It returns false for an
	// unknown sid, such as one set by another issuer.
	SessionOver(ctx context.Context, sid string) (bool, error)
}

// Config configures an Authenticator.
type Config struct {
	// Verifier verifies tokens; required.
	Verifier Verifier
	// Keys looks up API keys; if nil, all keys are unknown.
	Keys Keys
	// Sessions looks up sessions; if nil, the claim sid is not checked.
	Sessions Sessions
	// TrustedProxies lists the networks whose forwarding headers are trusted.
	TrustedProxies []netip.Prefix
	// Verifiers lists the applications that order verifications for the institution.
	Verifiers []domain.VerifierClient
}

// Authenticator derives the actor of a request from its credentials.
type Authenticator struct {
	verifier  Verifier
	keys      Keys
	sessions  Sessions
	proxies   proxies
	verifiers []domain.VerifierClient
}

// New returns an authenticator.
func New(c Config) *Authenticator {
	return &Authenticator{
		verifier: c.Verifier, keys: c.Keys, sessions: c.Sessions, proxies: newProxies(c.TrustedProxies), verifiers: c.Verifiers,
	}
}

// Middleware adds the actor to the context of each request. It never writes a response.
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
		return refusedActor(from, problem.New(problem.ServiceUnavailable).From(err))
	}
	from.APIKey = name
	switch values := r.Header.Values("Authorization"); len(values) {
	case 0:
		return from
	case 1:
		return a.authenticate(ctx, from, values[0])
	default:
		// A proxy in front may have checked either of them.
		return refusedActor(from, problem.New(problem.Unauthorized).From(invalid("several Authorization headers")))
	}
}

// Authenticate returns the actor for an Authorization value that was not sent as a header, such as the one in the first
// message of a WebSocket. Address and APIKey are those of the actor in ctx.
func (a *Authenticator) Authenticate(ctx context.Context, authorization string) domain.Actor {
	current := domain.ActorFrom(ctx)
	return a.authenticate(ctx, domain.Actor{Address: current.Address, APIKey: current.APIKey}, authorization)
}

// authenticate adds the identity from the Authorization value to the actor; a blank value adds nothing.
func (a *Authenticator) authenticate(ctx context.Context, actor domain.Actor, authorization string) domain.Actor {
	if strings.TrimSpace(authorization) == "" {
		return actor
	}
	raw, ok := bearer(authorization)
	if !ok {
		return refusedActor(actor, problem.New(problem.Unauthorized).From(invalid("no bearer token in Authorization")))
	}
	claims, err := a.verifier.Verify(ctx, raw)
	if err != nil {
		return refusedActor(actor, refusal(err))
	}
	if a.sessions != nil && claims.SessionID != "" {
		over, err := a.sessions.SessionOver(ctx, claims.SessionID)
		if err != nil {
			return refusedActor(actor, problem.New(problem.ServiceUnavailable).From(err))
		}
		if over {
			return refusedActor(actor, problem.New(problem.SessionExpired))
		}
	}
	actor.ID = claims.Subject
	actor.Username, actor.Email = claims.Username, claims.Email
	actor.CustomerID, actor.CustomerGroup = claims.CustomerID, claims.CustomerGroup
	actor.ClientID, actor.SessionID = claims.ClientID, claims.SessionID
	actor.Scopes, actor.ExpiresAt = claims.Scopes, claims.ExpiresAt
	actor.Verifier = slices.Contains(a.verifiers, domain.VerifierClient{ClientID: actor.ClientID, Subject: actor.ID})
	return actor
}

// refusedActor returns an actor whose credential was rejected. It keeps only the address and the API key's client.
func refusedActor(actor domain.Actor, why *problem.Problem) domain.Actor {
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

// bearer extracts the token from an Authorization value (RFC 6750, section 2.1; the scheme is case-insensitive).
func bearer(authorization string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(authorization), " ")
	token = strings.TrimLeft(token, " ")
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != "" && !strings.ContainsAny(token, " \t,")
}
