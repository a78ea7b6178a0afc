package listing_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// refusedAs fails the test if the error is not one of the allowed problems, or if it repeats a long input, which may be
// a secret.
func refusedAs(t *testing.T, err error, input string, allowed ...*problem.Definition) {
	t.Helper()
	p := problem.Of(err)
	for _, d := range allowed {
		if p.Definition == d {
			if len(input) > 64 && strings.Contains(p.Text(), input) {
				t.Fatalf("the refusal repeats its input: %q", p.Text())
			}
			return
		}
	}
	t.Fatalf("%q is refused with %v", input, err)
}

func FuzzParseSearch(f *testing.F) {
	for _, seed := range []string{"", "anna", `"a b" and c d`, `and`, `x and`, `"`, `a "b""c" and "d"`, "ẞtraße and \u0130"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := listing.ParseSearch(schema, text)
		if err != nil {
			refusedAs(t, err, text, problem.InvalidQuery, problem.InvalidParameter)
			return
		}
		if again, err := listing.ParseSearch(schema, text); err != nil || !reflect.DeepEqual(p, again) {
			t.Fatalf("parsing again yields another result: %v %v", again, err)
		}
		found := listing.Match(schema, p, read, anna())
		if listing.Match(schema, listing.Negate(p), read, anna()) == found {
			t.Fatalf("%q and its negation have the same result", text)
		}
	})
}

func FuzzParseSort(f *testing.F) {
	for _, seed := range []string{"", "name", "-createdAt,name", "name,,x", "--name", "name,name", " name", "inputs.note", "tags"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		orders, err := listing.ParseSort(schema, text)
		if err != nil {
			refusedAs(t, err, text, problem.InvalidSort, problem.MeaninglessSort)
			return
		}
		var again []string
		for _, o := range orders {
			if o.Desc {
				again = append(again, "-"+o.Field)
			} else {
				again = append(again, o.Field)
			}
		}
		if len(orders) > 0 {
			if second, err := listing.ParseSort(schema, strings.Join(again, ",")); err != nil || !reflect.DeepEqual(second, orders) {
				t.Fatalf("%v, parsed again: %v %v", orders, second, err)
			}
		}
		if rank := listing.Rank(schema, listing.Total(orders), read, anna(), anna()); rank != 0 {
			t.Fatalf("a record is not equal to itself: %d", rank)
		}
	})
}

func FuzzAlternatives(f *testing.F) {
	for _, seed := range []string{"sent", "sent|accepted", "|", "sent||", "SENT", "2026-01-01T00:00:00Z", "1e309", "true"} {
		for _, field := range []string{"state", "createdAt", "visits", "vip", "mail"} {
			f.Add(field, seed)
		}
	}
	f.Fuzz(func(t *testing.T, field, text string) {
		if _, known := schema.Field(field); !known {
			return
		}
		p, err := listing.Alternatives(schema, field, text)
		if err != nil {
			if d := problem.Of(err).Definition; d == problem.InternalError {
				t.Fatal(err)
			}
			return
		}
		listing.Match(schema, p, read, anna())
	})
}

func FuzzCursorRoundTrip(f *testing.F) {
	orders := []listing.Order{{Field: "name"}, {Field: "createdAt", Desc: true}, {Field: "visits"}, {Field: "vip"}}
	g := anna()
	f.Add(g.id, g.name, g.visits, g.vip, g.created.UnixMicro())
	f.Add("id", "\xff\xfe\"\n", 0.1, true, int64(0))
	f.Fuzz(func(t *testing.T, id, name string, visits float64, vip bool, created int64) {
		if strings.ContainsRune(id+name, 0) || id == "" || visits != visits || created < 0 || created > 1e17 {
			return
		}
		g := anna()
		g.id, g.name, g.visits, g.vip, g.created = strings.ToValidUTF8(id, "?"), strings.ToValidUTF8(name, "?"), visits, vip, time.UnixMicro(created).UTC()
		text := listing.EncodeCursor(schema, orders, read, g)
		at, err := listing.DecodeCursor(schema, orders, "after", text)
		if err != nil {
			t.Fatalf("a valid cursor is refused: %v", err)
		}
		if listing.After(schema, orders, read, g, at) || listing.Before(schema, orders, read, g, at) {
			t.Fatal("the cursor is not at the position of its record")
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"2026-03-01T09:30:00Z", "2026-03-01T09:30:00.123456789+02:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, ok := listing.ParseTime(text)
		if !ok {
			return
		}
		if again, ok := listing.ParseTime(at.Format(time.RFC3339Nano)); !ok || !again.Equal(at) {
			t.Fatalf("%q is %v, parsed again %v", text, at, again)
		}
	})
}
