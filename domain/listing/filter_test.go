package listing_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

func TestParseFilter(t *testing.T) {
	t.Parallel()
	field := func(name string) listing.Operand { return listing.Operand{Field: name} }
	lit := func(v listing.Value) listing.Operand { return listing.Operand{Value: v} }
	eq := func(f string, v listing.Value) listing.Predicate {
		return listing.Compare{Op: listing.EQ, Left: field(f), Right: lit(v)}
	}
	for expression, want := range map[string]listing.Predicate{
		`eq(name,'a')`:                              eq("name", "a"),
		" \teq( name ,\t\"a\" ) ":                   eq("name", "a"),
		`eq(name,'it''s "\'\\\n')`:                  eq("name", `it's "'\n`),
		`eq(name,"say ""é"" \é")`:                   eq("name", `say "é" é`),
		`eq(inputs.note,'')`:                        eq("inputs.note", ""),
		`eq('a',name)`:                              eq("name", "a"),
		`lt(2,visits)`:                              listing.Compare{Op: listing.GT, Left: field("visits"), Right: lit(2.0)},
		`ge(-1.5e+2,visits)`:                        listing.Compare{Op: listing.LE, Left: field("visits"), Right: lit(-150.0)},
		`eq(visits,007)`:                            eq("visits", 7.0),
		`eq(vip,true)`:                              eq("vip", true),
		`ne(vip,false)`:                             listing.Compare{Op: listing.NE, Left: field("vip"), Right: lit(false)},
		`eq(name,null)`:                             listing.IsNull{Field: "name"},
		`ne(null,name)`:                             listing.Not{Of: listing.IsNull{Field: "name"}},
		`isNull(state)`:                             listing.IsNull{Field: "state"},
		`in(state,'sent')`:                          eq("state", "sent"),
		`in(state,'sent','revoked')`:                listing.In{Field: "state", Values: []listing.Value{"sent", "revoked"}},
		`in(state,'sent',null)`:                     listing.Or{Of: []listing.Predicate{eq("state", "sent"), listing.IsNull{Field: "state"}}},
		`in(tags,'red')`:                            eq("tags", "red"),
		`gt(createdAt,'2024-01-01T14:00:00+02:00')`: listing.Compare{Op: listing.GE, Left: field("createdAt"), Right: lit(day(1).Add(time.Second))},
		`lt(createdAt,leftAt)`:                      listing.Compare{Op: listing.LT, Left: field("createdAt"), Right: field("leftAt")},
		`eq(name,_id)`:                              listing.Compare{Op: listing.EQ, Left: field("name"), Right: field("_id")},
		`contains(name,'x')`:                        listing.Like{Op: listing.Contains, Field: "name", Text: "x"},
		`startsWith(_id,"g")`:                       listing.Like{Op: listing.StartsWith, Field: "_id", Text: "g"},
		`not(isNull(name))`:                         listing.Not{Of: listing.IsNull{Field: "name"}},
		`search('"demand deposit" and interest')`:   listing.Search{Any: [][]string{{"demand deposit", "interest"}}},
		`search('')`:                                listing.True,
		`eq(1,1.0)`:                                 listing.True,
		`lt('b','a')`:                               listing.False,
		`ne(null,'a')`:                              listing.True,
		`eq(null,null)`:                             listing.True,
		`and(isNull(name),or(isNull(mail),isNull(state)),and(isNull(vip),isNull(visits)))`: listing.And{Of: []listing.Predicate{
			listing.IsNull{Field: "name"},
			listing.Or{Of: []listing.Predicate{listing.IsNull{Field: "mail"}, listing.IsNull{Field: "state"}}},
			listing.IsNull{Field: "vip"},
			listing.IsNull{Field: "visits"},
		}},
	} {
		got, err := listing.ParseFilter(schema, expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", expression, got, want)
		}
	}
}

func TestParseFilterRefusesSyntax(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("not(", n-1) + "isNull(name)" + strings.Repeat(")", n-1) }
	literals := func(n int) string { return "in(visits" + strings.Repeat(",1", n) + ")" }
	for expression, position := range map[string]int{
		``:                               0,
		`   `:                            3,
		`name`:                           0,
		`Eq(name,'a')`:                   0,
		`eq (name,'a')`:                  2,
		"eq(name,\n'a')":                 8,
		`eq(name)`:                       7,
		`eq(name,'a'`:                    11,
		`eq(name,'a',`:                   11,
		`eq(name,'a')x`:                  12,
		`eq(name,'é')x`:                  12,
		`eq(name,'a)`:                    8,
		`eq(name,'a\`:                    8,
		`eq(name,-)`:                     9,
		`eq(name,1.)`:                    10,
		`eq(name,1e)`:                    10,
		`eq(name,.5)`:                    8,
		`eq(inputs.,'a')`:                10,
		`eq(1name,'a')`:                  4,
		`and(isNull(name))`:              16,
		`and()`:                          4,
		`and(isNull(name),)`:             17,
		`not(isNull(name),isNull(name))`: 16,
		`in(name)`:                       7,
		`in(name,mail)`:                  8,
		`contains(name,5)`:               14,
		`isNull('name')`:                 7,
		`search(name)`:                   7,
		`search('"a')`:                   7,
		`search('a and')`:                7,
		"eq(name,'\x00')":                9,
		"eq(name,'\xff')":                9,
		`eq(nope,'a`:                     8, // the syntax is checked first
		nested(33):                       4 * 32,
		literals(101):                    9 + 2*100 + 1,
		strings.Repeat(" ", 4097):        4096,
		`eq(name,'` + strings.Repeat("é", 4086) + `')`: 4096,
	} {
		_, err := listing.ParseFilter(schema, expression)
		if !problem.Has(err, problem.InvalidFilter) {
			t.Errorf("%.40q: got %v", expression, err)
			continue
		}
		if got := problem.Of(err).Attributes["position"]; got != position {
			t.Errorf("%.40q: position %v, want %d (%v)", expression, got, position, err)
		}
	}
	for _, expression := range []string{nested(32), literals(100), `eq(name,'` + strings.Repeat("é", 4085) + `')`} {
		if _, err := listing.ParseFilter(schema, expression); err != nil {
			t.Errorf("%.40q: %v", expression, err)
		}
	}
}

func TestParseFilterRefusesMeaning(t *testing.T) {
	t.Parallel()
	for expression, property := range map[string]any{
		`eq(nope,'a')`:                              "nope",
		`eq(state.x,'a')`:                           "state.x",
		`eq(owner,'u_1')`:                           "owner",
		`isNull(owner)`:                             "owner",
		`startsWith(nope,'')`:                       "nope",
		`in(nope,1)`:                                "nope",
		`eq(name,nope)`:                             "nope",
		`eq(name,1)`:                                "name",
		`eq(visits,'1')`:                            "visits",
		`eq(visits,1e999)`:                          "visits",
		`eq(vip,'true')`:                            "vip",
		`lt(vip,true)`:                              "vip",
		`eq(state,'Sent')`:                          "state",
		`lt(state,'sent')`:                          "state",
		`lt(name,state)`:                            "state",
		`eq(name,state)`:                            "state",
		`contains(state,'s')`:                       "state",
		`contains(visits,'1')`:                      "visits",
		`contains(createdAt,'2')`:                   "createdAt",
		`eq(createdAt,'yesterday')`:                 "createdAt",
		`eq(createdAt,'2024-01-01')`:                "createdAt",
		`eq(createdAt,'2024-01-01T1:00:00Z')`:       "createdAt",
		`eq(createdAt,'0000-01-01T00:00:00Z')`:      "createdAt",
		`eq(createdAt,'0001-01-01T00:00:00+01:00')`: "createdAt",
		`in(createdAt,'2024-01-01T12:00:00Z',3)`:    "createdAt",
		`lt(createdAt,visits)`:                      "visits",
		`lt(name,null)`:                             "name",
		`ne(tags,'red')`:                            "tags",
		`eq(tags,null)`:                             "tags",
		`eq(tags,state)`:                            "state",
		`isNull(tags)`:                              "tags",
		`eq(1,'a')`:                                 nil,
		`lt(null,null)`:                             nil,
		`lt(true,false)`:                            nil,
	} {
		_, err := listing.ParseFilter(schema, expression)
		if !problem.Has(err, problem.MeaninglessFilter) {
			t.Errorf("%s: got %v", expression, err)
			continue
		}
		if got := problem.Of(err).Attributes["property"]; got != property {
			t.Errorf("%s: property %v, want %v", expression, got, property)
		}
	}
}

func TestMatchFilter(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]bool{
		`eq(name,'Anna Älva')`:                      true,
		`eq(name,'anna älva')`:                      false,
		`eq(mail,'aNNA@eXAMPLE.ORG')`:               true,
		`ne(mail,'aNNA@eXAMPLE.ORG')`:               false,
		`in(mail,'x','ANNA@example.org')`:           true,
		`gt(name,'Anna')`:                           true,
		`lt(name,'anna')`:                           true, // by code point
		`contains(name,'NNA ä')`:                    true,
		`contains(name,'alva')`:                     false, // accents are significant
		`startsWith(name,'anna')`:                   true,
		`endsWith(name,'ÄLVA')`:                     true,
		`contains(name,'')`:                         true,
		`eq(state,'sent')`:                          true,
		`in(state,'accepted','revoked')`:            false,
		`eq(tags,'red')`:                            true,
		`eq(tags,'blue')`:                           false,
		`in(tags,'blue','red')`:                     true,
		`ge(visits,3)`:                              true,
		`lt(visits,2.5)`:                            false,
		`eq(vip,true)`:                              true,
		`eq(createdAt,'2024-01-01T13:00:00+01:00')`: true,
		`le(createdAt,'2024-01-01T11:59:59.999Z')`:  false,
		// The guest has not left, so leftAt is missing.
		`lt(createdAt,leftAt)`:                            false,
		`ge(createdAt,leftAt)`:                            false,
		`ne(createdAt,leftAt)`:                            false,
		`not(ne(createdAt,leftAt))`:                       true,
		`ne(leftAt,'2024-01-01T12:00:00Z')`:               true,
		`eq(leftAt,'2024-01-01T12:00:00Z')`:               false,
		`not(lt(leftAt,'2024-01-01T12:00:00Z'))`:          true,
		`eq(leftAt,null)`:                                 true,
		`ne(leftAt,null)`:                                 false,
		`ne(name,null)`:                                   true,
		`in(leftAt,'2024-01-01T12:00:00Z',null)`:          true,
		`isNull(leftAt)`:                                  true,
		`contains(inputs.note,'LOUD')`:                    true,
		`search('nobody anna')`:                           true,
		`search('anna and RED')`:                          true,
		`search('loud')`:                                  false, // not a searched field
		`and(eq(vip,true),or(eq(visits,1),eq(visits,3)))`: true,
	} {
		p, err := listing.ParseFilter(schema, expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := listing.Match(schema, p, read, anna()); got != want {
			t.Errorf("%s: got %t", expression, got)
		}
	}
	if !listing.Match(schema, nil, read, anna()) {
		t.Error("nil is not true")
	}
}

// TestATimeWithoutAFractionIsItsWholeSecond: what an API shows in seconds finds the record that it was shown for.
func TestATimeWithoutAFractionIsItsWholeSecond(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string][3]bool{ // for .000000, .999999 and the next second
		`eq(createdAt,'2024-01-01T12:00:00Z')`:                          {true, true, false},
		`eq(createdAt,'2024-01-01T12:00:00.000Z')`:                      {true, false, false},
		`ne(createdAt,'2024-01-01T12:00:00Z')`:                          {false, false, true},
		`gt(createdAt,'2024-01-01T12:00:00Z')`:                          {false, false, true},
		`gt(createdAt,'2024-01-01T12:00:00.000Z')`:                      {false, true, true},
		`ge(createdAt,'2024-01-01T12:00:00Z')`:                          {true, true, true},
		`lt(createdAt,'2024-01-01T12:00:00Z')`:                          {false, false, false},
		`le(createdAt,'2024-01-01T12:00:00Z')`:                          {true, true, false},
		`le(createdAt,'2024-01-01T12:00:00.5Z')`:                        {true, false, false},
		`lt('2024-01-01T12:00:00Z',createdAt)`:                          {false, false, true},
		`in(createdAt,'2024-01-01T12:00:00Z','2023-01-01T12:00:00Z')`:   {true, true, false},
		`in(createdAt,'2024-01-01T12:00:00Z','2024-01-01T12:00:01.0Z')`: {true, true, true},
	} {
		p, err := listing.ParseFilter(schema, expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		for i, at := range []time.Time{day(1), day(1).Add(999999 * time.Microsecond), day(1).Add(time.Second)} {
			a := anna()
			a.created = at
			if got := listing.Match(schema, p, read, a); got != want[i] {
				t.Errorf("%s at %s: got %t", expression, at.Format(time.RFC3339Nano), got)
			}
		}
	}
}

func TestPrintedFilterIsReadAgain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := somePredicate(t, 3)
		expression := text(p)
		again, err := listing.ParseFilter(schema, expression)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("%s: got %s", expression, text(again))
		}
	})
}
