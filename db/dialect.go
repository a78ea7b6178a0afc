package db

import (
	"encoding/json"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// dialects is the number of supported dialects.
const dialects = 2

// dialect is what must differ between the two databases.
type dialect struct {
	name   string
	number int
	// schema is the dialect of bun.
	schema func() schema.Dialect
	// numbered: placeholders are $1, $2, … and not ?.
	numbered bool
	// indexed begins the hint that names an index. The planner of SQLite has no statistics, and takes an index that finds
	// half of the table where a small one exists. Empty: the planner needs no hint.
	indexed string
	// skipLocked is the locking clause of a SELECT that leaves out rows which others have locked; empty if none is needed.
	skipLocked string
	// elements selects the texts of a JSON array that is one parameter.
	elements func(*builder, schema.QueryAppender) schema.QueryAppender
	// list makes the parameter that is a list of texts.
	list func([]string) any
	// settled is the condition that no event can appear before an event any more; empty if it is always true.
	settled string
	// template has the values of the migrations.
	template map[string]string
}

// index is the table of a row struct, with the index that finds the rows.
func (b *builder) index(table, index string) (string, []any) {
	if b.dialect.indexed == "" {
		return "? AS ?TableAlias", []any{bun.Ident(table)}
	}
	return "? AS ?TableAlias " + b.dialect.indexed + " ?", []any{bun.Ident(table), bun.Ident(index)}
}

// among is the condition that the column is one of a list of texts.
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
