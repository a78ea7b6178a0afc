package dbtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
)

// words often collide, in case and in missing values, and sort differently by language and by code point.
var words = []string{"a", "A", "b", "B", "ä", "Ä", "z", "Z", "", " ", "aa", "aB", "ß", "İ", "😀", "a_b", "a%", "joint"}

func word(r *rand.Rand) string { return words[r.IntN(len(words))] }

func maybe(r *rand.Rand) *string {
	if r.IntN(3) == 0 {
		return nil
	}
	return ptr(word(r))
}

// anyInvitation returns an invitation that probably shares values with others.
func anyInvitation(r *rand.Rand) *domain.Invitation {
	at := func() time.Time { return epoch.Add(time.Duration(r.IntN(4)) * time.Microsecond) }
	i := &domain.Invitation{
		Meta:         domain.Meta{ID: domain.NewID("inv", at()), Version: 1, CreatedAt: at(), UpdatedAt: at()},
		State:        domain.InvitationState(stateNames[r.IntN(len(stateNames))]),
		Type:         []domain.InvitationType{domain.InvitationJoint, domain.InvitationAuthorizedSigner}[r.IntN(2)],
		EmailAddress: word(r) + "@x", FirstName: maybe(r), LastName: maybe(r), AccountURI: maybe(r), OrganizationURI: maybe(r),
		OrganizationRole: maybe(r), InviterFullName: word(r), SecretHash: "x", ExpiresAt: at(), CreatedBy: word(r),
		CustomerID: maybe(r), CustomerGroup: maybe(r), AcceptedBy: maybe(r), VerificationCount: r.IntN(3), ResendCount: r.IntN(3),
	}
	if r.IntN(2) == 0 {
		i.AccountID = word(r)
	} else {
		i.OrganizationID = word(r)
	}
	return i
}

var stateNames = func() (out []string) {
	machine, _ := domain.Lifecycle(domain.KindInvitation)
	for _, s := range machine.States {
		out = append(out, s.Name)
	}
	return out
}()

// lists compares the database with package listing for random predicates, orders and pages over random records.
func lists(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // test data
	var all []*domain.Invitation
	for range 60 {
		all = append(all, s.create(t, anyInvitation(r)))
	}
	agree(t, s.Invitations(), guesser[domain.Invitation]{
		schema: domain.InvitationSchema, read: domain.InvitationValue, all: all, gone: func(i *domain.Invitation) { i.ID += "x" },
	})
}

// sessionLists does the same for sessions.
func sessionLists(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // test data
	machine, _ := domain.Lifecycle(domain.KindSession)
	at := func() time.Time { return epoch.Add(time.Duration(r.IntN(4)) * time.Microsecond) }
	var all []*domain.Session
	for range 60 {
		one := &domain.Session{
			Meta:  domain.Meta{ID: domain.NewID("sess", at()), Version: 1, CreatedAt: at(), UpdatedAt: at()},
			State: domain.SessionState(machine.States[r.IntN(len(machine.States))].Name), UserID: word(r), ClientID: maybe(r),
			LastActiveAt: at(), AbandonAt: at(), ExpireAt: at(), IPAddress: maybe(r), UserAgent: maybe(r),
		}
		all = append(all, s.login(t, one))
	}
	agree(t, s.Sessions(), guesser[domain.Session]{
		schema: domain.SessionSchema, read: domain.SessionValue, all: all, gone: func(r *domain.Session) { r.ID += "x" },
	})
}

func agree[R any](t *testing.T, shelf domain.Shelf[R], g guesser[R]) {
	t.Helper()
	schema, read := g.schema, g.read
	plain := 0
	rapid.Check(t, func(rt *rapid.T) {
		g.rt = rt
		q := g.query()
		var matched []*R
		for _, i := range g.all {
			if listing.Match(schema, q.Where, read, i) {
				matched = append(matched, i)
			}
		}
		want, err := listing.Paginate(schema, read, matched, q)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := shelf.List(t.Context(), q)
		if err != nil {
			rt.Fatalf("%+v: %v", q, err)
		}
		if g, w := shape(read, got), shape(read, want); g != w {
			rt.Fatalf("%+v\n got %s\nwant %s", q, g, w)
		}
		if _, rest := listing.Split(schema, q.Where); rest == listing.True && listing.PlainOrder(schema, q.Order) {
			plain++
		}
	})
	if plain == 0 {
		t.Error("no query was answered by the database alone")
	}
}

func shape[R any](read listing.Reader[R], p listing.Page[R]) string {
	var ids []listing.Value
	for _, i := range p.Items {
		ids = append(ids, read(i, listing.IDField))
	}
	return fmt.Sprint(ids, p.Cursors, p.Count, p.HasPrevious, p.HasNext)
}

// guesser generates queries.
type guesser[R any] struct {
	rt     *rapid.T
	schema listing.Schema
	read   listing.Reader[R]
	all    []*R
	// gone marks the record as not stored.
	gone func(*R)
}

func (g guesser[R]) int(n int) int { return rapid.IntRange(0, n-1).Draw(g.rt, "n") }

func (g guesser[R]) field(only func(listing.Field) bool) listing.Field {
	fields := g.schema.Fields
	if only != nil {
		fields = slices.DeleteFunc(slices.Clone(fields), func(f listing.Field) bool { return !only(f) })
	}
	return fields[g.int(len(fields))]
}

// literal usually returns a value of a record.
func (g guesser[R]) literal(f listing.Field) listing.Value {
	switch g.int(8) {
	case 0:
		return nil
	case 1:
		switch f.Type {
		case listing.Time:
			return epoch.Add(time.Duration(g.int(5000)) * time.Nanosecond)
		case listing.Number:
			return []float64{-1, 0.5, 1, 1.5, 1e300}[g.int(5)]
		case listing.Text, listing.ID, listing.Enum, listing.Bool:
			return append(slices.Clone(words), "a\x00", "\xff", "Ä@X", "B@x")[g.int(len(words)+4)]
		}
	}
	return g.read(g.all[g.int(len(g.all))], f.Name)
}

func (g guesser[R]) predicate(depth int) listing.Predicate {
	of := func() (out []listing.Predicate) {
		for range g.int(4) {
			out = append(out, g.predicate(depth-1))
		}
		return out
	}
	kind := g.int(14)
	if depth == 0 && kind < 4 {
		kind += 4
	}
	switch kind {
	case 0:
		return listing.And{Of: of()}
	case 1:
		return listing.All(of()...)
	case 2:
		return listing.Or{Of: of()}
	case 3:
		return listing.Not{Of: g.predicate(depth - 1)}
	case 4:
		return listing.Constant(g.int(2) == 0)
	case 5:
		return listing.IsNull{Field: g.field(nil).Name}
	case 6:
		f := g.field(nil)
		var values []listing.Value
		for range g.int(4) {
			values = append(values, g.literal(f))
		}
		if g.int(2) == 0 {
			return listing.OneOf(f.Name, values...)
		}
		return listing.In{Field: f.Name, Values: values}
	case 7:
		f := g.field(nil)
		other := g.field(func(o listing.Field) bool { return o.Type == f.Type })
		return listing.Compare{Op: g.op(), Left: listing.Operand{Field: f.Name}, Right: listing.Operand{Field: other.Name}}
	case 8:
		return listing.Like{Op: listing.Contains, Field: g.field(nil).Name, Text: words[g.int(len(words))]}
	case 9:
		return listing.Search{Any: [][]string{{words[g.int(len(words))]}}}
	}
	f := g.field(nil)
	if kind > 10 { // columns of the database only
		f = g.field(func(f listing.Field) bool { return !f.Sealed })
	}
	return listing.Compare{Op: g.op(), Left: listing.Operand{Field: f.Name}, Right: listing.Operand{Value: g.literal(f)}}
}

func (g guesser[R]) op() listing.Op {
	return []listing.Op{listing.EQ, listing.NE, listing.LT, listing.LE, listing.GT, listing.GE}[g.int(6)]
}

func (g guesser[R]) query() listing.Query {
	q := listing.Query{Where: g.predicate(3), WithCount: g.int(2) == 0}
	if g.int(6) == 0 {
		q.Where = nil
	}
	for range g.int(4) {
		f := g.field(nil)
		if g.int(4) > 0 {
			f = g.field(func(f listing.Field) bool {
				return listing.PlainOrder(g.schema, []listing.Order{{Field: f.Name}})
			})
		}
		q.Order = append(q.Order, listing.Order{Field: f.Name, Desc: g.int(2) == 0})
	}
	cursor := func() string {
		if g.int(2) == 0 {
			return ""
		}
		i := *g.all[g.int(len(g.all))]
		if g.int(4) == 0 {
			g.gone(&i)
		}
		return listing.EncodeCursor(g.schema, q.Order, g.read, &i)
	}
	size := func() *int {
		if g.int(2) == 0 {
			return nil
		}
		return ptr(g.int(12))
	}
	if g.int(3) == 0 {
		q.Start, q.Limit = g.int(70), g.int(30)
		return q
	}
	q.First, q.Last, q.After, q.Before = size(), size(), cursor(), cursor()
	return q
}

func portions(t *testing.T, fresh Fresh) {
	s := open(t, fresh(t))
	unit := &domain.Unit{}
	want := 0
	for n := range 1203 {
		i := invitation(s.now())
		if n%3 == 0 {
			i.EmailAddress = "Other@example.org"
			want++
		}
		unit.Changes = append(unit.Changes, domain.Change{Record: i})
	}
	must(t, s.commit(t.Context(), unit))
	page, err := s.Invitations().List(t.Context(), listing.Query{
		Where: listing.Like{Op: listing.EndsWith, Field: "emailAddress", Text: "example.ORG"}, Limit: 5, WithCount: true,
	})
	must(t, err)
	if page.Count != want || len(page.Items) != 5 {
		t.Errorf("%d of %d", page.Count, want)
	}
}
