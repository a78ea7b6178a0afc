// Package usersessions is the documented REST dialect "User Sessions" under /sessions: tokens of mails, codes of text
// messages, challenges of devices, and decisions about logins. docs/dialects/user-sessions.md lists the decisions where
// its document is silent.
//
// It knows HTTP, the headers and the error codes of the document, and translates a request into one call of the rules
// and the result into a response. It must not know when a token, a code or a signature is valid: package domain decides
// that. These values must not appear in responses or in the log.
package usersessions

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// Prefix is the path prefix of the API in the document.
const Prefix = "/sessions"

// The paths below the prefix. The document specifies those of challenges and decisions; the others are ours.
const (
	versionPath   = "/version"
	emailPath     = "/auth/email/verify"
	phonePath     = "/auth/phone/verify"
	challengePath = "/challenges"
	approvePath   = "/auth/two-factor/approve"
	rejectPath    = "/auth/two-factor/reject"
	apiDocPath    = "/apiDoc"
)

// The headers of the document.
const (
	headerClientID  = "clientId"
	headerChallenge = "X-AAZZUR-DEVICE-CHALLENGE"
	headerSignature = "X-AAZZUR-SIGNATURE"
	headerPIN       = "X-AAZZUR-PIN"
	headerPassword  = "X-AAZZUR-PASSWORD" //nolint:gosec // the name of a header
)

// Options configure the dialect.
type Options struct {
	// Service holds the rules; required.
	Service *domain.Service
	// Now is the clock; required.
	Now func() time.Time
	// Log gets the details of internal errors, which callers must not see; nil means slog.Default().
	Log *slog.Logger
	// Version is the version of the program.
	Version string
}

// New returns the handler of everything under Prefix.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	a := &api{o}
	server := wire.Server{Prefix: Prefix, MediaType: mediaType, Operations: a.operations(), Permit: o.Service.Permit, Refuse: a.refuse}
	return server.Handler()
}

type api struct{ Options }

func (a *api) operations() []wire.Operation {
	return []wire.Operation{
		{ID: "getVersion", Method: http.MethodGet, Path: versionPath, Handle: a.version},
		{ID: "getApiDoc", Method: http.MethodGet, Path: apiDocPath, Handle: a.apiDoc},
		{ID: "verifyEmailToken", Method: http.MethodPost, Path: emailPath, Requires: "verifyEmail", Handle: a.verifyEmail},
		{ID: "verifyPhoneCode", Method: http.MethodPost, Path: phonePath, Requires: "verifyPhone", Handle: a.verifyPhone},
		{ID: "createChallenge", Method: http.MethodPost, Path: challengePath, Requires: "createDeviceChallenge", Handle: a.challenge},
		{
			ID: "approveTwoFactor", Method: http.MethodPost, Path: approvePath,
			Requires: "approveTwoFactorRequest", Handle: a.decide(a.Service.ApproveTwoFactor),
		},
		{
			ID: "rejectSecondFactor", Method: http.MethodPost, Path: rejectPath,
			Requires: "rejectTwoFactorRequest", Handle: a.decide(a.Service.RejectSecondFactor),
		},
	}
}

func (a *api) version(*http.Request) (wire.Reply, error) {
	return wire.Reply{Status: http.StatusOK, Body: struct {
		Version string `json:"version"`
	}{a.Version}}, nil
}

//go:embed openapi.json
var openAPI []byte

func (a *api) apiDoc(*http.Request) (wire.Reply, error) {
	return wire.Reply{Status: http.StatusOK, Document: openAPI}, nil
}

// reading configures how bodies are read. All documented bodies are far smaller than the limit.
var reading = wire.Reading{MediaTypes: []string{mediaType}, MaxBytes: 64 << 10}

func (a *api) verifyEmail(r *http.Request) (wire.Reply, error) {
	if refused := domain.ActorFrom(r.Context()).Refused; refused != nil { // a missing token is allowed, an invalid one is not
		return wire.Reply{}, refused
	}
	var body struct {
		Token string `json:"token"`
	}
	key, err := read(r, &body)
	if err != nil {
		return wire.Reply{}, err
	}
	in := domain.VerifyEmailInput{Token: body.Token}
	in.IdempotencyKey = key
	out, err := a.Service.VerifyEmail(r.Context(), in)
	return wire.Reply{Status: http.StatusNoContent, Replayed: out.Replayed}, err
}

func (a *api) verifyPhone(r *http.Request) (wire.Reply, error) {
	var body struct {
		Code string `json:"code"`
	}
	key, err := read(r, &body)
	if err != nil {
		return wire.Reply{}, err
	}
	in := domain.VerifyPhoneInput{Code: body.Code}
	in.IdempotencyKey = key
	out, err := a.Service.VerifyPhone(r.Context(), in)
	return wire.Reply{Status: http.StatusNoContent, Replayed: out.Replayed}, err
}

// read reads the body and the header Idempotency-Key.
func read(r *http.Request, into any) (key *string, err error) {
	if err := wire.Decode(r, reading, into); err != nil {
		return nil, err
	}
	return wire.IdempotencyKey(r)
}

func (a *api) challenge(r *http.Request) (wire.Reply, error) {
	body, err := wire.Object(r, reading)
	if err != nil {
		return wire.Reply{}, err
	}
	deviceID, _ := body.String("deviceId")
	username, _ := body.String("username")
	if strings.Trim(deviceID, "0123456789abcdef") != "" || len(deviceID) != 64 {
		body.Refuse("deviceId", "deviceId must be the SHA-256 of the public key in lower-case hexadecimal.")
	}
	if n := len([]rune(username)); n < 1 || n > 254 {
		body.Refuse("username", "username must have 1 to 254 characters.")
	}
	if err := body.Err(); err != nil {
		return wire.Reply{}, err
	}
	in := domain.CreateDeviceChallengeInput{DeviceID: deviceID, Username: &username}
	if in.IdempotencyKey, err = wire.IdempotencyKey(r); err != nil {
		return wire.Reply{}, err
	}
	out, err := a.Service.CreateDeviceChallenge(r.Context(), in)
	if err != nil {
		return wire.Reply{Replayed: out.Replayed}, err
	}
	return wire.Reply{Status: http.StatusCreated, Replayed: out.Replayed, Body: struct {
		ChallengeID string    `json:"challengeId"`
		ExpiresAt   time.Time `json:"expiresAt"`
	}{out.Record.ID, out.Record.ExpiresAt}}, nil
}

// decide returns the handler of a decision about a login. It checks headers and body, and then calls the rules.
func (a *api) decide(
	do func(context.Context, domain.TwoFactorDecision) (domain.Outcome[domain.TwoFactorRequest], error),
) func(*http.Request) (wire.Reply, error) {
	return func(r *http.Request) (wire.Reply, error) {
		in, err := a.decision(r)
		if err != nil {
			return wire.Reply{}, err
		}
		out, err := do(r.Context(), in)
		if err != nil {
			return wire.Reply{Replayed: out.Replayed}, err
		}
		return wire.Reply{Status: http.StatusOK, Replayed: out.Replayed, Body: struct {
			ID        string     `json:"id"`
			ClientID  string     `json:"clientId"`
			Status    string     `json:"status"`
			DecidedAt *time.Time `json:"decidedAt"`
		}{out.Record.ID, out.Record.ClientID, strings.ToUpper(string(out.Record.State)), out.Record.DecidedAt}}, nil
	}
}

// decision reads the headers and then the body, which may be absent.
func (a *api) decision(r *http.Request) (domain.TwoFactorDecision, error) {
	var in domain.TwoFactorDecision
	var client, pin, password string
	for _, h := range []struct {
		name string
		to   *string
	}{
		{headerClientID, &client},
		{headerChallenge, &in.ChallengeID},
		{headerSignature, &in.Signature},
		{headerPIN, &pin},
		{headerPassword, &password},
	} {
		var err error
		if *h.to, err = header(r, h.name); err != nil {
			return in, err
		}
	}
	if client == "" {
		client = r.URL.Query().Get(headerClientID)
	}
	in.ClientID = &client
	if pin != "" {
		in.PIN = &pin
	}
	if password != "" {
		in.Password = &password
	}
	if err := a.Service.CheckTwoFactorHeaders(r.Context(), in); err != nil {
		return in, err
	}
	if sent(r) {
		body, err := wire.Object(r, reading)
		if err != nil {
			return in, err
		}
		if id, ok := body.String("id"); ok {
			in.TwoFactorRequestID = &id
		}
		if err := body.Err(); err != nil {
			return in, err
		}
	}
	key, err := wire.IdempotencyKey(r)
	in.IdempotencyKey = key
	return in, err
}

// sent reports whether the request has a body, which may be absent here.
func sent(r *http.Request) bool {
	if r.Body == nil || r.ContentLength == 0 {
		return false
	}
	body := bufio.NewReader(r.Body)
	_, err := body.Peek(1)
	r.Body = struct {
		io.Reader
		io.Closer
	}{body, r.Body}
	return !errors.Is(err, io.EOF)
}

// header returns the value of a header that may occur once; empty if it is absent.
func header(r *http.Request, name string) (string, error) {
	values := r.Header.Values(name)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return strings.TrimSpace(values[0]), nil
	}
	return "", problem.New(problem.InvalidParameter).Because("The header %s must not occur more than once.", name).With("name", name)
}
