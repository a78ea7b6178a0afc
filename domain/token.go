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

// TokenKind is what a token that this server makes is for. No kind is taken for another, and none is an access token.
type TokenKind string

// The kinds of tokens.
const (
	// TokenSession speaks for a session towards the institution's services.
	TokenSession TokenKind = "session"
	// TokenTemplate has the claims of a JWT template.
	TokenTemplate TokenKind = "template"
	// TokenClient is the credential of a client: a browser or a device.
	TokenClient TokenKind = "client"
)

// Signer makes tokens, with keys that all instances share.
type Signer interface {
	// Sign makes a token of the claims.
	Sign(ctx context.Context, kind TokenKind, claims map[string]any) (string, error)
	// OpenClientToken gives the id of the client that a client token speaks for; ErrMissing where it is none.
	OpenClientToken(ctx context.Context, token string) (clientID string, err error)
}

// CreateSessionTokenInput names a session, and perhaps a JWT template.
type CreateSessionTokenInput struct {
	SessionID string  `json:"sessionId" validate:"required,max=128"`
	Template  *string `json:"template" validate:"omitempty,min=1,max=128"`
	// Origin is the browser origin that asks; it becomes azp.
	Origin string `json:"-"`
	// OrganizationID is the organization that a session token speaks for; empty: none; nil: the session's own. The
	// session's own stays as it is.
	OrganizationID *string `json:"-"`

	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// CreateSessionToken makes a short-lived token of a live session. Each call makes a token of its own, and is activity.
// A repeat makes a token too, for none is kept, but is no activity. The outcome's record is the session.
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
	if !out.Record.State.Live() { // it ended after the call that this one repeats
		return out, "", notLive(problem.SignedOut, out.Record)
	}
	jwt, err := s.sessionJWT(ctx, out.Record, in)
	return out, jwt, err
}

// sessionJWT makes the token that is asked for.
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

// sessionSkew is how far nbf lies before iat (client session API, claims).
const sessionSkew = 10 * time.Second

// SessionToken makes a token of a live session as it stands in r; it is no activity.
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

// FactorAge is the minutes since the first and the second factor; -1 = never.
func (s *Session) FactorAge(now time.Time) []int {
	return []int{max(0, int(now.Sub(s.CreatedAt)/time.Minute)), -1}
}

// organizationClaim is the claim o; nil where the user has no part in the organization any more.
func (s *Service) organizationClaim(ctx context.Context, userID, organizationID string) (map[string]any, error) {
	role, err := s.organizationRole(ctx, userID, organizationID)
	if role == "" || err != nil {
		return nil, err
	}
	return map[string]any{"id": organizationID, "slg": organizationID, "rol": role, "per": "", "fpm": ""}, nil
}

// organizationRole is owner, signer, or empty.
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

// newJTI is 80 random bits in hexadecimal: each token is one of its own.
func newJTI() string {
	var raw [10]byte
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// CreateClientTokenInput names a client; a new one is made where none is named, and where it is not known.
type CreateClientTokenInput struct {
	ClientID *string `json:"clientId" validate:"omitempty,min=1,max=48,clientId"`

	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// CreateClientToken makes the credential that the login service hands to a browser or a device. Tokens made before
// stay good. A repeat gives the same client a token of its own, for none is kept.
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

// clientJWT makes the credential of a client that is there.
func (s *Service) clientJWT(ctx context.Context, id string) (*Client, string, error) {
	client, err := s.Store.Client(ctx, id)
	if err != nil {
		return nil, "", err
	}
	jwt, err := s.Signer.Sign(ctx, TokenClient, map[string]any{"id": id, "rotating_token": newJTI(), "iat": s.now().Unix()})
	return client, jwt, err
}

// newClientRate limits how many clients one address may start: each is a row that stays.
var newClientRate = Rate{Limit: 60, Per: 10 * time.Minute}

// StartClient makes a client for a browser or a device that has none yet, with its credential. Anybody may: no session
// is on it, and only the login service can sign somebody in on it.
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

// WithClient puts the client that a client token speaks for into the context, in the place of any other actor.
// Refuses with ClientTokenInvalid.
func (s *Service) WithClient(ctx context.Context, token string) (context.Context, error) {
	id, err := s.clientOf(ctx, token)
	if err != nil {
		return ctx, missingAs(err, problem.ClientTokenInvalid)
	}
	return WithActor(ctx, Actor{ClientKey: id, Address: ActorFrom(ctx).Address}), nil
}

// clientOf finds the client that a token speaks for.
func (s *Service) clientOf(ctx context.Context, token string) (string, error) {
	mark := sha256.Sum256([]byte(token)) // no memory holds tokens that could be used
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

// WithSessionUser puts the user of a live session of the calling client into the context, in the place of the client:
// who is signed in on a client may see and end his sessions on others.
// Refuses with NoSuchSession, AccessDenied (the caller is no client) and SignedOut.
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
