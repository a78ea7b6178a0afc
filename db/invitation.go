package db

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/seal"
)

// invitationRow is the stored form of an invitation. Personal data is sealed; the e-mail address has a blind index.
type invitationRow struct {
	bun.BaseModel `bun:"table:invitations"`

	ID                string  `bun:"id,pk"`
	Version           int     `bun:"version"`
	CreatedAt         int64   `bun:"created_at"`
	UpdatedAt         int64   `bun:"updated_at"`
	State             string  `bun:"state"`
	Type              string  `bun:"type"`
	EmailAddress      []byte  `bun:"email_address"`
	EmailAddressIndex []byte  `bun:"email_address_index"`
	FirstName         []byte  `bun:"first_name"`
	LastName          []byte  `bun:"last_name"`
	Identification    []byte  `bun:"identification"`
	InviterFullName   []byte  `bun:"inviter_full_name"`
	AccountURI        *string `bun:"account_uri"`
	OrganizationURI   *string `bun:"organization_uri"`
	OrganizationRole  *string `bun:"organization_role"`
	SecretHash        string  `bun:"secret_hash"`
	MailKeyHash       []byte  `bun:"mail_key_hash"`
	VerificationCount int     `bun:"verification_count"`
	FailedCount       int     `bun:"failed_count"`
	ResendCount       int     `bun:"resend_count"`
	ExpiresAt         int64   `bun:"expires_at"`
	CreatedBy         string  `bun:"created_by"`
	CustomerID        *string `bun:"customer_id"`
	CustomerGroup     *string `bun:"customer_group"`
	AcceptedBy        *string `bun:"accepted_by"`
	AccountID         *string `bun:"account_id"`
	OrganizationID    *string `bun:"organization_id"`
}

const invitationsTable = "invitations"

// emailAddressIndex returns the blind index of an address, ignoring case.
func emailAddressIndex(keys *seal.Keyring, address string) []byte {
	return keys.Index(invitationsTable, "email_address", listing.Fold(address))
}

// invitationRowOf seals an invitation.
func invitationRowOf(keys *seal.Keyring, i *domain.Invitation) (*invitationRow, error) {
	s := sealer{keys: keys, table: invitationsTable, id: i.ID}
	row := &invitationRow{
		ID: i.ID, Version: i.Version, CreatedAt: micros(i.CreatedAt), UpdatedAt: micros(i.UpdatedAt),
		State: string(i.State), Type: string(i.Type),
		EmailAddress: s.seal("email_address", &i.EmailAddress), EmailAddressIndex: emailAddressIndex(keys, i.EmailAddress),
		FirstName: s.seal("first_name", i.FirstName), LastName: s.seal("last_name", i.LastName),
		Identification: s.seal("identification", i.Identification), InviterFullName: s.seal("inviter_full_name", &i.InviterFullName),
		AccountURI: i.AccountURI, OrganizationURI: i.OrganizationURI, OrganizationRole: i.OrganizationRole,
		SecretHash: i.SecretHash, MailKeyHash: i.MailKeyHash,
		VerificationCount: i.VerificationCount, FailedCount: i.FailedCount, ResendCount: i.ResendCount,
		ExpiresAt: micros(i.ExpiresAt), CreatedBy: i.CreatedBy, CustomerID: i.CustomerID, CustomerGroup: i.CustomerGroup,
		AcceptedBy: i.AcceptedBy, AccountID: unlessEmpty(i.AccountID), OrganizationID: unlessEmpty(i.OrganizationID),
	}
	return row, s.err
}

// invitationRecord opens a row.
func invitationRecord(keys *seal.Keyring, row *invitationRow) (*domain.Invitation, error) {
	s := sealer{keys: keys, table: invitationsTable, id: row.ID}
	i := &domain.Invitation{
		Meta: domain.Meta{
			ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt),
		},
		State: domain.InvitationState(row.State), Type: domain.InvitationType(row.Type),
		EmailAddress: s.text("email_address", row.EmailAddress),
		FirstName:    s.open("first_name", row.FirstName), LastName: s.open("last_name", row.LastName),
		Identification: s.open("identification", row.Identification), InviterFullName: s.text("inviter_full_name", row.InviterFullName),
		AccountURI: row.AccountURI, OrganizationURI: row.OrganizationURI, OrganizationRole: row.OrganizationRole,
		SecretHash: row.SecretHash, MailKeyHash: row.MailKeyHash,
		VerificationCount: row.VerificationCount, FailedCount: row.FailedCount, ResendCount: row.ResendCount,
		ExpiresAt: instant(row.ExpiresAt), CreatedBy: row.CreatedBy, CustomerID: row.CustomerID, CustomerGroup: row.CustomerGroup,
		AcceptedBy: row.AcceptedBy, AccountID: orEmpty(row.AccountID), OrganizationID: orEmpty(row.OrganizationID),
	}
	return i, s.err
}

// Invitations returns the store of invitations.
func (d *DB) Invitations() domain.Shelf[domain.Invitation] { return invitations.on(d) }

var (
	invitations = recordsOf(&kind[domain.Invitation, invitationRow]{
		table:  erasableOf[invitationRow](invitationsTable),
		schema: domain.InvitationSchema,
		read:   domain.InvitationValue,
		record: invitationRecord, row: invitationRowOf,
		columns: invitationColumns,
		due: []*deadline{
			deadlineOf[invitationRow](invitationsTable, deadline{at: "expires_at", where: "state = 'sent'", index: "invitations_due"}),
		},
	})
	// invitationOrDecoy reads an invitation, or a decoy if the invitation does not exist.
	invitationOrDecoy = fixed(func(b *builder) schema.QueryAppender {
		model := (*invitationRow)(nil)
		one := func(table, id string, decoy int) schema.QueryAppender {
			return b.NewSelect().Model(model).ModelTableExpr("? AS ?TableAlias", bun.Ident(table)).
				ColumnExpr("?TableColumns").ColumnExpr("? AS decoy", decoy).Where("id = ?", b.arg(id))
		}
		return b.NewSelect().Model(model).
			ModelTableExpr("(? UNION ALL ?) AS ?TableAlias", one(invitationsTable, "id", 0), one(decoysTable, "decoy", 1)).
			OrderExpr("decoy").Limit(1)
	})
)

// InvitationOrDecoy returns an invitation. If it does not exist, the same statement returns a decoy, which is read and
// opened like a real invitation and then discarded.
func (d *DB) InvitationOrDecoy(ctx context.Context, id string) (*domain.Invitation, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	row, found, err := queryOne[invitationRow](ctx, d, invitationOrDecoy, with("id", id), with("decoy", decoyID()))
	if err != nil {
		return nil, err
	}
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, domain.ErrMissing
	}
	i, err := invitationRecord(keys, &row)
	if row.ID != id { // the decoy may have been sealed with keys that no longer exist
		return nil, domain.ErrMissing
	}
	return i, err
}

var invitationColumns = map[string]column{
	"_id":                {name: "id"},
	"type":               {name: "type"},
	"state":              {name: "state"},
	"emailAddressFolded": {name: "email_address_index", index: emailAddressIndex},
	"accountUri":         {name: "account_uri", null: true},
	"organizationUri":    {name: "organization_uri", null: true},
	"role":               {name: "organization_role", null: true},
	"createdAt":          {name: "created_at"},
	"updatedAt":          {name: "updated_at"},
	"expiresAt":          {name: "expires_at"},
	"createdBy":          {name: "created_by"},
	"acceptedBy":         {name: "accepted_by", null: true},
	"customerId":         {name: "customer_id", null: true},
	"customerGroup":      {name: "customer_group", null: true},
	"verificationCount":  {name: "verification_count"},
	"resendCount":        {name: "resend_count"},
	"accountId":          {name: "account_id", null: true},
	"organizationId":     {name: "organization_id", null: true},
}
