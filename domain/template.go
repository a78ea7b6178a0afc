package domain

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// JwtTemplate defines the claims of a token for a third-party service.
type JwtTemplate struct {
	// Name is the unique name that token requests use.
	Name string
	// Claims is a JSON object; its strings may contain shortcodes {{path || fallback}}.
	Claims map[string]any
	// Lifetime and AllowedClockSkew are in seconds.
	Lifetime, AllowedClockSkew int
	CreatedAt, UpdatedAt       time.Time
}

// reservedClaims are set by the server or belong to session tokens (client session API, JWT templates).
var reservedClaims = list("azp", "exp", "iat", "iss", "jti", "nbf", "sub", "sid", "v", "pla", "fea", "sts", "fva", "o")

// SaveJwtTemplateInput has a template to create, or to replace by its name.
type SaveJwtTemplateInput struct {
	Name             string         `json:"name" validate:"required,max=128,templateName"`
	Claims           map[string]any `json:"claims" validate:"required"`
	Lifetime         *int           `json:"lifetime" validate:"omitempty,min=30,max=315360000"`
	AllowedClockSkew *int           `json:"allowedClockSkew" validate:"omitempty,min=0,max=300"`
}

// The defaults of a template (client session API, JWT templates).
const (
	defaultTemplateLifetime = 60
	defaultTemplateSkew     = 5
)

// maxClaimsDepth and maxClaimsSize limit a template to the size of a token: 4 KB.
const (
	maxClaimsDepth = 16
	maxClaimsSize  = 4096
)

// SaveJwtTemplate creates or replaces a template.
// Refuses with AccessDenied, InvalidInput and ReservedClaim.
func (s *Service) SaveJwtTemplate(ctx context.Context, in SaveJwtTemplateInput) (*JwtTemplate, error) {
	if err := s.Permit(ctx, "saveJwtTemplate"); err != nil {
		return nil, err
	}
	if err := problem.Note(ctx, validated(in)); err != nil {
		return nil, err
	}
	t, err := NewJwtTemplate(in, s.now())
	if err != nil {
		return nil, err
	}
	return s.Store.SaveJwtTemplate(ctx, t)
}

// NewJwtTemplate validates the input and returns the template.
// Refuses with InvalidInput and ReservedClaim.
func NewJwtTemplate(in SaveJwtTemplateInput, now time.Time) (*JwtTemplate, error) {
	if err := validated(in); err != nil {
		return nil, err
	}
	for _, claim := range reservedClaims {
		if _, ok := in.Claims[claim]; ok {
			return nil, problem.New(problem.ReservedClaim).
				Because("A template must not define the claim %s.", claim).
				At("claims", claim).
				With("claim", claim)
		}
	}
	size := 0
	if !measure(in.Claims, 0, &size) || size > maxClaimsSize {
		return nil, problem.New(problem.InvalidInput).
			Because("claims must be at most %d bytes and %d levels deep.", maxClaimsSize, maxClaimsDepth).
			At("claims")
	}
	t := &JwtTemplate{
		Name:             in.Name,
		Claims:           in.Claims,
		Lifetime:         defaultTemplateLifetime,
		AllowedClockSkew: defaultTemplateSkew,
		CreatedAt:        now,
		UpdatedAt:        now,
	}
	if in.Lifetime != nil {
		t.Lifetime = *in.Lifetime
	}
	if in.AllowedClockSkew != nil {
		t.AllowedClockSkew = *in.AllowedClockSkew
	}
	return t, nil
}

func measure(v any, depth int, size *int) bool {
	if depth > maxClaimsDepth {
		return false
	}
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			*size += len(k) + 4
			if !measure(x, depth+1, size) {
				return false
			}
		}
	case []any:
		for _, x := range v {
			*size++
			if !measure(x, depth+1, size) {
				return false
			}
		}
	case string:
		*size += len(v) + 2
	case interface{ String() string }: // a number in its original notation
		*size += len(v.String())
	default:
		*size += 8
	}
	return true
}

// DeleteJwtTemplateInput names a template.
type DeleteJwtTemplateInput struct {
	Name string `json:"name" validate:"required,max=128"`
}

// DeleteJwtTemplate removes a template.
// Refuses with AccessDenied, InvalidInput and NoSuchTemplate.
func (s *Service) DeleteJwtTemplate(ctx context.Context, in DeleteJwtTemplateInput) error {
	if err := s.Permit(ctx, "deleteJwtTemplate"); err != nil {
		return err
	}
	if err := problem.Note(ctx, validated(in)); err != nil {
		return err
	}
	if !templateName(in.Name) {
		return problem.New(problem.NoSuchTemplate)
	}
	return missingAs(s.Store.DeleteJwtTemplate(ctx, in.Name), problem.NoSuchTemplate)
}

// JwtTemplates lists the templates by name.
// Refuses with AccessDenied.
func (s *Service) JwtTemplates(ctx context.Context) ([]*JwtTemplate, error) {
	if err := s.Permit(ctx, "jwtTemplates"); err != nil {
		return nil, err
	}
	return s.Store.JwtTemplates(ctx)
}

// PreviewJwtTemplateInput has an unsaved template and the session to fill it with.
type PreviewJwtTemplateInput struct {
	Claims    map[string]any `json:"claims" validate:"required"`
	SessionID string         `json:"sessionId" validate:"required,max=128"`
}

// PreviewJwtTemplate returns the claims that a token would have. It issues no token and is not activity.
// Refuses with AccessDenied, InvalidInput, ReservedClaim and NoSuchSession.
func (s *Service) PreviewJwtTemplate(ctx context.Context, in PreviewJwtTemplateInput) (map[string]any, error) {
	if err := s.Permit(ctx, "previewJwtTemplate"); err != nil {
		return nil, err
	}
	if err := problem.Note(ctx, validated(in)); err != nil {
		return nil, err
	}
	t, err := NewJwtTemplate(SaveJwtTemplateInput{Name: "preview", Claims: in.Claims}, s.now())
	if err != nil {
		return nil, err
	}
	id, err := s.sessionID(ctx, in.SessionID)
	if err != nil {
		return nil, err
	}
	r, err := show(ctx, s, sessions, id)
	if err != nil {
		return nil, err
	}
	return s.templateClaims(ctx, t, r, "")
}

// templateClaims fills a template and adds the default claims, which a template cannot override.
func (s *Service) templateClaims(ctx context.Context, t *JwtTemplate, r *Session, origin string) (map[string]any, error) {
	source, err := s.templateSource(ctx, r)
	if err != nil {
		return nil, err
	}
	claims, _ := fill(t.Claims, source).(map[string]any)
	now := s.now()
	claims["iss"], claims["sub"], claims["jti"] = s.Settings.PublicURL, r.UserID, newJTI()
	claims["iat"], claims["exp"] = now.Unix(), now.Add(time.Duration(t.Lifetime)*time.Second).Unix()
	claims["nbf"] = now.Add(-time.Duration(t.AllowedClockSkew) * time.Second).Unix()
	if origin != "" && origin != "null" {
		claims["azp"] = origin
	}
	return claims, nil
}

// templateSource returns the data for shortcodes: the customer, the session, and the organization that it acts for.
func (s *Service) templateSource(ctx context.Context, r *Session) (map[string]any, error) {
	user := map[string]any{
		"id": r.UserID, "external_id": nil, "first_name": nil, "last_name": nil, "full_name": nil, "image_url": "",
		"has_image": false, "two_factor_enabled": false, "username": nil, "primary_email_address": nil, "primary_phone_number": nil,
		"email_verified": false, "phone_number_verified": false, "public_metadata": map[string]any{}, "unsafe_metadata": map[string]any{},
		"organizations": map[string]any{}, "created_at": nil, "updated_at": nil, "last_sign_in_at": r.CreatedAt.Unix(),
	}
	c, err := s.Directory.Customer(ctx, r.UserID)
	switch {
	case err == nil:
		user["username"], user["primary_email_address"], user["primary_phone_number"] = orNull(c.Username), orNull(c.Email), orNull(c.Phone)
		user["email_verified"], user["phone_number_verified"] = c.EmailVerified, c.PhoneVerified
		user["created_at"], user["updated_at"] = c.CreatedAt.Unix(), c.UpdatedAt.Unix()
	case !errors.Is(err, ErrMissing):
		return nil, err
	}
	_, organizations, err := s.Directory.PartOf(ctx, r.UserID)
	if err != nil {
		return nil, err
	}
	all := map[string]any{}
	for _, id := range organizations {
		role, err := s.organizationRole(ctx, r.UserID, id)
		if err != nil {
			return nil, err
		}
		all[id] = role
	}
	user["organizations"] = all
	source := map[string]any{"user": user, "session": map[string]any{"id": r.ID, "actor": nil}, "org": nil, "org_membership": nil}
	if r.OrganizationID != nil {
		if role, ok := all[*r.OrganizationID]; ok {
			source["org"] = map[string]any{
				"id":              *r.OrganizationID,
				"slug":            *r.OrganizationID,
				"name":            *r.OrganizationID,
				"role":            role,
				"image_url":       "",
				"public_metadata": map[string]any{},
			}
			source["org_membership"] = map[string]any{"permissions": []any{}, "public_metadata": map[string]any{}}
		}
	}
	return source, nil
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// fill returns a copy of a tree with the shortcodes replaced in every string.
func fill(v any, source map[string]any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v)+8)
		for k, x := range v {
			out[k] = fill(x, source)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = fill(x, source)
		}
		return out
	case string:
		return fillText(v, source)
	}
	return v
}

// fillText replaces the shortcodes in a string. A string that is a single shortcode becomes the value itself, with its
// type; inside longer strings values are converted to text.
func fillText(text string, source map[string]any) any {
	var out strings.Builder
	for rest := text; ; {
		before, after, ok := strings.Cut(rest, "{{")
		code, tail, closed := strings.Cut(after, "}}")
		if !ok || !closed {
			out.WriteString(rest)
			return out.String()
		}
		value := evaluate(code, source)
		if rest == text && before == "" && tail == "" {
			return value
		}
		out.WriteString(before)
		out.WriteString(textOf(value))
		rest = tail
	}
}

func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// evaluate returns the first operand that is neither null nor false, otherwise the last.
func evaluate(code string, source map[string]any) any {
	var value any
	for _, operand := range operands(code) {
		if value = operandValue(strings.TrimSpace(operand), source); value != nil && value != false {
			break
		}
	}
	return value
}

// operands splits a shortcode at ||, except inside quoted strings.
func operands(code string) []string {
	var out []string
	quoted, from := false, 0
	for i := 0; i < len(code); i++ {
		switch {
		case code[i] == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(code[i:], "||"):
			out = append(out, code[from:i])
			i++
			from = i + 1
		}
	}
	return append(out, code[from:])
}

func operandValue(word string, source map[string]any) any {
	switch {
	case len(word) >= 2 && word[0] == '\'' && word[len(word)-1] == '\'':
		return word[1 : len(word)-1]
	case word == "true":
		return true
	case word == "false":
		return false
	}
	if n, err := strconv.ParseFloat(word, 64); err == nil && strings.Trim(word, "+-.0123456789eE") == "" {
		return n
	}
	var at any = source
	for _, name := range strings.Split(word, ".") {
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[name]
	}
	return at
}
