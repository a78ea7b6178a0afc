package db

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/lifecycle"
)

// sample returns a distinct value for each argument.
func sample(a argument) any {
	switch {
	case a.field != nil:
		return "column " + a.field.Name
	case a.name != "":
		return "argument " + a.name
	}
	return a.value
}

// TestArguments: in both dialects, each fixed statement with its arguments in place of the placeholders equals the text
// that bun writes by default.
func TestArguments(t *testing.T) {
	t.Parallel()
	if len(statements) < 100 {
		t.Errorf("only %d statements are declared", len(statements))
	}
	for _, dialect := range []*dialect{sqliteDialect, postgresDialect} {
		d := &DB{dialect: dialect, bun: bun.NewDB(nil, dialect.schema())}
		for _, s := range statements {
			prepared, err := s.of(d)
			if err != nil {
				t.Error(err)
				continue
			}
			usual := &builder{DB: d.bun, dialect: dialect, inline: func(a argument) (any, error) { return sample(a), nil }}
			want, err := usual.text(s.build(usual))
			if err != nil {
				t.Error(err)
				continue
			}
			rest, got := prepared.Text, []byte(nil)
			for n, a := range prepared.args {
				before, after, ok := strings.Cut(rest, string(dialect.placeholder(nil, n+1)))
				if !ok {
					t.Errorf("no placeholder for the argument %d: %s", n+1, prepared.Text)
				}
				got, rest = d.bun.QueryGen().Append(append(got, before...), sample(a)), after
			}
			if got = append(got, rest...); string(got) != want {
				t.Errorf("%s: with arguments\n%s\nas bun writes it\n%s", dialect.name, got, want)
			}
			if bytes.Contains(got, []byte("?")) {
				t.Errorf("a placeholder is left: %s", got)
			}
		}
	}
}

// TestErasedKinds: the statement that deletes a record exists for exactly the kinds with a transition that erases it.
// The linter reports unused statements in package variables, but cannot distinguish those in the struct of a table.
func TestErasedKinds(t *testing.T) {
	t.Parallel()
	for name, k := range recordKinds {
		life, ok := domain.Lifecycle(name)
		if !ok {
			t.Errorf("%s has rows, but no state machine", name)
		}
		erases := slices.ContainsFunc(life.Transitions, func(row lifecycle.MapRow) bool { return row.Erases })
		of := reflect.ValueOf(k).Elem().FieldByName("table").Elem()
		if exists := !of.FieldByName("erase").IsNil(); exists != erases {
			t.Errorf("%s: a transition erases the record: %t; a statement deletes the row: %t", name, erases, exists)
		}
		for _, statement := range []string{"byID", "byIDs", "insert", "update", "hold"} {
			if of.FieldByName(statement).IsNil() {
				t.Errorf("%s has no statement %s", name, statement)
			}
		}
	}
}

// TestMissingArguments: a call that does not name each argument, and a text with a placeholder of bun, are refused.
func TestMissingArguments(t *testing.T) {
	t.Parallel()
	d := &DB{dialect: postgresDialect, bun: bun.NewDB(nil, postgresDialect.schema())}
	s := &statement{build: func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*clientRow)(nil)).Where("id = ?", b.arg("id"))
	}}
	if _, _, err := s.bind(d, nil, []named{with("other", 1)}); err == nil {
		t.Error("a missing argument is not refused")
	}
	if _, args, err := s.bind(d, nil, []named{with("id", "x")}); err != nil || len(args) != 1 || args[0] != "x" {
		t.Error(args, err)
	}
	s = &statement{build: func(b *builder) schema.QueryAppender { return b.NewSelect().Model((*clientRow)(nil)).Where("id = ?") }}
	if _, _, err := s.bind(d, nil, nil); err == nil {
		t.Error("a remaining placeholder is not refused")
	}
	u := &unit{db: d}
	u.add(s, nil)
	if _, err := u.write(t.Context()); err == nil || errors.Is(err, errNotMigrated) {
		t.Error("a unit with an invalid statement is not refused:", err)
	}
}
