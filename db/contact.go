package db

import (
	"errors"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/seal"
)

// contactRow is the stored form of a contact: the identity is sealed, and the fields used for lookup have blind
// indexes.
type contactRow struct {
	bun.BaseModel `bun:"table:contacts"`

	ID         string  `bun:"id,pk"`
	Version    int     `bun:"version"`
	CreatedAt  int64   `bun:"created_at"`
	UpdatedAt  int64   `bun:"updated_at"`
	State      string  `bun:"state"`
	Identity   []byte  `bun:"identity"`
	TaxIDIndex []byte  `bun:"tax_id_index"`
	EmailIndex []byte  `bun:"email_index"`
	UserID     *string `bun:"user_id"`
	CreatedBy  *string `bun:"created_by"`
	// IdentifiedBy is the user who last set the tax id, the name or the birth date; null for an import.
	IdentifiedBy *string `bun:"identified_by"`
	// Fingerprint is a keyed hash of the imported data: importing the same data again changes nothing.
	Fingerprint []byte `bun:"fingerprint"`
}

const contactsTable = "contacts"

func contactTaxIDIndex(keys *seal.Keyring, taxID string) []byte {
	return keys.Index(contactsTable, "tax_id", risk.FoldTaxID(taxID))
}

func contactEmailIndex(keys *seal.Keyring, email string) []byte {
	return keys.Index(contactsTable, "email", listing.Fold(email))
}

func contactRowOf(keys *seal.Keyring, c *domain.Contact) (*contactRow, error) {
	s := sealer{keys: keys, table: contactsTable, id: c.ID}
	row := &contactRow{
		ID:         c.ID,
		Version:    c.Version,
		CreatedAt:  micros(c.CreatedAt),
		UpdatedAt:  micros(c.UpdatedAt),
		State:      string(c.State),
		Identity:   s.sealJSON("identity", c.Of),
		TaxIDIndex: indexOf(contactTaxIDIndex, keys, c.Of.TaxID),
		EmailIndex: indexOf(contactEmailIndex, keys, c.Of.Email),
		UserID:     c.UserID,
		CreatedBy:  unlessEmpty(c.CreatedBy),

		IdentifiedBy: unlessEmpty(c.IdentifiedBy),
	}
	var err error
	row.Fingerprint, err = fingerprint(keys, "contact", c.Of, c.UserID)
	return row, errors.Join(s.err, err)
}

func contactRecord(keys *seal.Keyring, row *contactRow) (*domain.Contact, error) {
	s := sealer{keys: keys, table: contactsTable, id: row.ID}
	c := &domain.Contact{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.ContactState(row.State), UserID: row.UserID, CreatedBy: orEmpty(row.CreatedBy),
		IdentifiedBy: orEmpty(row.IdentifiedBy),
	}
	s.openJSON("identity", row.Identity, &c.Of)
	return c, s.err
}

// Contacts returns the store of contacts.
func (d *DB) Contacts() domain.Shelf[domain.Contact] { return contacts.on(d) }

var contacts = recordsOf(&kind[domain.Contact, contactRow]{
	table: versionedOf[contactRow](contactsTable), schema: domain.ContactSchema, read: domain.ContactValue,
	record: contactRecord, row: contactRowOf, columns: contactColumns,
})

var contactColumns = map[string]column{
	"_id":       {name: "id"},
	"userId":    {name: "user_id", null: true},
	"createdBy": {name: "created_by", null: true},
	"createdAt": {name: "created_at"},
	"updatedAt": {name: "updated_at"},
	"taxId":     {name: "tax_id_index", null: true, index: contactTaxIDIndex},
	"email":     {name: "email_index", null: true, index: contactEmailIndex},
}

// importContact adds a contact, or replaces the one with its id if the data differs.
var importContact = fixed(func(b *builder) schema.QueryAppender {
	q := newRow(b, (*contactRow)(nil)).On("CONFLICT (id) DO UPDATE").Set("version = ?TableAlias.version + 1")
	return replace(q, "updated_at", "identity", "tax_id_index", "email_index", "user_id", "identified_by", "fingerprint").
		Where("?TableAlias.fingerprint <> excluded.fingerprint")
})
