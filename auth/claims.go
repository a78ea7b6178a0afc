package auth

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Claims are what a believed access token says.
type Claims struct {
	// Subject is sub: never empty, at most 255 bytes.
	Subject string
	// Username is username, else preferred_username.
	Username string
	// Email is email.
	Email string
	// CustomerID and CustomerGroup are customerId and customerGroup.
	CustomerID, CustomerGroup string
	// ClientID is client_id, else azp.
	ClientID string
	// SessionID is sid.
	SessionID string
	// Scopes is scope, a text with spaces or an array.
	Scopes []string
	// ExpiresAt is exp.
	ExpiresAt time.Time
	// NotBefore is nbf or iat, whichever is later; zero where there is neither.
	NotBefore time.Time
}

const (
	// subjectLimit is that of OpenID Connect Core 1.0, section 2.
	subjectLimit = 255
	// textLimit bounds the other texts, which end up in records and logs of others.
	textLimit = 1024
	// lastSecond is the end of the year 9999, the last that a date can be written in.
	lastSecond = 253402300799
)

// rules say which tokens an issuer's verifier believes, apart from their signature.
type rules struct {
	// issuer is what iss must be.
	issuer string
	// audience is what aud must hold; empty: anything.
	audience string
	// types are the header's typ in lower case; the empty one is a token without.
	types []string
	// leeway is how far the clocks may differ about exp.
	leeway time.Duration
	now    func() time.Time
}

// startLeeway is how far ahead the issuer's clock may be about nbf and iat.
const startLeeway = 30 * time.Second

// idTokenClaims stand in ID tokens (OpenID Connect Core 1.0, sections 2 and 3.3.2.11; FAPI s_hash) and in security
// events and logout tokens (RFC 8417), not in access tokens.
var idTokenClaims = []string{"nonce", "at_hash", "c_hash", "s_hash", "events"}

// read gives the claims of a token that is an access token for us, whatever its time and signature.
func (r rules) read(t token) (Claims, error) {
	if !slices.Contains(r.types, strings.ToLower(t.typ)) {
		return Claims{}, invalid("typ names another kind of token")
	}
	if iss, ok := t.claims.text("iss"); !ok || iss != r.issuer {
		return Claims{}, invalid("another issuer")
	}
	if err := purpose(t.claims); err != nil {
		return Claims{}, err
	}
	if r.audience != "" {
		if aud, ok := t.claims.texts("aud"); !ok || !slices.Contains(aud, r.audience) {
			return Claims{}, invalid("another audience")
		}
	}
	return t.claims.read()
}

// purpose tells access tokens from the others that an issuer signs with the same keys.
func purpose(c claimSet) error {
	for _, name := range idTokenClaims {
		if _, there := c[name]; there {
			return invalid("a claim of an ID token or an event")
		}
	}
	// Keycloak says what a token is in the claim typ: Bearer, or ID, Refresh, Offline, Logout and more.
	if typ, ok := c.text("typ"); !ok || typ != "" && !strings.EqualFold(typ, "Bearer") {
		return invalid("the claim typ names another kind of token")
	}
	// Cognito does in token_use: access or id.
	if use, ok := c.text("token_use"); !ok || use != "" && use != "access" {
		return invalid("the claim token_use names another kind of token")
	}
	return nil
}

// current asks the time, again for each use of a token.
func (r rules) current(c Claims) error {
	now := r.now()
	if !now.Before(c.ExpiresAt.Add(r.leeway)) {
		return ErrExpired
	}
	if c.NotBefore.After(now.Add(startLeeway)) {
		return invalid("not yet valid")
	}
	return nil
}

// claimSet is a JSON object whose members keep their exact names.
type claimSet map[string]json.RawMessage

// read takes out what we use. A claim that is there and is not what it should be makes the token invalid: left
// out, it could mean more rights.
func (c claimSet) read() (Claims, error) {
	var out Claims
	var ok bool
	if out.Subject, ok = c.text("sub"); !ok || out.Subject == "" || len(out.Subject) > subjectLimit {
		return Claims{}, invalid("no usable sub")
	}
	for _, claim := range []struct {
		to    *string
		names []string
	}{
		{&out.Username, []string{"username", "preferred_username"}},
		{&out.Email, []string{"email"}},
		{&out.CustomerID, []string{"customerId"}},
		{&out.CustomerGroup, []string{"customerGroup"}},
		{&out.ClientID, []string{"client_id", "azp"}},
		{&out.SessionID, []string{"sid"}},
	} {
		for _, name := range claim.names {
			value, ok := c.text(name)
			if !ok {
				return Claims{}, invalid("the claim " + name + " is no usable text")
			}
			if *claim.to == "" {
				*claim.to = value
			}
		}
	}
	if out.Scopes, ok = c.scopes(); !ok {
		return Claims{}, invalid("the claim scope is neither a text nor an array of texts")
	}
	if out.ExpiresAt, ok = c.time("exp"); !ok || out.ExpiresAt.IsZero() {
		return Claims{}, invalid("no usable exp")
	}
	for _, name := range []string{"nbf", "iat"} {
		at, ok := c.time(name)
		if !ok {
			return Claims{}, invalid("the claim " + name + " is no time")
		}
		if at.After(out.NotBefore) {
			out.NotBefore = at
		}
	}
	return out, nil
}

// has reports whether there is a claim; null counts as none.
func (c claimSet) has(name string) bool {
	raw, there := c[name]
	return there && string(raw) != "null"
}

// text gives a claim that is a text; empty and ok where there is none.
func (c claimSet) text(name string) (value string, ok bool) {
	if !c.has(name) {
		return "", true
	}
	if json.Unmarshal(c[name], &value) != nil || !sane(value) {
		return "", false
	}
	return value, true
}

// texts gives a claim that is a text or an array of texts.
func (c claimSet) texts(name string) (values []string, ok bool) {
	if !c.has(name) {
		return nil, true
	}
	if c[name][0] != '[' {
		value, ok := c.text(name)
		return []string{value}, ok
	}
	return values, json.Unmarshal(c[name], &values) == nil
}

func (c claimSet) scopes() (scopes []string, ok bool) {
	if !c.has("scope") || c["scope"][0] == '[' {
		return c.texts("scope")
	}
	// Not by text: a long list of scopes is no strange thing.
	var list string
	if json.Unmarshal(c["scope"], &list) != nil {
		return nil, false
	}
	return strings.Fields(list), true
}

// time gives a claim that is a NumericDate (RFC 7519, section 2); zero and ok where there is none.
func (c claimSet) time(name string) (at time.Time, ok bool) {
	if !c.has(name) {
		return time.Time{}, true
	}
	var seconds float64
	if json.Unmarshal(c[name], &seconds) != nil || seconds < 0 || seconds > lastSecond {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*float64(time.Second))), true
}

// sane reports whether a text may stand in records. U+FFFD is what is left of bytes that were no UTF-8, in
// which two different texts could become one.
func sane(text string) bool {
	return len(text) <= textLimit && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError
	})
}
