//go:build unix

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// sqliteFiles implements databases for SQLite: each installation has a file in its own directory.
type sqliteFiles struct{}

func sqliteFile(g *gatehouse) string { return filepath.Join(g.dir, "gatehouse.db") }

func (sqliteFiles) urlOf(string) string { return "" }

func (sqliteFiles) create(context.Context, *gatehouse) error { return nil }

func (sqliteFiles) tidy(context.Context, *gatehouse) error { return nil }

func (sqliteFiles) drop(_ context.Context, g *gatehouse) error { return os.RemoveAll(g.dir) }

// clone copies the file byte by byte. A VACUUM would give the copy a better layout than the original has.
func (sqliteFiles) clone(ctx context.Context, from, to *gatehouse) error {
	store, err := sql.Open("sqlite", sqliteFile(from))
	if err != nil {
		return err
	}
	var busy, pages, moved int
	err = store.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("the database is in use")
	}
	in, err := os.Open(sqliteFile(from))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(sqliteFile(to), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func (sqliteFiles) copyInvitations(ctx context.Context, from, to *gatehouse) error {
	store, err := sql.Open("sqlite", sqliteFile(to))
	if err != nil {
		return err
	}
	defer store.Close()
	store.SetMaxOpenConns(1) // ATTACH is valid for one connection
	if _, err := store.ExecContext(ctx, "ATTACH DATABASE ? AS source", sqliteFile(from)); err != nil {
		return err
	}
	rows, err := store.QueryContext(ctx, "SELECT name FROM pragma_table_info('invitations', 'main')")
	if err != nil {
		return err
	}
	defer rows.Close()
	var columns []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		columns = append(columns, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	names := strings.Join(columns, ", ")
	_, err = store.ExecContext(ctx, "INSERT INTO main.invitations ("+names+") "+
		"SELECT "+names+" FROM source.invitations ORDER BY created_at, id")
	return err
}

// urlOf and the following methods implement databases: all installations share the cluster.
func (p *postgres) urlOf(name string) string {
	return strings.Replace(p.url, "/postgres?", "/"+databaseName(name)+"?", 1)
}

// databaseName differs from the names of the cluster's own databases.
func databaseName(name string) string { return "bench-" + name }

func quotedName(g *gatehouse) string {
	return pgx.Identifier{databaseName(filepath.Base(g.dir))}.Sanitize()
}

func (p *postgres) create(ctx context.Context, g *gatehouse) error {
	return p.exec(ctx, "CREATE DATABASE "+quotedName(g))
}

func (p *postgres) drop(ctx context.Context, g *gatehouse) error {
	return p.exec(ctx, "DROP DATABASE "+quotedName(g))
}

func (p *postgres) clone(ctx context.Context, from, to *gatehouse) error {
	return p.exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", quotedName(to), quotedName(from)))
}

func (p *postgres) tidy(ctx context.Context, g *gatehouse) error {
	return execute(ctx, g.url, "VACUUM ANALYZE", "CHECKPOINT")
}

func (p *postgres) copyInvitations(ctx context.Context, from, to *gatehouse) error {
	source, err := pgx.Connect(ctx, from.url)
	if err != nil {
		return err
	}
	defer source.Close(ctx)
	destination, err := pgx.Connect(ctx, to.url)
	if err != nil {
		return err
	}
	defer destination.Close(ctx)
	var names string
	err = destination.QueryRow(ctx, "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) "+
		"FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'invitations'").Scan(&names)
	if err != nil {
		return err
	}
	in, out := io.Pipe()
	var reader sync.WaitGroup
	reader.Go(func() {
		_, err := source.PgConn().CopyTo(ctx, out, "COPY (SELECT "+names+" FROM invitations ORDER BY created_at, id) TO STDOUT (FORMAT binary)")
		_ = out.CloseWithError(err) // an error aborts the other COPY
	})
	_, err = destination.PgConn().CopyFrom(ctx, in, fmt.Sprintf("COPY invitations (%s) FROM STDIN (FORMAT binary)", names))
	_ = in.CloseWithError(errors.New("the copy has ended"))
	reader.Wait()
	return err
}
