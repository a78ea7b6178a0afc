// Package examples holds sample data that the server loads into an empty database, and that the tests replay.
// It knows files and nothing else.
package examples

import "embed"

// Demo is the demonstration directory, in the import format.
//
//go:embed demo.ndjson
var Demo []byte

// Operations are the stories of operations: requests with their answers, for every operation of the schema.
//
//go:embed operations/*.txtar
var Operations embed.FS
