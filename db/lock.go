package db

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrServed says that another server has the database file.
var ErrServed = errors.New("another server has this database file; on SQLite there is one server for a file")

// claims is how often the file is claimed: a command that only looks holds it for a moment.
const claims = 10

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
	for n := 1; ; n++ {
		err := lockFile(f)
		if err == nil {
			d.served = f
			return nil
		}
		if n == claims {
			return errors.Join(err, f.Close())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// servedElsewhere reports whether a server has claimed the file.
func (d *DB) servedElsewhere() bool {
	f, err := os.OpenFile(d.file+".lock", os.O_RDWR, 0o600)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // and with it goes the claim, if it was ours
	return lockFile(f) != nil
}
