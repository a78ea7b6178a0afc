// Package examples embeds sample data: the demonstration directory, which the server loads into an empty database, and
// the operations, which the reference pages display and the tests run. It only knows its files.
package examples

import "embed"

// Demo is the demonstration directory in the import format.
//
//go:embed demo.ndjson
var Demo []byte

// Operations holds the stories: requests with their responses, for every operation of the schema.
//
//go:embed operations/*.txtar
var Operations embed.FS
