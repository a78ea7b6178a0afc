package db

import (
	"encoding/json"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// dialects is the number of supported dialects.
const dialects = 2

// dialect contains the differences between the two databases.
type dialect struct {
	name   string
	number int
	// schema is bun's dialect.
	schema func() schema.Dialect
	// numbered is true if placeholders are $1, $2, … instead of ?.
	numbered bool
	// indexed begins the hint that names an index. SQLite's planner has no statistics and may prefer an index that
	// matches half of the table to a selective one. Empty: the planner needs no hint.
	indexed string
	// skipLocked is the locking clause of a SELECT that skips rows locked by others; empty if none is needed.
	skipLocked string
	// elements selects the texts of a JSON array passed as one parameter.
	elements func(*builder, schema.QueryAppender) schema.QueryAppender
	// list encodes a list of texts as one parameter.
	list func([]string) any
	// settled is the condition that no later event can precede this one in the feed; empty if it is always true.
	settled string
	// template contains the template values of the migrations.
	template map[string]string
}

// index returns the table of a row struct, with the hint for the index.
func (b *builder) index(table, index string) (string, []any) {
	if b.dialect.indexed == "" {
		return "? AS ?TableAlias", []any{bun.Ident(table)}
	}
	return "? AS ?TableAlias " + b.dialect.indexed + " ?", []any{bun.Ident(table), bun.Ident(index)}
}

// among returns the condition that the column equals one of a list of texts.
func (b *builder) among(column string, list schema.QueryAppender) schema.QueryAppender {
	if b.dialect.numbered {
		return schema.SafeQuery("? = ANY(?)", []any{bun.Ident(column), list})
	}
	return schema.SafeQuery("? IN (?)", []any{bun.Ident(column), b.dialect.elements(b, list)})
}

func jsonList(texts []string) any {
	out, err := json.Marshal(texts)
	if err != nil { // texts can always be encoded
		return "[]"
	}
	return string(out)
}
