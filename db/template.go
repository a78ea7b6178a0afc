package db

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

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

// record reads the claims. Numbers keep their original notation.
func (row *templateRow) record() (*domain.JwtTemplate, error) {
	t := &domain.JwtTemplate{
		Name: row.Name, Lifetime: row.Lifetime, AllowedClockSkew: row.AllowedClockSkew,
		CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt),
	}
	in := json.NewDecoder(strings.NewReader(row.Claims))
	in.UseNumber()
	return t, in.Decode(&t.Claims)
}

var (
	templateByName = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*templateRow)(nil)).Where("name = ?", b.arg("name"))
	})
	allTemplates = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*templateRow)(nil)).OrderExpr("name")
	})
	saveTemplate = returning(func(b *builder) schema.QueryAppender { return templateUpsert(b, "*") })
	// importTemplate changes nothing if the stored template is identical.
	importTemplate = fixed(func(b *builder) schema.QueryAppender {
		return templateUpsert(b).Where("(?TableAlias.claims, ?TableAlias.lifetime, ?TableAlias.allowed_clock_skew) <> " +
			"(excluded.claims, excluded.lifetime, excluded.allowed_clock_skew)")
	})
	deleteTemplate = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*templateRow)(nil)).Where("name = ?", b.arg("name"))
	})
)

// templateUpsert adds a template, or replaces the content of the one with its name.
func templateUpsert(b *builder, returned ...string) *bun.InsertQuery {
	return replace(
		newRow(b, (*templateRow)(nil), returned...).On("CONFLICT (name) DO UPDATE"), "claims", "lifetime", "allowed_clock_skew", "updated_at",
	)
}

func templateRowOf(t *domain.JwtTemplate) (*templateRow, error) {
	claims, err := json.Marshal(t.Claims)
	return &templateRow{
		Name: t.Name, Claims: string(claims), Lifetime: t.Lifetime, AllowedClockSkew: t.AllowedClockSkew,
		CreatedAt: micros(t.CreatedAt), UpdatedAt: micros(t.UpdatedAt),
	}, err
}

// JwtTemplate returns a template.
func (d *DB) JwtTemplate(ctx context.Context, name string) (*domain.JwtTemplate, error) {
	if !storable(name) {
		return nil, domain.ErrMissing
	}
	row, found, err := queryOne[templateRow](ctx, d, templateByName, with("name", name))
	if err == nil && !found {
		err = domain.ErrMissing
	}
	if err != nil {
		return nil, err
	}
	return row.record()
}

// JwtTemplates returns the templates by name.
func (d *DB) JwtTemplates(ctx context.Context) ([]*domain.JwtTemplate, error) {
	rows, err := query[templateRow](ctx, d, allTemplates)
	if err != nil {
		return nil, err
	}
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

// SaveJwtTemplate adds or replaces a template.
func (d *DB) SaveJwtTemplate(ctx context.Context, t *domain.JwtTemplate) (*domain.JwtTemplate, error) {
	row, err := templateRowOf(t)
	if err != nil {
		return nil, err
	}
	result, err := d.writeRow(ctx, saveTemplate, row, nil)
	if err != nil {
		return nil, err
	}
	rows, err := rowsOf[templateRow](d, result)
	if err != nil {
		return nil, err
	}
	return rows[0].record()
}

// DeleteJwtTemplate deletes a template.
func (d *DB) DeleteJwtTemplate(ctx context.Context, name string) error {
	if !storable(name) {
		return domain.ErrMissing
	}
	return d.write(ctx, deleteTemplate, domain.ErrMissing, with("name", name))
}
