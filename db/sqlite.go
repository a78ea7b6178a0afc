package db

import (
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
)

var sqliteDialect = &dialect{
	name: "sqlite", number: 0, schema: func() schema.Dialect { return sqlitedialect.New() },
	indexed: "INDEXED BY",
	elements: func(b *builder, list schema.QueryAppender) schema.QueryAppender {
		return b.NewSelect().ColumnExpr("value").TableExpr("json_each(?)", list)
	},
	list: jsonList,
	template: map[string]string{
		"Int": "BIGINT", "Text": "TEXT", "Bytes": "BLOB", "Bool": "BOOLEAN",
		"Identity": "INTEGER PRIMARY KEY AUTOINCREMENT",
		// One transaction writes at a time, so events are numbered in the order of their commits.
		"Transaction": "0", "Updated": "",
		"FirstElement": "json_extract(concerns, '$[0]')", "SecondElement": "json_extract(concerns, '$[1]')",
	},
}
