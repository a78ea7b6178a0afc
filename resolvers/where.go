package resolvers

import (
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

// maxTerms is the maximum number of conditions in a query: more than any user interface needs, and fewer than a
// database refuses.
const maxTerms = 200

// whereCompiler converts a where argument to a predicate. It stops at the first invalid condition.
type whereCompiler struct {
	service *domain.Service
	terms   int
	err     error
}

// conjunction collects conditions that must all be true.
type conjunction struct {
	*whereCompiler
	of []listing.Predicate
}

func whereInvitation(s *domain.Service, w *graph.InvitationWhere) (listing.Predicate, error) {
	c := &whereCompiler{service: s}
	p := c.invitation(w, 1)
	return p, c.err
}

func (c *whereCompiler) invitation(w *graph.InvitationWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.invitation, depth, w.And, w.Or, w.Not)
	if w.Search != nil {
		p, err := listing.ParseSearch(domain.InvitationSchema, *w.Search)
		c.fail(err)
		all.add(p)
	}
	all.id("_id", w.ID)
	if s := w.State; s != nil {
		enumTerms(all, "state", s.Eq, s.Ne, s.In)
	}
	if t := w.Type; t != nil {
		enumTerms(all, "type", t.Eq, t.Ne, t.In)
	}
	if e := w.EmailAddress; e != nil {
		enumTerms(all, "emailAddressFolded", e.Eq, nil, e.In)
		all.like("emailAddress", listing.Contains, e.Contains)
	}
	all.uri(w.AccountURI, c.service.InvitationsOfAccounts)
	all.uri(w.OrganizationURI, c.service.InvitationsOfOrganizations)
	all.text("role", w.Role)
	all.text("inviterFullName", w.InviterFullName)
	all.text("firstName", w.FirstName)
	all.text("lastName", w.LastName)
	all.instant("createdAt", w.CreatedAt)
	all.instant("updatedAt", w.UpdatedAt)
	all.instant("expiresAt", w.ExpiresAt)
	all.id("createdBy", w.CreatedBy)
	all.id("acceptedBy", w.AcceptedBy)
	all.id("customerId", w.CustomerID)
	all.id("customerGroup", w.CustomerGroup)
	all.number("verificationCount", w.VerificationCount)
	all.number("resendCount", w.ResendCount)
	return listing.All(all.of...)
}

func whereSession(w *graph.SessionWhere) (listing.Predicate, error) {
	c := &whereCompiler{}
	p := c.session(w, 1)
	return p, c.err
}

func (c *whereCompiler) session(w *graph.SessionWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.session, depth, w.And, w.Or, w.Not)
	all.id("_id", w.ID)
	if s := w.Status; s != nil {
		enumTerms(all, "state", s.Eq, s.Ne, s.In)
	}
	all.id("userId", w.UserID)
	all.id("clientId", w.ClientID)
	all.instant("createdAt", w.CreatedAt)
	all.instant("updatedAt", w.UpdatedAt)
	all.instant("lastActiveAt", w.LastActiveAt)
	all.instant("expireAt", w.ExpireAt)
	all.instant("abandonAt", w.AbandonAt)
	return listing.All(all.of...)
}

// ok reports whether compilation can continue: not after an invalid condition.
func (c *whereCompiler) ok(depth int) bool {
	if depth > listing.MaxNesting {
		c.refuse("where is nested too deeply.")
	}
	return c.err == nil
}

// nested adds the conditions that consist of other conditions.
func nested[W any](all *conjunction, compile func(*W, int) listing.Predicate, depth int, and, or []*W, not *W) {
	for _, one := range and {
		all.add(compile(one, depth+1))
	}
	if or != nil {
		var anyOf []listing.Predicate
		for _, one := range or {
			anyOf = append(anyOf, compile(one, depth+1))
		}
		all.add(listing.Any(anyOf...))
	}
	if not != nil {
		all.add(listing.Negate(compile(not, depth+1)))
	}
}

func (c *whereCompiler) refuse(text string) {
	if c.err == nil {
		c.err = problem.New(problem.InvalidInput).Because("%s", text).At("where")
	}
}

func (c *whereCompiler) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// add adds a condition.
func (all *conjunction) add(p listing.Predicate) {
	if all.terms++; all.terms > maxTerms {
		all.refuse("where has too many conditions.")
		return
	}
	all.of = append(all.of, p)
}

// storable refuses texts with NUL, which databases cannot store, and so cannot be queried for.
func (all *conjunction) storable(texts ...string) {
	for _, text := range texts {
		if strings.ContainsRune(text, 0) {
			all.refuse("where has a character that is not allowed.")
		}
	}
}

// enumTerms compares a field with values: of an enumeration, ids or texts. It ignores absent operators.
func enumTerms[S ~string](all *conjunction, field string, eq, ne *S, in []S) {
	if eq != nil {
		all.storable(string(*eq))
		all.add(listing.Eq(field, string(*eq)))
	}
	if ne != nil {
		all.storable(string(*ne))
		all.add(listing.Ne(field, string(*ne)))
	}
	if in != nil {
		for _, w := range in {
			all.storable(string(w))
		}
		all.size(len(in))
		all.add(listing.OneWord(field, in...))
	}
}

func (all *conjunction) size(n int) {
	if n > listing.MaxLiterals {
		all.refuse("A list of values in where is too long.")
	}
}

func (all *conjunction) like(field string, op listing.LikeOp, text *string) {
	if text != nil {
		all.storable(*text)
		all.add(listing.Like{Op: op, Field: field, Text: *text})
	}
}

func (all *conjunction) null(field string, is *bool) {
	switch {
	case is == nil:
	case *is:
		all.add(listing.Eq(field, nil))
	default:
		all.add(listing.Ne(field, nil))
	}
}

func (all *conjunction) id(field string, w *graph.IDWhere) {
	if w != nil {
		enumTerms(all, field, w.Eq, w.Ne, w.In)
		all.null(field, w.IsNull)
	}
}

func (all *conjunction) text(field string, w *graph.TextWhere) {
	if w != nil {
		enumTerms(all, field, w.Eq, w.Ne, w.In)
		all.like(field, listing.Contains, w.Contains)
		all.like(field, listing.StartsWith, w.StartsWith)
		all.null(field, w.IsNull)
	}
}

func (all *conjunction) uri(w *graph.URIWhere, of func(...string) listing.Predicate) {
	if w == nil {
		return
	}
	if w.Eq != nil {
		all.storable(*w.Eq)
		all.add(of(*w.Eq))
	}
	if w.In != nil {
		all.storable(w.In...)
		all.size(len(w.In))
		all.add(of(w.In...))
	}
}

func (all *conjunction) instant(field string, w *graph.DateTimeWhere) {
	if w == nil {
		return
	}
	for _, r := range []struct {
		op listing.Op
		at *time.Time
	}{{listing.EQ, w.Eq}, {listing.GT, w.Gt}, {listing.GE, w.Gte}, {listing.LT, w.Lt}, {listing.LE, w.Lte}} {
		if r.at == nil {
			continue
		}
		at := r.at.UTC()
		if at.IsZero() || at.Year() < 1 || at.Year() > 9999 {
			all.refuse("where has a time outside the supported range.")
		}
		all.add(listing.Is(r.op, field, at))
	}
}

func (all *conjunction) number(field string, w *graph.IntWhere) {
	if w == nil {
		return
	}
	for _, r := range []struct {
		op listing.Op
		n  *int
	}{{listing.EQ, w.Eq}, {listing.NE, w.Ne}, {listing.GT, w.Gt}, {listing.GE, w.Gte}, {listing.LT, w.Lt}, {listing.LE, w.Lte}} {
		if r.n != nil {
			all.add(listing.Is(r.op, field, float64(*r.n)))
		}
	}
	if w.In != nil {
		values := make([]listing.Value, 0, len(w.In))
		for _, n := range w.In {
			values = append(values, float64(n))
		}
		all.size(len(values))
		all.add(listing.OneOf(field, values...))
	}
}

// orderField returns the list field for its name in the schema: EMAIL_ADDRESS is emailAddress, and ID the id.
func orderField[S ~string](word S) string {
	if word == "ID" {
		return listing.IDField
	}
	first, rest, _ := strings.Cut(strings.ToLower(string(word)), "_")
	out := first
	for _, part := range strings.Split(rest, "_") {
		if part != "" {
			out += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return out
}
