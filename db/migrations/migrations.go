// Package migrations contains the database schema as SQL files: one ordered set for both databases. Differences between
// the dialects are template values.
//
// It contains only files. Package db provides the template values, and runs the migrations under a lock.
package migrations

import "embed"

// Files contains the migrations, ordered by name.
//
//go:embed *.sql
var Files embed.FS
