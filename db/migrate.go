package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"

	"github.com/gatehouse/gatehouse/db/migrations"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// Migration is one step of the schema.
type Migration struct {
	Name string
	// AppliedAt is zero if the migration has not been applied.
	AppliedAt time.Time
}

// errApplied reports that another process applied the migration first.
var errApplied = errors.New("db: the migration has been applied by another process")

// Migrate brings the schema up to date and opens the keysets. If several processes start at the same time, one
// migrates: on PostgreSQL the others wait for an advisory lock; on SQLite each step checks, in its own transaction,
// whether it is still pending.
func (d *DB) Migrate(ctx context.Context) error {
	conns, err := d.engine.Maintenance()
	if err != nil {
		return d.engine.Classify(err)
	}
	on := bun.NewDB(conns, d.dialect.schema())
	defer func() { _ = on.Close() }()
	if d.engine.Shared() {
		release, err := lockPostgres(ctx, conns)
		if err != nil {
			return d.engine.Classify(err)
		}
		defer release()
	}
	m, err := d.migrator(on)
	if err != nil {
		return err
	}
	if err := m.Init(ctx); err != nil {
		return d.engine.Classify(err)
	}
	for {
		_, err := m.Migrate(ctx)
		if err == nil {
			break
		}
		if !errors.Is(err, errApplied) {
			return d.engine.Classify(fmt.Errorf("db: migrate: %w", err))
		}
	}
	return d.unlock(ctx)
}

// Status returns the migrations in order.
func (d *DB) Status(ctx context.Context) ([]Migration, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	m, err := d.migrator(d.bun)
	if err != nil {
		return nil, err
	}
	known, err := m.MigrationsWithStatus(ctx)
	if err != nil && d.engine.NoTable(err) {
		all, ferr := d.files()
		if ferr != nil {
			return nil, ferr
		}
		known, err = all.Sorted(), nil
	}
	if err != nil {
		return nil, d.engine.Classify(err)
	}
	out := make([]Migration, 0, len(known))
	for i := range known {
		one := Migration{Name: known[i].String()}
		if known[i].IsApplied() {
			one.AppliedAt = known[i].MigratedAt.UTC()
		}
		out = append(out, one)
	}
	return out, nil
}

// Ready returns an error if the database cannot be used. It returns nil if the database is reachable, fully migrated,
// and its keysets are open.
func (d *DB) Ready(ctx context.Context) error {
	status, err := d.Status(ctx)
	if err != nil {
		return err
	}
	for _, m := range status {
		if m.AppliedAt.IsZero() {
			return problem.New(problem.ServiceUnavailable).From(fmt.Errorf("%w: %s is missing", errNotMigrated, m.Name))
		}
	}
	_, err = d.keys(ctx)
	return err
}

func (d *DB) files() (*migrate.Migrations, error) {
	all := migrate.NewMigrations()
	return all, all.Discover(migrations.Files)
}

// migrator marks a migration as applied in the migration's own transaction, so that a crash or a race cannot separate
// the two.
func (d *DB) migrator(on *bun.DB) (*migrate.Migrator, error) {
	all, err := d.files()
	if err != nil {
		return nil, err
	}
	unlessApplied := func(ctx context.Context, in bun.IConn, m *migrate.Migration) error {
		applied, err := on.NewSelect().
			Conn(in).
			Model((*migrate.Migration)(nil)).
			ModelTableExpr("bun_migrations AS ?TableAlias").
			ColumnExpr("1").
			Where("name = ?", m.Name).
			Exists(ctx)
		if err == nil && applied {
			err = errApplied
		}
		return err
	}
	mark := func(ctx context.Context, in bun.IConn, m *migrate.Migration) error {
		_, err := on.NewInsert().Conn(in).Model(m).ModelTableExpr("bun_migrations").Column("name", "group_id").Returning("NULL").Exec(ctx)
		return err
	}
	return migrate.NewMigrator(on, all, migrate.WithTemplateData(d.dialect.template),
		migrate.WithMarkAppliedOnSuccess(true), migrate.WithUpsert(true),
		migrate.BeforeMigration(unlessApplied), migrate.AfterMigration(mark)), nil
}
