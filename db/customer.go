package db

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/seal"
)

// customerRow is a customer at rest. What is personal is sealed; of what a customer is found by there is a blind index.
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

// customerIndex is equal for texts that differ in case only; nil for an empty one.
func customerIndex(keys *seal.Keyring, column, value string) []byte {
	if value == "" {
		return nil
	}
	return keys.Index(customersTable, column, listing.Fold(value))
}

// customerRowOf seals.
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

// customerRecord opens.
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

// Customer finds a customer.
func (d *DB) Customer(ctx context.Context, id string) (*domain.Customer, error) {
	return customers.on(d).Get(ctx, id)
}

// Customers finds customers by id; those that are missing are left out.
func (d *DB) Customers(ctx context.Context, ids []string) ([]*domain.Customer, error) {
	return customers.on(d).GetMany(ctx, ids)
}
