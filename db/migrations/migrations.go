// Package migrations holds the database schema as SQL files, one ordered set for both databases. Words in which
// the dialects differ are template values.
//
// It knows files only. Package db knows the words, and when and under which lock they run.
package migrations

import "embed"

// Files are the migrations, by name in the order in which they run.
//
//go:embed *.sql
var Files embed.FS
