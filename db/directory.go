package db

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
)

// accountRow is an account.
type accountRow struct {
	bun.BaseModel `bun:"table:accounts"`

	ID                 string `bun:"id,pk"`
	JointOwnersEnabled bool   `bun:"joint_owners_enabled"`
	MaxOwners          *int   `bun:"max_owners"`
}

// accountOwnerRow is an owner of an account. Granted is set if a completed invitation made the user an owner.
type accountOwnerRow struct {
	bun.BaseModel `bun:"table:account_owners"`

	AccountID string `bun:"account_id,pk"`
	UserID    string `bun:"user_id,pk"`
	Granted   bool   `bun:"granted"`
}

// organizationRow is an organization.
type organizationRow struct {
	bun.BaseModel `bun:"table:organizations"`

	ID string `bun:"id,pk"`
}

// organizationPartRow is an owner or a signer of an organization.
type organizationPartRow struct {
	bun.BaseModel `bun:"table:organization_parts"`

	OrganizationID string `bun:"organization_id,pk"`
	UserID         string `bun:"user_id,pk"`
	Role           string `bun:"role,pk"`
	Granted        bool   `bun:"granted"`
}

var (
	saveAccount = upsertOf[accountRow]()

	accountsWithOwners = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*accountRow)(nil)).ColumnExpr("?TableColumns").ColumnExpr("o.user_id").
			Join("LEFT JOIN account_owners AS o ON o.account_id = ?TableAlias.id").Where("?", b.among("account_row.id", b.arg("ids"))).
			OrderExpr("?TableAlias.id, o.user_id")
	})
	organizationWithParts = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*organizationRow)(nil)).ColumnExpr("p.user_id, p.role").
			Join("LEFT JOIN organization_parts AS p ON p.organization_id = ?TableAlias.id").
			Where("?TableAlias.id = ?", b.arg("id")).OrderExpr("p.user_id")
	})
	// partsOfUser selects the accounts and organizations of a user.
	partsOfUser = fixed(func(b *builder) schema.QueryAppender {
		account := b.NewSelect().
			Model((*accountOwnerRow)(nil)).
			ColumnExpr("'account' AS kind, account_id AS id").
			Where("user_id = ?", b.arg("user"))
		organization := b.NewSelect().Model((*organizationPartRow)(nil)).
			ColumnExpr("'organization' AS kind, organization_id AS id").Where("user_id = ?", b.arg("user"))
		return b.NewSelect().ColumnExpr("kind, id").TableExpr("(? UNION ?) AS parts", account, organization).OrderExpr("kind, id")
	})
	dropAccountOwners = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*accountOwnerRow)(nil)).Where("account_id = ? AND NOT granted", b.arg("id"))
	})
	dropOrganizationParts = fixed(func(b *builder) schema.QueryAppender {
		return b.NewDelete().Model((*organizationPartRow)(nil)).Where("organization_id = ? AND NOT granted", b.arg("id"))
	})
	importAccountOwner = fixed(func(b *builder) schema.QueryAppender {
		return newRow(b, (*accountOwnerRow)(nil)).On("CONFLICT (account_id, user_id) DO UPDATE").Set("granted = FALSE")
	})
	// lockOrganization adds an organization. The update changes nothing, but it serializes imports of the same
	// organization.
	lockOrganization = fixed(func(b *builder) schema.QueryAppender {
		return replace(newRow(b, (*organizationRow)(nil)).On("CONFLICT (id) DO UPDATE"), "id")
	})
	importOrganizationPart = fixed(func(b *builder) schema.QueryAppender {
		return newRow(b, (*organizationPartRow)(nil)).On("CONFLICT (organization_id, user_id, role) DO UPDATE").Set("granted = FALSE")
	})
	// grantAccount makes a user an owner, unless the user already is one or the account does not exist.
	grantAccount = fixed(func(b *builder) schema.QueryAppender {
		target := b.NewSelect().
			Model((*accountRow)(nil)).
			ColumnExpr("id AS account_id, CAST(? AS TEXT) AS user_id, TRUE AS granted", b.arg("user")).
			Where("id = ?", b.arg("id"))
		return grantOf(b, (*accountOwnerRow)(nil), target, "account_id", "user_id", "granted")
	})
	grantOrganization = fixed(func(b *builder) schema.QueryAppender {
		target := b.NewSelect().Model((*organizationRow)(nil)).
			ColumnExpr("id AS organization_id, CAST(? AS TEXT) AS user_id, 'signer' AS role, TRUE AS granted", b.arg("user")).
			Where("id = ?", b.arg("id"))
		return grantOf(b, (*organizationPartRow)(nil), target, "organization_id", "user_id", "role", "granted")
	})
	databaseEmpty = fixed(func(b *builder) schema.QueryAppender {
		q := b.NewSelect()
		var tables []any
		for _, model := range []any{
			(*accountRow)(nil), (*organizationRow)(nil), (*customerRow)(nil), (*invitationRow)(nil), (*sessionRow)(nil), (*contactRow)(nil),
			(*recordRow)(nil), (*entryRow)(nil),
		} {
			tables = append(tables, b.NewSelect().Model(model).ColumnExpr("1"))
		}
		return q.ColumnExpr(strings.TrimSuffix(strings.Repeat("NOT EXISTS (?) AND ", len(tables)), " AND "), tables...)
	})
)

// grantOf adds the row that target selects, if any.
func grantOf(b *builder, model any, target *bun.SelectQuery, columns ...string) schema.QueryAppender {
	return b.NewInsert().With("target", target).Model(model).
		TableExpr("target WHERE TRUE"). // without the condition SQLite would parse ON as part of a join
		Column(columns...).On("CONFLICT DO NOTHING").Returning("NULL")
}

// grant makes a user an owner or a signer. It does nothing if the user already is one.
func (w *unit) grant(g domain.Grant) error {
	grants := map[domain.TargetKind]*statement{domain.TargetAccount: grantAccount, domain.TargetOrganization: grantOrganization}
	s, ok := grants[g.Kind]
	if !ok {
		return fmt.Errorf("db: cannot grant access to a %q", g.Kind)
	}
	w.add(s, nil, with("id", g.ID), with("user", g.UserID))
	return nil
}

// Account returns an account.
func (d *DB) Account(ctx context.Context, id string) (*domain.Account, error) {
	found, err := d.Accounts(ctx, []string{id})
	if err == nil && len(found) == 0 {
		err = domain.ErrMissing
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Accounts returns accounts by id and omits missing ones.
func (d *DB) Accounts(ctx context.Context, ids []string) ([]*domain.Account, error) {
	var out []*domain.Account
	for _, part := range chunks(ids) {
		rows, err := query[struct {
			accountRow
			UserID *string `bun:"user_id"`
		}](ctx, d, accountsWithOwners, with("ids", d.dialect.list(part)))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if len(out) == 0 || out[len(out)-1].ID != r.ID {
				out = append(out, &domain.Account{ID: r.ID, JointOwnersEnabled: r.JointOwnersEnabled, MaxOwners: r.MaxOwners})
			}
			if account := out[len(out)-1]; r.UserID != nil {
				account.Owners = append(account.Owners, *r.UserID)
			}
		}
	}
	return out, nil
}

// Organization returns an organization.
func (d *DB) Organization(ctx context.Context, id string) (*domain.Organization, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	parts, err := query[struct {
		UserID *string `bun:"user_id"`
		Role   *string `bun:"role"`
	}](ctx, d, organizationWithParts, with("id", id))
	if err == nil && len(parts) == 0 {
		err = domain.ErrMissing
	}
	if err != nil {
		return nil, err
	}
	organization := &domain.Organization{ID: id}
	for _, p := range parts {
		switch orEmpty(p.Role) {
		case "owner":
			organization.Owners = append(organization.Owners, *p.UserID)
		case "signer":
			organization.Signers = append(organization.Signers, *p.UserID)
		}
	}
	return organization, nil
}

// PartOf returns the accounts that the user owns, and the organizations that the user owns or signs for.
func (d *DB) PartOf(ctx context.Context, userID string) (accounts, organizations []string, err error) {
	if !storable(userID) {
		return nil, nil, nil
	}
	rows, err := query[struct {
		Kind string `bun:"kind"`
		ID   string `bun:"id"`
	}](ctx, d, partsOfUser, with("user", userID))
	for _, r := range rows {
		if r.Kind == "account" {
			accounts = append(accounts, r.ID)
		} else {
			organizations = append(organizations, r.ID)
		}
	}
	return accounts, organizations, err
}

// Empty reports whether the database contains no directory, no invitations and no sessions.
func (d *DB) Empty(ctx context.Context) (bool, error) {
	empty, _, err := queryOne[bool](ctx, d, databaseEmpty)
	return empty, err
}
