package db

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/schema"
)

var postgresDialect = &dialect{
	name: "postgres", number: 1, schema: func() schema.Dialect { return pgdialect.New() },
	numbered: true, skipLocked: "UPDATE SKIP LOCKED",
	elements: func(b *builder, list schema.QueryAppender) schema.QueryAppender {
		return b.NewSelect().ColumnExpr("json_array_elements_text(CAST(? AS JSON))", list)
	},
	list: func(texts []string) any { return texts },
	// A transaction gets its number before it commits. No transaction below the oldest running one can add events.
	settled: "tx < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)",
	template: map[string]string{
		"Int": "BIGINT", "Text": `TEXT COLLATE "C"`, "Bytes": "BYTEA", "Bool": "BOOLEAN",
		"Identity":    "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		"Transaction": "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
		// Free space in each page holds the next version of a row, so that updates do not change the indexes.
		"Updated": " WITH (fillfactor = 70)",
		// Elements of the JSON array of the users that an event concerns.
		"FirstElement": "CAST(concerns AS JSON) ->> 0", "SecondElement": "CAST(concerns AS JSON) ->> 1",
	},
}

// migrationLock is the advisory lock of migrations; the number is arbitrary.
const migrationLock = 7_203_911_004

// lockPostgres waits until no other instance migrates. It returns the function that releases the lock.
func lockPostgres(ctx context.Context, on *sql.DB) (release func(), err error) {
	conn, err := on.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return func() {
		// If this fails, the lock ends with the session.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
		_ = conn.Close()
	}, nil
}
