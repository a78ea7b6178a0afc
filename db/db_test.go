package db_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/db/dbtest"
	"github.com/gatehouse/gatehouse/testkit"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	dbtest.Exercise(t, testkit.SQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	dbtest.Exercise(t, testkit.Postgres)
}
