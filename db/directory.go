package db

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
)

// Account finds an account.
func (d *DB) Account(ctx context.Context, id string) (*domain.Account, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	var rows []struct {
		JointOwnersEnabled bool    `bun:"joint_owners_enabled"`
		MaxOwners          *int    `bun:"max_owners"`
		UserID             *string `bun:"user_id"`
	}
	err := d.query(ctx, &rows, "SELECT a.joint_owners_enabled, a.max_owners, o.user_id FROM accounts AS a "+
		"LEFT JOIN account_owners AS o ON o.account_id = a.id WHERE a.id = ? ORDER BY o.user_id", id)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, domain.ErrMissing
	}
	account := &domain.Account{ID: id, JointOwnersEnabled: rows[0].JointOwnersEnabled, MaxOwners: rows[0].MaxOwners}
	for _, r := range rows {
		if r.UserID != nil {
			account.Owners = append(account.Owners, *r.UserID)
		}
	}
	return account, nil
}

// Organization finds an organisation.
func (d *DB) Organization(ctx context.Context, id string) (*domain.Organization, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	var rows []struct {
		UserID *string `bun:"user_id"`
		Role   *string `bun:"role"`
	}
	err := d.query(ctx, &rows, "SELECT p.user_id, p.role FROM organizations AS o "+
		"LEFT JOIN organization_parts AS p ON p.organization_id = o.id WHERE o.id = ? ORDER BY p.user_id", id)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, domain.ErrMissing
	}
	organization := &domain.Organization{ID: id}
	for _, r := range rows {
		switch orEmpty(r.Role) {
		case "owner":
			organization.Owners = append(organization.Owners, *r.UserID)
		case "signer":
			organization.Signers = append(organization.Signers, *r.UserID)
		}
	}
	return organization, nil
}

// PartOf lists what the user owns or signs for.
func (d *DB) PartOf(ctx context.Context, userID string) (accounts, organizations []string, err error) {
	if !storable(userID) {
		return nil, nil, nil
	}
	var rows []struct {
		Kind string `bun:"kind"`
		ID   string `bun:"id"`
	}
	err = d.query(ctx, &rows, "SELECT 'account' AS kind, account_id AS id FROM account_owners WHERE user_id = ? "+
		"UNION SELECT 'organization', organization_id FROM organization_parts WHERE user_id = ? ORDER BY 1, 2", userID, userID)
	for _, r := range rows {
		if r.Kind == "account" {
			accounts = append(accounts, r.ID)
		} else {
			organizations = append(organizations, r.ID)
		}
	}
	return accounts, organizations, err
}

// ImportBatch writes what was imported in one transaction: accounts, organisations (with all parts in them),
// customers and JWT templates in the place of what is there already; sessions that are there already stay as they are.
// A part that a completed invitation gave stays too, until an import names it: from then on the bank knows it, and
// a later import that does not name it takes it away.
func (d *DB) ImportBatch(ctx context.Context, records []any) error {
	keys, err := d.keys(ctx)
	if err != nil {
		return err
	}
	var steps []step
	var sightings []domain.Sighting
	listed := false
	for _, record := range records {
		switch r := record.(type) {
		case *domain.Customer:
			row, err := customerRowOf(keys, r)
			if err != nil {
				return err
			}
			steps = append(steps, tableOf[customerRow](d).upserting(row))
		case *domain.JwtTemplate:
			args, err := saveTemplateArgs(r)
			if err != nil {
				return err
			}
			steps = append(steps, step{text: saveTemplateText + " WHERE (t.claims, t.lifetime, t.allowed_clock_skew) <> " +
				"(excluded.claims, excluded.lifetime, excluded.allowed_clock_skew)", args: args})
		case *domain.ImportedSession:
			row, err := sessionRowOf(keys, r.Session)
			if err != nil {
				return err
			}
			first, err := d.firstEvent(r.Event)
			if err != nil {
				return err
			}
			if id := r.Session.ClientID; id != nil {
				sightings = append(sightings, domain.Sighting{ClientID: *id, At: r.Session.CreatedAt})
			}
			steps = append(steps, tableOf[sessionRow](d).inserting(row, nil), first)
		case *domain.Account:
			var limit any
			if r.MaxOwners != nil {
				limit = *r.MaxOwners
			}
			steps = append(steps, step{
				text: "INSERT INTO accounts (id, joint_owners_enabled, max_owners) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE " +
					"SET joint_owners_enabled = excluded.joint_owners_enabled, max_owners = excluded.max_owners",
				args: []any{r.ID, r.JointOwnersEnabled, limit},
			}, step{text: "DELETE FROM account_owners WHERE account_id = ? AND NOT granted", args: []any{r.ID}})
			for _, user := range r.Owners {
				steps = append(steps, step{
					text: "INSERT INTO account_owners (account_id, user_id) VALUES (?, ?) ON CONFLICT (account_id, user_id) DO UPDATE SET granted = FALSE", args: []any{r.ID, user},
				})
			}
		case *domain.Organization:
			steps = append(steps, step{
				// The update changes nothing, but it makes two imports of one organisation wait for one another.
				text: "INSERT INTO organizations (id) VALUES (?) ON CONFLICT (id) DO UPDATE SET id = excluded.id", args: []any{r.ID},
			}, step{text: "DELETE FROM organization_parts WHERE organization_id = ? AND NOT granted", args: []any{r.ID}})
			for _, part := range []struct {
				role  string
				users []string
			}{{"owner", r.Owners}, {"signer", r.Signers}} {
				for _, user := range part.users {
					steps = append(steps, step{
						text: "INSERT INTO organization_parts (organization_id, user_id, role) VALUES (?, ?, ?) ON CONFLICT (organization_id, user_id, role) DO UPDATE SET granted = FALSE",
						args: []any{r.ID, user, part.role},
					})
				}
			}
		default:
			some, ok, err := importIdentity(keys, record)
			switch _, entry := record.(*domain.ListEntry); {
			case !ok:
				if some, err = d.importCode(keys, record); err != nil {
					return err
				}
			case err != nil:
				return err
			case entry && !listed:
				listed = true
				// First, or two imports could wait for one another.
				steps = append([]step{{text: importSeqText}}, steps...)
			}
			steps = append(steps, some...)
		}
	}
	return d.run(ctx, append(seen(sightings), steps...))
}

// Empty reports whether nobody has put anything in: no directory, no invitations and no sessions.
func (d *DB) Empty(ctx context.Context) (bool, error) {
	var empty bool
	err := d.query(ctx, &empty, "SELECT NOT EXISTS (SELECT 1 FROM accounts) AND NOT EXISTS (SELECT 1 FROM organizations) "+
		"AND NOT EXISTS (SELECT 1 FROM customers) AND NOT EXISTS (SELECT 1 FROM invitations) AND NOT EXISTS (SELECT 1 FROM sessions) "+
		"AND NOT EXISTS (SELECT 1 FROM contacts) AND NOT EXISTS (SELECT 1 FROM identity_records) AND NOT EXISTS (SELECT 1 FROM list_entries)")
	return empty, err
}
