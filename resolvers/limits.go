package resolvers

import (
	"context"
	"encoding/json"
	"reflect"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/graph"
)

// Limits bound what one request may ask for. They hold before anything is done that takes long: the size before
// the document is read, its counts before it is validated, its complexity before it is executed.
type Limits struct {
	// Body is the size of a request body, or of a query string, in bytes.
	Body int
	// Tokens is the length of a document in words and signs.
	Tokens int
	// Fields, Aliases and Roots count fields, aliases and root fields of one operation, each fragment as often as it
	// is spread.
	Fields, Aliases, Roots int
	// Depth is how deep fields stand inside fields. The introspection query of the tools is 15 deep.
	Depth int
	// Directives counts directives in the document.
	Directives int
	// Complexity is what an operation costs: one for each field, times the entries of the list it stands in.
	Complexity int
}

// DefaultLimits are what a client of the playground or of an application does not meet.
var DefaultLimits = Limits{
	Body: 64 << 10, Tokens: 2000, Fields: 500, Aliases: 50, Roots: 20, Depth: 15, Directives: 50, Complexity: 10_000,
}

// guard is the gqlgen extension that holds the limits.
type guard struct {
	limits      Limits
	development bool
	documents   graphql.Cache[*ast.QueryDocument]
	schema      graphql.ExecutableSchema
}

// ExtensionName is for gqlgen.
func (*guard) ExtensionName() string { return "Limits" }

// Validate is for gqlgen.
func (*guard) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters counts a document that was not seen before. What costs more than its length, the
// validation, comes after it.
func (g *guard) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if params.Query == "" {
		return refusal(codeBadDocument, "There is no document.")
	}
	if _, seen := g.documents.Get(ctx, params.Query); seen {
		return nil
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: params.Query}, g.limits.Tokens)
	if err != nil {
		told := &gqlerror.Error{Message: err.Error()}
		if e, ok := err.(*gqlerror.Error); ok { //nolint:errorlint // the parser gives nothing else, and wraps nothing
			told = e
		}
		errcode.Set(told, errcode.ParseFailed)
		return told
	}
	return g.count(doc)
}

func (g *guard) count(doc *ast.QueryDocument) *gqlerror.Error {
	c := counter{doc: doc, fragments: map[string]*counts{}}
	sets := make([]ast.SelectionSet, 0, len(doc.Operations)+len(doc.Fragments))
	for _, op := range doc.Operations {
		sets = append(sets, op.SelectionSet)
		c.directives += len(op.Directives)
		for _, v := range op.VariableDefinitions {
			c.directives += len(v.Directives)
		}
	}
	for _, f := range doc.Fragments {
		sets = append(sets, ast.SelectionSet{&ast.FragmentSpread{Name: f.Name}})
		c.directives += len(f.Directives)
	}
	for i, set := range sets {
		n := c.set(set)
		switch {
		case c.cyclic:
			return refusal(codeBadDocument, "A fragment spreads itself.")
		case n.fields > g.limits.Fields:
			return refusal(codeTooComplex, "The document asks for too many fields.")
		case n.aliases > g.limits.Aliases:
			return refusal(codeTooComplex, "The document has too many aliases.")
		case n.depth > g.limits.Depth:
			return refusal(codeTooComplex, "The document is too deep.")
		case n.top > g.limits.Roots && i < len(doc.Operations):
			return refusal(codeTooComplex, "The document has too many root fields.")
		case c.directives > g.limits.Directives:
			return refusal(codeTooComplex, "The document has too many directives.")
		}
	}
	return nil
}

// counts are those of a selection set with its fragments.
type counts struct{ fields, aliases, depth, top int }

// enough is where counting stops: fragments that spread fragments would overflow any number.
const enough = 1 << 30

func (n *counts) add(m counts) {
	n.fields = min(n.fields+m.fields, enough)
	n.aliases = min(n.aliases+m.aliases, enough)
	n.depth = max(n.depth, m.depth)
	n.top = min(n.top+m.top, enough)
}

// counter looks at each fragment once.
type counter struct {
	doc        *ast.QueryDocument
	fragments  map[string]*counts // nil while it is being counted
	directives int
	cyclic     bool
}

func (c *counter) set(set ast.SelectionSet) counts {
	var n counts
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			m := c.set(s.SelectionSet)
			m.fields, m.depth, m.top = m.fields+1, m.depth+1, 1
			if s.Alias != s.Name {
				m.aliases++
			}
			c.directives += len(s.Directives)
			n.add(m)
		case *ast.InlineFragment:
			c.directives += len(s.Directives)
			n.add(c.set(s.SelectionSet))
		case *ast.FragmentSpread:
			c.directives += len(s.Directives)
			n.add(c.fragment(s.Name))
		}
	}
	return n
}

func (c *counter) fragment(name string) counts {
	if n, seen := c.fragments[name]; seen {
		if n == nil {
			c.cyclic = true
			return counts{}
		}
		return *n
	}
	f := c.doc.Fragments.ForName(name)
	if f == nil {
		return counts{} // the validation says so
	}
	c.fragments[name] = nil
	n := c.set(f.SelectionSet)
	c.fragments[name] = &n
	return n
}

// MutateOperationContext looks at one operation with its variables.
func (g *guard) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	op.DisableIntrospection = !g.development && !domain.ActorFrom(ctx).SeesAll()
	if op.DisableIntrospection && introspects(op.Operation.SelectionSet) {
		return refusal(codeBadDocument, "The schema is shown in development and to administrators only.")
	}
	for _, v := range op.Operation.VariableDefinitions {
		if value, ok := op.Variables[v.Variable]; ok && !g.exact(v.Type, value) {
			return refusal(codeBadDocument, "The variable $"+shorten(v.Variable)+" is not of its type.")
		}
	}
	if complexity.Calculate(ctx, g.schema, op.Operation, op.Variables) > g.limits.Complexity {
		return refusal(codeTooComplex, "The document asks for too much at once. Ask for smaller pages or fewer fields.")
	}
	return nil
}

// introspects reports whether a root field asks for the schema.
func introspects(set ast.SelectionSet) bool {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if s.Name == "__schema" || s.Name == "__type" {
				return true
			}
		case *ast.InlineFragment:
			if introspects(s.SelectionSet) {
				return true
			}
		case *ast.FragmentSpread:
			if s.Definition != nil && introspects(s.Definition.SelectionSet) {
				return true
			}
		}
	}
	return false
}

// exact reports whether a value of a variable is what its type says. The library lets pass what GraphQL does not:
// words of enumerations in any case, numbers as texts, texts as numbers.
func (g *guard) exact(t *ast.Type, value any) bool {
	if value == nil {
		return !t.NonNull
	}
	if t.Elem != nil {
		list := reflect.ValueOf(value)
		if list.Kind() != reflect.Slice {
			return g.exact(t.Elem, value)
		}
		for i := range list.Len() {
			if !g.exact(t.Elem, list.Index(i).Interface()) {
				return false
			}
		}
		return true
	}
	switch def := g.schema.Schema().Types[t.NamedType]; def.Kind {
	case ast.Enum:
		word, ok := value.(string)
		return ok && def.EnumValues.ForName(word) != nil
	case ast.InputObject:
		members, ok := value.(map[string]any)
		for name, v := range members {
			if f := def.Fields.ForName(name); f == nil || !g.exact(f.Type, v) {
				return false
			}
		}
		return ok
	default:
		return exactScalar(t.NamedType, value)
	}
}

func exactScalar(name string, value any) bool {
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	switch name {
	case "Boolean":
		_, ok := value.(bool)
		return ok
	case "Int":
		if n, ok := value.(int64); ok { // the library has read it already
			number, isNumber = json.Number(strconv.FormatInt(n, 10)), true
		}
		_, err := strconv.ParseInt(number.String(), 10, 32)
		return isNumber && err == nil
	case "ID":
		_, err := strconv.ParseInt(number.String(), 10, 64)
		return isText || isNumber && err == nil
	case "JSON":
		_, ok := value.(map[string]any)
		return ok && finite(value)
	case "DateTime":
		var at time.Time
		return isText && at.UnmarshalText([]byte(text)) == nil
	default:
		return isText
	}
}

// costs says what the fields cost that are more than one value.
func costs() graph.ComplexityRoot {
	var c graph.ComplexityRoot
	c.Query.Invitations = func(child int, first *int, _ *string, last *int, _ *string, _ *graph.InvitationWhere, _ []*graph.InvitationOrder) int {
		return listCost(child, first, last)
	}
	c.Query.Sessions = func(child int, first *int, _ *string, last *int, _ *string, _ *graph.SessionWhere, _ []*graph.SessionOrder) int {
		return listCost(child, first, last)
	}
	c.Query.LifecycleEvents = func(child int, _ *graph.LifecycleEventWhere, first *int, _ *string, last *int, _ *string, _ []*graph.LifecycleEventOrder) int {
		return listCost(child, first, last)
	}
	c.Query.Nodes = func(child int, ids []string) int { return times(child+1, max(1, len(ids))) }
	timeline := func(child int, first *int, _ *string, last *int, _ *string) int { return listCost(child, first, last) }
	c.Invitation.Timeline, c.Session.Timeline = timeline, timeline
	c.Invitation.Actions, c.Session.Actions = actionsCost(domain.KindInvitation), actionsCost(domain.KindSession)
	c.Query.Devices = func(child int, first *int, _ *string, last *int, _ *string, _ *graph.DeviceWhere, _ []*graph.DeviceOrder) int {
		return listCost(child, first, last)
	}
	c.Query.TwoFactorRequests = func(child int, first *int, _ *string, last *int, _ *string, _ *graph.TwoFactorRequestWhere, _ []*graph.TwoFactorRequestOrder) int {
		return listCost(child, first, last)
	}
	c.EmailVerification.Timeline, c.PhoneVerification.Timeline, c.Device.Timeline, c.TwoFactorRequest.Timeline = timeline, timeline, timeline, timeline
	c.EmailVerification.Actions, c.PhoneVerification.Actions = actionsCost(domain.KindEmailVerification), actionsCost(domain.KindPhoneVerification)
	c.Device.Actions, c.TwoFactorRequest.Actions = actionsCost(domain.KindDevice), actionsCost(domain.KindTwoFactorRequest)
	// Lists without pages: seldom longer than a page is by default.
	some := func(child int) int { return times(child+1, defaultPage) }
	c.Client.Sessions, c.EndOtherSessionsPayload.EndedSessions, c.Query.JwtTemplates = some, some, some
	return c
}

// Default and largest page (GraphQL contract, rules).
const (
	defaultPage = 20
	maxPage     = 100
)

// actionsCost is that of the actions of a record: one for each mutation of its kind.
func actionsCost(kind domain.Kind) func(child int) int {
	m, _ := domain.Lifecycle(kind)
	verbs := 0
	for _, t := range m.Transitions {
		if !t.Clock && t.Within == "" {
			verbs++
		}
	}
	return func(child int) int { return times(child+1, verbs) }
}

// listCost is that of a page. A size that is out of range is refused later, and costs no more than the largest.
func listCost(child int, first, last *int) int {
	size := defaultPage
	if first != nil {
		size = *first
	} else if last != nil {
		size = *last
	}
	return times(child+1, max(1, min(size, maxPage)))
}

func times(a, b int) int { return min(a, enough) * b }
