package resolvers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

func TestJwtTemplates(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "client_a")
	save := selecting("saveJwtTemplate", "jwtTemplate { name claims lifetime allowedClockSkew createdAt updatedAt }")
	body := map[string]any{"user": "{{user.id}}", "limit": 5000, "rate": 0.5, "deep": map[string]any{"list": []any{1, "{{org.role || 'none'}}"}}}
	r := d.ask(administrator(), save, input(map[string]any{"name": "ledger", "claims": body, "lifetime": 120})).done()
	r.says(map[string]any{
		"name": "ledger", "claims": body, "lifetime": 120, "allowedClockSkew": 5, "createdAt": "2026-03-01T09:00:00Z", "updatedAt": "2026-03-01T09:00:00Z",
	}, "saveJwtTemplate", "jwtTemplate").says(false, "saveJwtTemplate", "replayed")

	d.Clock.Pass(time.Minute)
	r = d.ask(administrator(), `mutation { saveJwtTemplate(input: {name: "ledger", claims: {user: "{{user.id}}", limit: 7}}) { jwtTemplate { createdAt updatedAt lifetime } problems { code } } }`, nil).done()
	r.says(map[string]any{"createdAt": "2026-03-01T09:00:00Z", "updatedAt": "2026-03-01T09:01:00Z", "lifetime": 60}, "saveJwtTemplate", "jwtTemplate")
	d.ask(as("root", domain.ScopeAdminRead), `{ jwtTemplates { name claims } }`, nil).done().
		says([]any{map[string]any{"name": "ledger", "claims": map[string]any{"user": "{{user.id}}", "limit": 7}}}, "jwtTemplates")

	jwt := d.ask(customer("alice"), selecting("createSessionToken", "jwt"), sessionInput(s.ID, "template", "ledger")).done().at("createSessionToken", "jwt")
	if got := claims(t, "template", jwt); got["user"] != "alice" || got["limit"] != 7.0 || got["sid"] != nil {
		t.Errorf("claims %v", got)
	}

	preview := selecting("previewJwtTemplate", "claims")
	r = d.ask(administrator(), preview, sessionInput(s.ID, "claims", body)).done()
	for path, want := range map[string]any{"user": "alice", "limit": 5000, "sub": "alice", "deep": map[string]any{"list": []any{1, "none"}}} {
		r.says(want, "previewJwtTemplate", "claims", path)
	}
	d.ask(administrator(), preview, sessionInput(unknownSession, "claims", body)).problem("previewJwtTemplate", "NotFoundProblem", "NOT_FOUND").
		says(nil, "previewJwtTemplate", "claims")

	remove := selecting("deleteJwtTemplate", "deletedJwtTemplateName")
	d.ask(administrator(), remove, input(map[string]any{"name": "ledger"})).done().says("ledger", "deleteJwtTemplate", "deletedJwtTemplateName")
	d.ask(administrator(), remove, input(map[string]any{"name": "ledger"})).problem("deleteJwtTemplate", "NotFoundProblem", "NOT_FOUND").
		says(nil, "deleteJwtTemplate", "deletedJwtTemplateName")
	d.ask(administrator(), `{ jwtTemplates { name } }`, nil).done().says([]any{}, "jwtTemplates")
}

func TestJwtTemplatesRefuse(t *testing.T) {
	t.Parallel()
	d := open(t)
	s := d.Login(t, "alice", "")
	save, preview := selecting("saveJwtTemplate", "jwtTemplate { name }"), selecting("previewJwtTemplate", "claims")
	fine := map[string]any{"a": 1}
	for member, in := range map[string]map[string]any{
		"name": {"name": "a/b", "claims": fine}, "lifetime": {"name": "a", "claims": fine, "lifetime": 29},
		"allowedClockSkew": {"name": "a", "claims": fine, "allowedClockSkew": 301},
		"claims":           {"name": "a", "claims": map[string]any{"a": strings.Repeat("x", 5000)}},
	} {
		d.ask(administrator(), save, input(in)).problem("saveJwtTemplate", "FieldProblem", "INVALID_INPUT").
			says([]any{member}, "saveJwtTemplate", "problems", 0, "path").says(nil, "saveJwtTemplate", "jwtTemplate")
	}
	d.ask(administrator(), save, input(map[string]any{"name": "a", "claims": map[string]any{"sub": "mallory"}})).
		problem("saveJwtTemplate", "FieldProblem", "JWT_TEMPLATE_RESERVED_CLAIM").says([]any{"claims", "sub"}, "saveJwtTemplate", "problems", 0, "path")
	d.ask(administrator(), preview, sessionInput(s.ID, "claims", map[string]any{"sid": "x"})).
		problem("previewJwtTemplate", "FieldProblem", "JWT_TEMPLATE_RESERVED_CLAIM")
	for _, wrong := range []any{"text", 5, []any{}, nil} {
		d.ask(administrator(), save, input(map[string]any{"name": "a", "claims": wrong})).refused("BAD_DOCUMENT")
	}
	d.send(administrator(), post(`{"query":"mutation($c: JSON!) { saveJwtTemplate(input: {name: \"a\", claims: $c}) { replayed } }","variables":{"c":{"a":[1e999]}}}`)).
		refused("BAD_DOCUMENT")
	for name, in := range map[string]map[string]any{
		"saveJwtTemplate": {"name": "a", "claims": fine}, "deleteJwtTemplate": {"name": "a"}, "previewJwtTemplate": {"sessionId": s.ID, "claims": fine},
	} {
		for _, who := range []domain.Actor{customer("alice"), as("root", domain.ScopeAdminRead)} {
			d.ask(who, selecting(name, ""), input(in)).refused("FORBIDDEN")
		}
	}
	d.ask(as("alice"), `{ jwtTemplates { name } }`, nil).refused("FORBIDDEN")
}
