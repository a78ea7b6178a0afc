package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"time"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/seal"
)

// now is the real clock; everything else is given it.
func now() time.Time { return time.Now().UTC() }

// Database is the database with what the commands do to it.
type Database struct{ *db.DB }

// ErrNameTaken says that there is a key of that name already.
var ErrNameTaken = db.ErrNameTaken

// prepare makes the data directory, for the owner's eyes only.
func prepare(c *Config) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("GATEHOUSE_DATA_DIR: %w", err)
	}
	return nil
}

// openDatabase connects; it does not migrate.
func openDatabase(ctx context.Context, c *Config, log *slog.Logger) (*db.DB, error) {
	if err := prepare(c); err != nil {
		return nil, err
	}
	key, made, err := c.key()
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_ENCRYPTION_KEY: %w", err)
	}
	url, err := c.databaseURL()
	if err != nil {
		return nil, err
	}
	d, err := db.Open(ctx, db.Options{URL: url, Key: key, Now: now, Logger: log})
	if errors.Is(err, seal.ErrWrongKey) {
		if made { // beside data that another key sealed, a new one would only hide that the right one is missing
			_ = os.Remove(c.keyFile())
			return nil, fmt.Errorf("GATEHOUSE_ENCRYPTION_KEY: %s is missing, and the database is sealed with the key that it held", c.keyFile())
		}
		return nil, fmt.Errorf("GATEHOUSE_ENCRYPTION_KEY: %w", err)
	}
	return d, err
}

// WithRawDatabase opens the database as it is, for the commands that look after its schema.
func WithRawDatabase(ctx context.Context, c *Config, do func(*Database) error) error {
	d, err := openDatabase(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(do(&Database{d}), d.Close())
}

// WithDatabase opens the database for a command: migrated, where that is allowed, and with its keys.
func WithDatabase(ctx context.Context, c *Config, do func(*Database) error) error {
	return WithRawDatabase(ctx, c, func(d *Database) error {
		if err := ready(ctx, c, d.DB); err != nil {
			return err
		}
		return do(d)
	})
}

// ready brings the schema up to date, or insists that it is.
func ready(ctx context.Context, c *Config, d *db.DB) error {
	if c.AutoMigrate {
		if err := d.Migrate(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return d.Ready(ctx)
}

// CreateAPIKey makes a key and gives it; only its hash is stored.
func (d *Database) CreateAPIKey(ctx context.Context, name string) (string, error) {
	key, hash := auth.NewAPIKey()
	if err := d.DB.CreateAPIKey(ctx, name, hash, now()); err != nil {
		return "", err
	}
	return key, nil
}

// Revive puts a dead message back.
func (d *Database) Revive(ctx context.Context, id string) error { return d.DB.Revive(ctx, id, now()) }

var keyName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// GoodKeyName reports whether a client key may have the name.
func GoodKeyName(name string) bool { return keyName.MatchString(name) }

// TokenRequest asks for a token of the development issuer.
type TokenRequest = auth.TokenRequest

// Token makes a token of the development issuer of the data directory.
func Token(c *Config, r TokenRequest) (string, error) {
	if err := prepare(c); err != nil {
		return "", err
	}
	issuer, err := auth.OpenDevelopmentIssuer(auth.DevelopmentConfig{Dir: c.DataDir, Audience: c.Audience, Now: now})
	if err != nil {
		return "", err
	}
	return issuer.Issue(r)
}
