package db

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/seal"
)

// customerRow is the stored form of a customer. Personal data is sealed; the fields used for lookup have blind indexes.
type customerRow struct {
	bun.BaseModel `bun:"table:customers"`

	ID            string  `bun:"id,pk"`
	CreatedAt     int64   `bun:"created_at"`
	UpdatedAt     int64   `bun:"updated_at"`
	Username      []byte  `bun:"username"`
	UsernameIndex []byte  `bun:"username_index"`
	Email         []byte  `bun:"email"`
	EmailIndex    []byte  `bun:"email_index"`
	EmailVerified bool    `bun:"email_verified"`
	Phone         []byte  `bun:"phone"`
	PhoneIndex    []byte  `bun:"phone_index"`
	PhoneVerified bool    `bun:"phone_verified"`
	PINHash       *string `bun:"pin_hash"`
	PasswordHash  *string `bun:"password_hash"`
	Jurisdiction  []byte  `bun:"jurisdiction"`
}

const customersTable = "customers"

// customerIndex returns the blind index of a text, ignoring case; nil for an empty text.
func customerIndex(keys *seal.Keyring, column, value string) []byte {
	if value == "" {
		return nil
	}
	return keys.Index(customersTable, column, listing.Fold(value))
}

// customerRowOf seals a customer.
func customerRowOf(keys *seal.Keyring, c *domain.Customer) (*customerRow, error) {
	s := sealer{keys: keys, table: customersTable, id: c.ID}
	row := &customerRow{
		ID: c.ID, CreatedAt: micros(c.CreatedAt), UpdatedAt: micros(c.UpdatedAt),
		Username: s.seal("username", unlessEmpty(c.Username)), UsernameIndex: customerIndex(keys, "username", c.Username),
		Email: s.seal("email", unlessEmpty(c.Email)), EmailIndex: customerIndex(keys, "email", c.Email), EmailVerified: c.EmailVerified,
		Phone: s.seal("phone", unlessEmpty(c.Phone)), PhoneIndex: customerIndex(keys, "phone", c.Phone), PhoneVerified: c.PhoneVerified,
		PINHash: unlessEmpty(c.PINHash), PasswordHash: unlessEmpty(c.PasswordHash),
		Jurisdiction: s.seal("jurisdiction", unlessEmpty(c.Jurisdiction)),
	}
	return row, s.err
}

// customerRecord opens a row.
func customerRecord(keys *seal.Keyring, row *customerRow) (*domain.Customer, error) {
	s := sealer{keys: keys, table: customersTable, id: row.ID}
	c := &domain.Customer{
		ID: row.ID, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt),
		Username: s.text("username", row.Username), Email: s.text("email", row.Email), EmailVerified: row.EmailVerified,
		Phone: s.text("phone", row.Phone), PhoneVerified: row.PhoneVerified,
		PINHash: orEmpty(row.PINHash), PasswordHash: orEmpty(row.PasswordHash), Jurisdiction: s.text("jurisdiction", row.Jurisdiction),
	}
	return c, s.err
}

var customers = &kind[domain.Customer, customerRow]{table: tableOf[customerRow](), record: customerRecord}

var saveCustomer = upsertOf[customerRow]()

// Customer returns a customer.
func (d *DB) Customer(ctx context.Context, id string) (*domain.Customer, error) {
	return customers.on(d).Get(ctx, id)
}

// Customers returns customers by id, without those that do not exist.
func (d *DB) Customers(ctx context.Context, ids []string) ([]*domain.Customer, error) {
	return customers.on(d).GetMany(ctx, ids)
}
