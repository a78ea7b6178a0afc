package listing_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

func TestCursorsVisitEachRecordOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		guests, orders := someGuests.Draw(t, "guests"), someOrders.Draw(t, "orders")
		size := rapid.IntRange(1, 5).Draw(t, "size")
		sorted := slices.Clone(guests)
		slices.SortFunc(sorted, func(a, b *guest) int { return listing.Rank(schema, orders, read, a, b) })

		var forth, back []string
		q := listing.Query{Order: orders, First: &size, WithCount: true}
		for {
			page, err := listing.Paginate(schema, read, guests, q)
			if err != nil {
				t.Fatal(err)
			}
			forth = append(forth, ids(page.Items)...)
			if page.Count != len(guests) || page.HasPrevious != (q.After != "") {
				t.Fatalf("count %d, previous %t", page.Count, page.HasPrevious)
			}
			if !page.HasNext {
				break
			}
			q.After = page.Cursors[len(page.Cursors)-1]
		}
		q = listing.Query{Order: orders, Last: &size}
		for {
			page, err := listing.Paginate(schema, read, guests, q)
			if err != nil {
				t.Fatal(err)
			}
			back = append(ids(page.Items), back...)
			if page.HasNext != (q.Before != "") {
				t.Fatalf("next %t", page.HasNext)
			}
			if !page.HasPrevious {
				break
			}
			q.Before = page.Cursors[0]
		}
		if want := ids(sorted); !slices.Equal(forth, want) || !slices.Equal(back, want) {
			t.Fatalf("forth %v, back %v, want %v", forth, back, want)
		}
		for i, g := range sorted {
			at, err := listing.DecodeCursor(schema, orders, "after", listing.EncodeCursor(schema, orders, read, g))
			if err != nil {
				t.Fatal(err)
			}
			for j, other := range sorted {
				if listing.After(schema, orders, read, other, at) != (j > i) || listing.Before(schema, orders, read, other, at) != (j < i) {
					t.Fatalf("%s is on the wrong side of %s", other.id, g.id)
				}
			}
		}
	})
}

func TestPagesByPositionVisitEachRecordOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		guests, orders := someGuests.Draw(t, "guests"), someOrders.Draw(t, "orders")
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		var seen []string
		for start := 0; ; start += limit {
			page, err := listing.Paginate(schema, read, guests, listing.Query{Order: orders, Start: start, Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, ids(page.Items)...)
			if !page.HasNext {
				break
			}
		}
		slices.Sort(seen)
		if want := slices.Sorted(slices.Values(ids(guests))); !slices.Equal(seen, want) {
			t.Fatalf("got %v, want %v", seen, want)
		}
	})
}

func TestPaginateAtTheEdges(t *testing.T) {
	t.Parallel()
	guests := []*guest{{id: "1"}, {id: "2"}, {id: "3"}, {id: "4"}}
	cursor := func(i int) string { return listing.EncodeCursor(schema, nil, read, guests[i]) }
	n := func(i int) *int { return &i }
	const far = int(^uint(0) >> 1)
	for claim, c := range map[string]struct {
		q              listing.Query
		want           string
		previous, next bool
	}{
		"limit 0 has no items":           {listing.Query{}, "", false, true},
		"a start past the end":           {listing.Query{Start: far, Limit: far}, "", true, false},
		"a limit past the end":           {listing.Query{Start: 2, Limit: far}, "34", true, false},
		"first 0":                        {listing.Query{First: n(0)}, "", false, true},
		"between the cursors":            {listing.Query{After: cursor(0), Before: cursor(3)}, "23", true, true},
		"first and last":                 {listing.Query{First: n(3), Last: n(1)}, "3", true, true},
		"cursors in the wrong order":     {listing.Query{After: cursor(2), Before: cursor(1)}, "", true, true},
		"a cursor of a deleted record":   {listing.Query{First: n(1), After: listing.EncodeCursor(schema, nil, read, &guest{id: "25"})}, "3", true, true},
		"negative numbers count as zero": {listing.Query{Start: -1, Limit: -1, First: n(-1)}, "", false, true},
	} {
		page, err := listing.Paginate(schema, read, guests, c.q)
		if err != nil {
			t.Errorf("%s: %v", claim, err)
			continue
		}
		if got := strings.Join(ids(page.Items), ""); got != c.want || page.HasPrevious != c.previous || page.HasNext != c.next {
			t.Errorf("%s: got %q, previous %t, next %t", claim, got, page.HasPrevious, page.HasNext)
		}
	}
}

func TestCursorIsRefused(t *testing.T) {
	t.Parallel()
	orders := []listing.Order{{Field: "state"}}
	good := listing.EncodeCursor(schema, orders, read, anna())
	for claim, c := range map[string]struct {
		orders []listing.Order
		cursor string
	}{
		"of another order":     {[]listing.Order{{Field: "name"}}, good},
		"of another direction": {[]listing.Order{{Field: "state", Desc: true}}, good},
		"cut off":              {orders, good[:len(good)-4]},
		"with a suffix":        {orders, good + "AAAA"},
		"not Base64":           {orders, "~"},
		"empty":                {orders, ""},
		"without an id":        {orders, listing.EncodeCursor(schema, orders, read, &guest{state: "sent"})},
	} {
		_, err := listing.DecodeCursor(schema, c.orders, "before", c.cursor)
		if !problem.Has(err, problem.InvalidParameter) || problem.Of(err).Attributes["name"] != "before" {
			t.Errorf("%s: got %v", claim, err)
		}
	}
	for _, q := range []listing.Query{{After: "x"}, {Before: "x"}} {
		if _, err := listing.Paginate(schema, read, []*guest{}, q); !problem.Has(err, problem.InvalidParameter) {
			t.Errorf("got %v", err)
		}
	}
	// An order with a redundant key is the same order.
	if _, err := listing.DecodeCursor(schema, []listing.Order{{Field: "state"}, {Field: "_id"}, {Field: "name"}}, "after", good); err != nil {
		t.Error(err)
	}
}

func TestCursorIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		orders, g := someOrders.Draw(t, "orders"), someGuest.Draw(t, "guest")
		g.id = "g_1"
		g.name = rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "\x00") }).Draw(t, "any name")
		at, err := listing.DecodeCursor(schema, orders, "after", listing.EncodeCursor(schema, orders, read, g))
		if err != nil {
			t.Fatal(err)
		}
		if listing.After(schema, orders, read, g, at) || listing.Before(schema, orders, read, g, at) {
			t.Fatalf("%v is not the position of its record", at)
		}
	})
}
