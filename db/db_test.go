package db_test

import (
	"context"
	"testing"

	"github.com/gatehouse/gatehouse/db/dbtest"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/testkit"
)

// commit writes a unit.
func commit(ctx context.Context, d domain.Store, u *domain.Unit) error {
	_, err := d.Commit(ctx, u)
	return err
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	dbtest.Exercise(t, testkit.SQLite)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	dbtest.Exercise(t, testkit.Postgres)
}
