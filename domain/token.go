package domain

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// TokenKind is the purpose of a token that this server issues. No kind is accepted in place of another, or as an access
// token.
type TokenKind string

// The kinds of tokens.
const (
	// TokenSession authenticates a session to the institution's services.
	TokenSession TokenKind = "session"
	// TokenTemplate has the claims of a JWT template.
	TokenTemplate TokenKind = "template"
	// TokenClient is the credential of a client, which is a browser or a device.
	TokenClient TokenKind = "client"
)

// Signer signs tokens with keys that all instances share.
type Signer interface {
	// Sign returns a token with the claims.
	Sign(ctx context.Context, kind TokenKind, claims map[string]any) (string, error)
	// OpenClientToken returns the client id of a client token, or ErrMissing if the token is not valid.
	OpenClientToken(ctx context.Context, token string) (clientID string, err error)
}

// CreateSessionTokenInput names a session and optionally a JWT template.
type CreateSessionTokenInput struct {
	SessionID string  `json:"sessionId" validate:"required,max=128"`
	Template  *string `json:"template" validate:"omitempty,min=1,max=128"`
	// Origin is the browser origin of the request; it becomes azp.
	Origin string `json:"-"`
	// OrganizationID is the organization of the session token; empty: none; nil: that of the session. It does not change
	// the session.
	OrganizationID *string `json:"-"`

	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// CreateSessionToken issues a short-lived token of a live session. Each call issues a new token and is activity. A repeat
// issues a new token too, because tokens are not stored, but is not activity. The outcome's record is the session.
// Refuses with NoSuchSession, AccessDenied, SignedOut (the session is not live), UnknownOrganization, NoSuchTemplate
// and IdempotencyKeyReused.
func (s *Service) CreateSessionToken(ctx context.Context, in CreateSessionTokenInput) (Outcome[Session], string, error) {
	out, err := s.active(ctx, activity{
		operation:    "createSessionToken",
		input:        in,
		reference:    in.SessionID,
		key:          in.IdempotencyKey,
		parts:        list(optional(in.Template), optional(in.OrganizationID)),
		organization: in.OrganizationID,
		over:         problem.SignedOut,
	})
	if err != nil {
		return out, "", err
	}
	if out.Record == nil {
		return out, "", problem.New(problem.NoSuchSession)
	}
	if !out.Record.State.Live() { // it has ended since the original call
		return out, "", notLive(problem.SignedOut, out.Record)
	}
	jwt, err := s.sessionJWT(ctx, out.Record, in)
	return out, jwt, err
}

// sessionJWT returns the requested token: a session token, or one of a template.
func (s *Service) sessionJWT(ctx context.Context, r *Session, in CreateSessionTokenInput) (string, error) {
	if in.Template == nil {
		speaks := *r
		if in.OrganizationID != nil {
			speaks.OrganizationID = nil
			if *in.OrganizationID != "" {
				speaks.OrganizationID = in.OrganizationID
			}
		}
		return s.SessionToken(ctx, &speaks, in.Origin)
	}
	t, err := s.Store.JwtTemplate(ctx, *in.Template)
	if err != nil {
		return "", missingAs(err, problem.NoSuchTemplate)
	}
	claims, err := s.templateClaims(ctx, t, r, in.Origin)
	if err != nil {
		return "", err
	}
	return s.Signer.Sign(ctx, TokenTemplate, claims)
}

// sessionSkew is the time from nbf to iat (client session API, claims).
const sessionSkew = 10 * time.Second

// SessionToken returns a token of a live session with the values in r; it is not activity.
func (s *Service) SessionToken(ctx context.Context, r *Session, origin string) (string, error) {
	now := s.now()
	claims := map[string]any{
		"iss": s.Settings.PublicURL, "sub": r.UserID, "sid": r.ID,
		"iat": now.Unix(), "exp": now.Add(s.Settings.SessionTokenTTL).Unix(), "nbf": now.Add(-sessionSkew).Unix(),
		"fva": r.FactorAge(now), "jti": newJTI(), "v": 2, "sts": string(r.State),
	}
	if origin != "" && origin != "null" {
		claims["azp"] = origin
	}
	if r.OrganizationID != nil {
		part, err := s.organizationClaim(ctx, r.UserID, *r.OrganizationID)
		if err != nil {
			return "", err
		}
		if part != nil {
			claims["o"] = part
		}
	}
	return s.Signer.Sign(ctx, TokenSession, claims)
}

// FactorAge returns the minutes since the first and the second factor; -1 means never.
func (s *Session) FactorAge(now time.Time) []int {
	return []int{max(0, int(now.Sub(s.CreatedAt)/time.Minute)), -1}
}

// organizationClaim returns the claim o, or nil if the user no longer has a part in the organization.
func (s *Service) organizationClaim(ctx context.Context, userID, organizationID string) (map[string]any, error) {
	role, err := s.organizationRole(ctx, userID, organizationID)
	if role == "" || err != nil {
		return nil, err
	}
	return map[string]any{"id": organizationID, "slg": organizationID, "rol": role, "per": "", "fpm": ""}, nil
}

// organizationRole returns owner, signer, or the empty string.
func (s *Service) organizationRole(ctx context.Context, userID, organizationID string) (string, error) {
	if !plausibleID(organizationID) {
		return "", nil
	}
	o, err := s.Directory.Organization(ctx, organizationID)
	switch {
	case errors.Is(err, ErrMissing):
		return "", nil
	case err != nil:
		return "", err
	case slices.Contains(o.Owners, userID):
		return "owner", nil
	case slices.Contains(o.Signers, userID):
		return "signer", nil
	}
	return "", nil
}

// newJTI returns 80 random bits in hexadecimal, so that every token is unique.
func newJTI() string {
	var raw [10]byte
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// CreateClientTokenInput names a client. A client is created if none is named or the named one does not exist.
type CreateClientTokenInput struct {
	ClientID *string `json:"clientId" validate:"omitempty,min=1,max=48,clientId"`

	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// CreateClientToken issues the credential that the login service passes to a browser or a device. Earlier tokens remain
// valid. A repeat issues a new token for the same client, because tokens are not stored.
// Refuses with AccessDenied, InvalidInput and IdempotencyKeyReused.
func (s *Service) CreateClientToken(ctx context.Context, in CreateClientTokenInput) (Outcome[Client], string, error) {
	const operation = "createClientToken"
	a, err := s.begin(ctx, operation, in)
	if err != nil {
		return Outcome[Client]{}, "", err
	}
	c := call{operation: operation, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: list(optional(in.ClientID))}
	out, err := retry(func() (Outcome[Client], error) {
		m, err := s.lookUpKey(ctx, a, c)
		if err != nil {
			return Outcome[Client]{}, err
		}
		if m != nil {
			return Outcome[Client]{ID: m.SubjectID, Replayed: true}, nil
		}
		now := s.now()
		id := NewID("client", now)
		if in.ClientID != nil {
			id = *in.ClientID
		}
		err = s.commit(ctx, &Unit{Seen: list(Sighting{ClientID: id, At: now}), IdempotencyRecord: s.idempotencyRecord(a, c, id, nil, now)})
		return Outcome[Client]{ID: id}, err
	})
	if err != nil {
		return Outcome[Client]{}, "", err
	}
	var jwt string
	out.Record, jwt, err = s.clientJWT(ctx, out.ID)
	return out, jwt, err
}

// IssueClientToken is CreateClientToken for the operator at the command line, who needs no permission.
func (s *Service) IssueClientToken(ctx context.Context, id string) (*Client, string, error) {
	now := s.now()
	if id == "" {
		id = NewID("client", now)
	}
	if !plausibleClientID(id) {
		return nil, "", problem.New(problem.InvalidInput).
			Because("A client id must have 1 to 48 characters from letters, digits and -_:.~$.").
			At("clientId")
	}
	if err := s.commit(ctx, &Unit{Seen: list(Sighting{ClientID: id, At: now})}); err != nil {
		return nil, "", err
	}
	return s.clientJWT(ctx, id)
}

// clientJWT returns an existing client and a new credential for it.
func (s *Service) clientJWT(ctx context.Context, id string) (*Client, string, error) {
	client, err := s.Store.Client(ctx, id)
	if err != nil {
		return nil, "", err
	}
	jwt, err := s.Signer.Sign(ctx, TokenClient, map[string]any{"id": id, "rotating_token": newJTI(), "iat": s.now().Unix()})
	return client, jwt, err
}

// newClientRate limits the clients that one address may start: each is a permanent row.
var newClientRate = Rate{Limit: 60, Per: 10 * time.Minute}

// StartClient creates a client for a browser or a device, with its credential. It requires no permission: the client has
// no session, and only the login service can create one on it.
// Refuses with TooManyRequests.
func (s *Service) StartClient(ctx context.Context) (*Client, string, error) {
	ok, until, err := s.Limiter.Take(ctx, s.KeyedHash("start client rate", ActorFrom(ctx).Address), newClientRate, 0)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", problem.New(problem.TooManyRequests).Until(until)
	}
	return s.IssueClientToken(ctx, "")
}

func plausibleClientID(id string) bool {
	if id == "" || len(id) > 48 {
		return false
	}
	return strings.Trim(id, "-_:.~$abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// WithClient returns a context with the client of a client token as the actor, in place of any other actor.
// Refuses with ClientTokenInvalid.
func (s *Service) WithClient(ctx context.Context, token string) (context.Context, error) {
	id, err := s.clientOf(ctx, token)
	if err != nil {
		return ctx, missingAs(err, problem.ClientTokenInvalid)
	}
	return WithActor(ctx, Actor{ClientKey: id, Address: ActorFrom(ctx).Address}), nil
}

// clientOf returns the client id of a token whose client exists.
func (s *Service) clientOf(ctx context.Context, token string) (string, error) {
	mark := sha256.Sum256([]byte(token)) // the cache must not hold usable tokens
	if s.Known != nil {
		if id, ok := s.Known.Get(mark); ok {
			return id, nil
		}
	}
	id, err := s.Signer.OpenClientToken(ctx, token)
	if err != nil {
		return "", err
	}
	if _, err := s.Store.Client(ctx, id); err != nil {
		return "", err
	}
	if s.Known != nil {
		s.Known.Add(mark, id)
	}
	return id, nil
}

// WithSessionUser returns a context with the user of a live session of the calling client as the actor, in place of the
// client: users may see and end their sessions on other clients.
// Refuses with NoSuchSession, AccessDenied (the caller is not a client) and SignedOut.
func (s *Service) WithSessionUser(ctx context.Context, sessionID string) (context.Context, error) {
	a := ActorFrom(ctx)
	r, err := s.Session(ctx, sessionID)
	switch {
	case err != nil:
		return ctx, err
	case a.ClientKey == "":
		return ctx, problem.New(problem.AccessDenied)
	case !r.State.Live():
		return ctx, notLive(problem.SignedOut, r)
	}
	return WithActor(ctx, Actor{ID: r.UserID, SessionID: r.ID, Address: a.Address}), nil
}
