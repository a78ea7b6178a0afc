package db

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
)

// templateRow is a JWT template.
type templateRow struct {
	bun.BaseModel `bun:"table:jwt_templates"`

	Name             string `bun:"name,pk"`
	Claims           string `bun:"claims"`
	Lifetime         int    `bun:"lifetime"`
	AllowedClockSkew int    `bun:"allowed_clock_skew"`
	CreatedAt        int64  `bun:"created_at"`
	UpdatedAt        int64  `bun:"updated_at"`
}

// record reads the claims. Numbers stay as they were written.
func (row *templateRow) record() (*domain.JwtTemplate, error) {
	t := &domain.JwtTemplate{
		Name: row.Name, Lifetime: row.Lifetime, AllowedClockSkew: row.AllowedClockSkew,
		CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt),
	}
	in := json.NewDecoder(strings.NewReader(row.Claims))
	in.UseNumber()
	return t, in.Decode(&t.Claims)
}

func (d *DB) templates(ctx context.Context, where string, args ...any) ([]*domain.JwtTemplate, error) {
	var rows []templateRow
	if err := d.query(ctx, &rows, "SELECT "+tableOf[templateRow](d).columns+" FROM jwt_templates"+where, args...); err != nil {
		return nil, err
	}
	return templateRecords(rows)
}

func templateRecords(rows []templateRow) ([]*domain.JwtTemplate, error) {
	out := make([]*domain.JwtTemplate, 0, len(rows))
	for i := range rows {
		t, err := rows[i].record()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// JwtTemplate finds a template.
func (d *DB) JwtTemplate(ctx context.Context, name string) (*domain.JwtTemplate, error) {
	if !storable(name) {
		return nil, domain.ErrMissing
	}
	found, err := d.templates(ctx, " WHERE name = ?", name)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, domain.ErrMissing
	}
	return found[0], nil
}

// JwtTemplates lists the templates by name.
func (d *DB) JwtTemplates(ctx context.Context) ([]*domain.JwtTemplate, error) {
	return d.templates(ctx, " ORDER BY name")
}

// saveTemplateText adds a template, or replaces what the one of its name holds.
const saveTemplateText = `INSERT INTO jwt_templates AS t (name, claims, lifetime, allowed_clock_skew, created_at, updated_at)
  VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET claims = excluded.claims, lifetime = excluded.lifetime,
    allowed_clock_skew = excluded.allowed_clock_skew, updated_at = excluded.updated_at`

func saveTemplateArgs(t *domain.JwtTemplate) ([]any, error) {
	claims, err := json.Marshal(t.Claims)
	return []any{t.Name, string(claims), t.Lifetime, t.AllowedClockSkew, micros(t.CreatedAt), micros(t.UpdatedAt)}, err
}

// SaveJwtTemplate adds or replaces a template.
func (d *DB) SaveJwtTemplate(ctx context.Context, t *domain.JwtTemplate) (*domain.JwtTemplate, error) {
	args, err := saveTemplateArgs(t)
	if err != nil {
		return nil, err
	}
	var rows []templateRow
	if err := d.writeOne(ctx, &rows, saveTemplateText+" RETURNING "+tableOf[templateRow](d).columns, args...); err != nil {
		return nil, err
	}
	saved, err := templateRecords(rows)
	if err != nil {
		return nil, err
	}
	return saved[0], nil
}

// DeleteJwtTemplate removes a template.
func (d *DB) DeleteJwtTemplate(ctx context.Context, name string) error {
	if !storable(name) {
		return domain.ErrMissing
	}
	return d.run(ctx, []step{{text: "DELETE FROM jwt_templates WHERE name = ?", args: []any{name}, miss: domain.ErrMissing}})
}
