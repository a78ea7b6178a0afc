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

// Claims holds the claims of a verified access token.
type Claims struct {
	// Subject is sub: not empty, at most 255 bytes.
	Subject string
	// Username is username or, if that is empty, preferred_username.
	Username string
	// Email is email.
	Email string
	// CustomerID and CustomerGroup are customerId and customerGroup.
	CustomerID, CustomerGroup string
	// ClientID is client_id or, if that is empty, azp.
	ClientID string
	// SessionID is sid.
	SessionID string
	// Scopes is scope, which may be a space-separated string or an array.
	Scopes []string
	// ExpiresAt is exp.
	ExpiresAt time.Time
	// NotBefore is the later of nbf and iat; zero if neither is present.
	NotBefore time.Time
}

const (
	// subjectLimit is the limit in OpenID Connect Core 1.0, section 2.
	subjectLimit = 255
	// textLimit limits the other strings, which are copied to records and logs.
	textLimit = 1024
	// lastSecond is the end of the year 9999, the last year that RFC 3339 can represent.
	lastSecond = 253402300799
)

// rules defines which tokens of an issuer are accepted, apart from their signature.
type rules struct {
	// issuer is the required value of iss.
	issuer string
	// audience is the required value in aud; if empty, any audience is accepted.
	audience string
	// types lists the accepted values of the header typ in lower case; "" accepts a token without typ.
	types []string
	// leeway is the permitted clock difference when checking exp.
	leeway time.Duration
	now    func() time.Time
}

// startLeeway is how far ahead the issuer's clock may be when nbf and iat are checked.
const startLeeway = 30 * time.Second

// idTokenClaims occur in ID tokens (OpenID Connect Core 1.0, sections 2 and 3.3.2.11; FAPI s_hash) and in security
// event and logout tokens (RFC 8417), but not in access tokens.
var idTokenClaims = []string{"nonce", "at_hash", "c_hash", "s_hash", "events"}

// read returns the claims of an access token that is intended for this service. It checks neither the time nor the
// signature.
func (r rules) read(t token) (Claims, error) {
	if !slices.Contains(r.types, strings.ToLower(t.typ)) {
		return Claims{}, invalid("typ names another kind of token")
	}
	if iss, ok := t.claims.text("iss"); !ok || iss != r.issuer {
		return Claims{}, invalid("another issuer")
	}
	if err := checkPurpose(t.claims); err != nil {
		return Claims{}, err
	}
	if r.audience != "" {
		if aud, ok := t.claims.texts("aud"); !ok || !slices.Contains(aud, r.audience) {
			return Claims{}, invalid("another audience")
		}
	}
	return t.claims.read()
}

// checkPurpose rejects tokens of other kinds that an issuer signs with the same keys.
func checkPurpose(c claimSet) error {
	for _, name := range idTokenClaims {
		if _, present := c[name]; present {
			return invalid("a claim of an ID token or an event")
		}
	}
	// Keycloak states the kind of a token in the claim typ: Bearer, or ID, Refresh, Offline, Logout and others.
	if typ, ok := c.text("typ"); !ok || typ != "" && !strings.EqualFold(typ, "Bearer") {
		return invalid("the claim typ names another kind of token")
	}
	// Cognito states the kind in token_use: access or id.
	if use, ok := c.text("token_use"); !ok || use != "" && use != "access" {
		return invalid("the claim token_use names another kind of token")
	}
	return nil
}

// checkTime is called for each use of a token, also of a cached one.
func (r rules) checkTime(c Claims) error {
	now := r.now()
	if !now.Before(c.ExpiresAt.Add(r.leeway)) {
		return ErrExpired
	}
	if c.NotBefore.After(now.Add(startLeeway)) {
		return invalid("not yet valid")
	}
	return nil
}

// claimSet is a JSON object with case-sensitive member names.
type claimSet map[string]json.RawMessage

// read returns the claims in use. A claim with an unexpected type makes the token invalid, because ignoring it could
// grant more rights.
func (c claimSet) read() (Claims, error) {
	var out Claims
	var ok bool
	if out.Subject, ok = c.text("sub"); !ok || out.Subject == "" || len(out.Subject) > subjectLimit {
		return Claims{}, invalid("missing or invalid sub")
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
				return Claims{}, invalid("the claim " + name + " is not a valid string")
			}
			if *claim.to == "" {
				*claim.to = value
			}
		}
	}
	if out.Scopes, ok = c.scopes(); !ok {
		return Claims{}, invalid("the claim scope is neither a string nor an array of strings")
	}
	if out.ExpiresAt, ok = c.time("exp"); !ok || out.ExpiresAt.IsZero() {
		return Claims{}, invalid("missing or invalid exp")
	}
	for _, name := range []string{"nbf", "iat"} {
		at, ok := c.time(name)
		if !ok {
			return Claims{}, invalid("the claim " + name + " is not a valid time")
		}
		if at.After(out.NotBefore) {
			out.NotBefore = at
		}
	}
	return out, nil
}

// has reports whether a claim is present and not null.
func (c claimSet) has(name string) bool {
	raw, present := c[name]
	return present && string(raw) != "null"
}

// text returns a string claim; "" and true if it is absent.
func (c claimSet) text(name string) (value string, ok bool) {
	if !c.has(name) {
		return "", true
	}
	if json.Unmarshal(c[name], &value) != nil || !validText(value) {
		return "", false
	}
	return value, true
}

// texts returns a claim that is a string or an array of strings.
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
	// The limit of text does not apply: long lists of scopes are common.
	var list string
	if json.Unmarshal(c["scope"], &list) != nil {
		return nil, false
	}
	return strings.Fields(list), true
}

// time returns a NumericDate claim (RFC 7519, section 2); zero and true if it is absent.
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

// validText reports whether a string may be stored in a record. U+FFFD replaces invalid UTF-8, so two different byte
// strings could become the same text.
func validText(text string) bool {
	return len(text) <= textLimit && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError
	})
}
