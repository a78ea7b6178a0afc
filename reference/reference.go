// Package reference makes the reference pages: the schema, its operations with examples, and the events. It compares
// the schema with the one that was released.
//
// It knows the schema, the tables of the rules and the examples, and gives pages as text. It must not know where pages
// are kept, and it asks nobody for anything.
package reference
