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

// now returns the system time, moved by GATEHOUSE_TEST_CLOCK; all other packages receive a clock.
func (c *Config) now() time.Time { return time.Now().UTC().Add(c.TestClock) }

// Database is the database with the operations of the commands.
type Database struct {
	*db.DB
	now func() time.Time
}

// ErrNameTaken is returned if an API key with the name exists.
var ErrNameTaken = db.ErrNameTaken

// prepare creates the data directory, readable by the owner only.
func prepare(c *Config) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("GATEHOUSE_DATA_DIR: %w", err)
	}
	return nil
}

// openDatabase connects to the database. It does not migrate it.
func openDatabase(ctx context.Context, c *Config, log *slog.Logger) (*db.DB, error) {
	if err := prepare(c); err != nil {
		return nil, err
	}
	key, created, err := c.key()
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_ENCRYPTION_KEY: %w", err)
	}
	url, err := c.databaseURL()
	if err != nil {
		return nil, err
	}
	d, err := db.Open(ctx, db.Options{URL: url, Key: key, Now: c.now, Logger: log})
	if errors.Is(err, seal.ErrWrongKey) {
		if created { // with data sealed by another key, a new key would only hide that the correct one is missing
			_ = os.Remove(c.keyFile())
			return nil, fmt.Errorf("GATEHOUSE_ENCRYPTION_KEY: %s is missing, and the database is encrypted with the key in it", c.keyFile())
		}
		return nil, fmt.Errorf("GATEHOUSE_ENCRYPTION_KEY: %w", err)
	}
	return d, err
}

// WithRawDatabase opens the database without migrating it, for the commands that manage its schema.
func WithRawDatabase(ctx context.Context, c *Config, do func(*Database) error) error {
	d, err := openDatabase(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(do(&Database{DB: d, now: c.now}), d.Close())
}

// WithDatabase opens the database for a command: migrated, if that is permitted, and with its keys.
func WithDatabase(ctx context.Context, c *Config, do func(*Database) error) error {
	return WithRawDatabase(ctx, c, func(d *Database) error {
		if err := ensureSchema(ctx, c, d.DB); err != nil {
			return err
		}
		return do(d)
	})
}

// ensureSchema migrates the database, or returns an error if it is not up to date.
func ensureSchema(ctx context.Context, c *Config, d *db.DB) error {
	if c.AutoMigrate {
		if err := d.Migrate(ctx); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return d.Ready(ctx)
}

// CreateAPIKey creates a key and returns it; only its hash is stored.
func (d *Database) CreateAPIKey(ctx context.Context, name string) (string, error) {
	key, hash := auth.NewAPIKey()
	if err := d.DB.CreateAPIKey(ctx, name, hash, d.now()); err != nil {
		return "", err
	}
	return key, nil
}

// Revive returns a dead message to the outbox.
func (d *Database) Revive(ctx context.Context, id string) error { return d.DB.Revive(ctx, id, d.now()) }

var keyName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ValidKeyName reports whether an API key may have the name.
func ValidKeyName(name string) bool { return keyName.MatchString(name) }

// TokenRequest describes a token of the development issuer.
type TokenRequest = auth.TokenRequest

// Token issues a token of the development issuer in the data directory.
func Token(c *Config, r TokenRequest) (string, error) {
	if err := prepare(c); err != nil {
		return "", err
	}
	issuer, err := auth.OpenDevelopmentIssuer(auth.DevelopmentConfig{Dir: c.DataDir, Audience: c.Audience, Now: c.now})
	if err != nil {
		return "", err
	}
	return issuer.Issue(r)
}
