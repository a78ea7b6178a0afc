package db

import (
	"errors"
	"fmt"
	"os"
)

// ErrServed says that another server has the database file.
var ErrServed = errors.New("another server has this database file; on SQLite there is one server for a file")

// Serve claims the database for a server: on SQLite there is one for a file, beside which commands may work. On
// PostgreSQL there may be any number. Close gives it up.
func (d *DB) Serve() error {
	if d.pool != nil {
		return nil
	}
	f, err := os.OpenFile(d.file+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("db: claim the database file: %w", err)
	}
	if err := lockFile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	d.served = f
	return nil
}
