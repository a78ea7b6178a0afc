package resolvers

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/lifecycle"
)

// Limits restricts a request. The limits are checked before any expensive step: the size before parsing, the counts
// before validation, the complexity before execution.
type Limits struct {
	// Body is the maximum size of a request body or a query string in bytes.
	Body int
	// Tokens is the maximum number of tokens in a document.
	Tokens int
	// Fields, Aliases and Roots are the maximum numbers of fields, aliases and root fields of an operation; a fragment
	// counts each time it is spread.
	Fields, Aliases, Roots int
	// Depth is the maximum depth of fields. The introspection query of common tools has a depth of 15.
	Depth int
	// Directives is the maximum number of directives in a document.
	Directives int
	// Repeats is the maximum number of pairs of fields, in an operation and its fragments, that have the same response
	// name: validation compares each pair. 5,000 pairs are a name that occurs a hundred times.
	Repeats int
	// Nesting is the maximum depth of lists and objects in an argument or in the variables.
	Nesting int
	// Complexity is the maximum cost of an operation: one for each field, multiplied by the number of entries of its
	// list.
	Complexity int
}

// DefaultLimits are not reached by normal use of the playground or of an application.
var DefaultLimits = Limits{
	Body: 64 << 10, Tokens: 2000, Fields: 500, Aliases: 50, Roots: 20, Depth: 15, Directives: 50, Repeats: 5000,
	Nesting: 72, Complexity: 10_000, // 72: a where of maximum depth, with a list in an object at each level
}

// guard is the gqlgen extension that enforces the limits.
type guard struct {
	limits      Limits
	development bool
	documents   graphql.Cache[*ast.QueryDocument]
	schema      graphql.ExecutableSchema
	weights     *weights
}

// ExtensionName implements graphql.HandlerExtension.
func (*guard) ExtensionName() string { return "Limits" }

// Validate implements graphql.HandlerExtension.
func (*guard) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters checks the counts of a document that is not cached. Validation, which costs more than its
// length, comes after it.
func (g *guard) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	if params.Query == "" {
		return refusal(codeBadDocument, "The document is missing.")
	}
	for _, v := range params.Variables {
		if !shallow(v, g.limits.Nesting) {
			return refusal(codeTooComplex, "The variables are nested too deeply.")
		}
	}
	if _, seen := g.documents.Get(ctx, params.Query); seen {
		return nil
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: params.Query}, g.limits.Tokens)
	if err != nil {
		gqlErr := &gqlerror.Error{Message: err.Error()}
		if e, ok := err.(*gqlerror.Error); ok { //nolint:errorlint // the parser returns no other type, and does not wrap it
			gqlErr = e
		}
		errcode.Set(gqlErr, errcode.ParseFailed)
		return gqlErr
	}
	return g.count(doc)
}

func (g *guard) count(doc *ast.QueryDocument) *gqlerror.Error {
	c := fieldCounter{doc: doc, fragments: map[string]*counts{}, names: map[string]int{}}
	for _, f := range doc.Fragments { // including those that are never spread
		c.directed(f.Directives)
		if err := g.within(&c, c.fragment(f.Name), false); err != nil {
			return err
		}
	}
	shared, repeats := c.names, c.repeats
	for _, op := range doc.Operations {
		c.names, c.repeats = maps.Clone(shared), repeats
		c.directed(op.Directives)
		for _, v := range op.VariableDefinitions {
			c.directed(v.Directives)
			c.valued(v.DefaultValue)
		}
		if err := g.within(&c, c.set(op.SelectionSet), true); err != nil {
			return err
		}
	}
	return nil
}

// within returns an error for the first limit that the counts exceed.
func (g *guard) within(c *fieldCounter, n counts, operation bool) *gqlerror.Error {
	switch {
	case c.cyclic:
		return refusal(codeBadDocument, "A fragment must not include itself.")
	case n.fields > g.limits.Fields:
		return refusal(codeTooComplex, "The document has too many fields.")
	case n.aliases > g.limits.Aliases:
		return refusal(codeTooComplex, "The document has too many aliases.")
	case n.depth > g.limits.Depth:
		return refusal(codeTooComplex, "The document is nested too deeply.")
	case n.top > g.limits.Roots && operation:
		return refusal(codeTooComplex, "The document has too many root fields.")
	case c.directives > g.limits.Directives:
		return refusal(codeTooComplex, "The document has too many directives.")
	case c.repeats > g.limits.Repeats:
		return refusal(codeTooComplex, "The document repeats fields too often.")
	case c.nesting > g.limits.Nesting:
		return refusal(codeTooComplex, "An argument is nested too deeply.")
	}
	return nil
}

// counts are the counts of a selection set including its fragments.
type counts struct{ fields, aliases, depth, top int }

// countLimit is where counting stops: fragments that spread fragments would overflow any integer.
const countLimit = 1 << 30

func (n *counts) add(m counts) {
	n.fields = min(n.fields+m.fields, countLimit)
	n.aliases = min(n.aliases+m.aliases, countLimit)
	n.depth = max(n.depth, m.depth)
	n.top = min(n.top+m.top, countLimit)
}

// fieldCounter visits each fragment once.
type fieldCounter struct {
	doc       *ast.QueryDocument
	fragments map[string]*counts // nil while it is being counted
	names     map[string]int     // the occurrences of each response name in the fragments and this operation

	directives, repeats, nesting int
	cyclic                       bool
}

func (c *fieldCounter) set(set ast.SelectionSet) counts {
	var n counts
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			m := c.set(s.SelectionSet)
			m.fields, m.depth, m.top = m.fields+1, m.depth+1, 1
			if s.Alias != s.Name {
				m.aliases++
			}
			c.repeats += c.names[s.Alias]
			c.names[s.Alias]++
			c.directed(s.Directives)
			for _, a := range s.Arguments {
				c.valued(a.Value)
			}
			n.add(m)
		case *ast.InlineFragment:
			c.directed(s.Directives)
			n.add(c.set(s.SelectionSet))
		case *ast.FragmentSpread:
			c.directed(s.Directives)
			n.add(c.fragment(s.Name))
		}
	}
	return n
}

func (c *fieldCounter) directed(list ast.DirectiveList) {
	c.directives += len(list)
	for _, d := range list {
		for _, a := range d.Arguments {
			c.valued(a.Value)
		}
	}
}

func (c *fieldCounter) valued(v *ast.Value) { c.nesting = max(c.nesting, nesting(v)) }

// nesting returns the depth of a value in a document.
func nesting(v *ast.Value) int {
	if v == nil || v.Kind != ast.ListValue && v.Kind != ast.ObjectValue {
		return 0
	}
	deepest := 0
	for _, child := range v.Children {
		deepest = max(deepest, nesting(child.Value))
	}
	return deepest + 1
}

// shallow reports whether a JSON value has at most the given depth.
func shallow(v any, depth int) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			if depth == 0 || !shallow(x, depth-1) {
				return false
			}
		}
	case []any:
		for _, x := range v {
			if depth == 0 || !shallow(x, depth-1) {
				return false
			}
		}
	}
	return true
}

func (c *fieldCounter) fragment(name string) counts {
	if n, seen := c.fragments[name]; seen {
		if n == nil {
			c.cyclic = true
			return counts{}
		}
		return *n
	}
	f := c.doc.Fragments.ForName(name)
	if f == nil {
		return counts{} // reported by validation
	}
	c.fragments[name] = nil
	n := c.set(f.SelectionSet)
	c.fragments[name] = &n
	return n
}

// MutateOperationContext checks one operation with its variables.
func (g *guard) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	op.DisableIntrospection = !g.development && !domain.ActorFrom(ctx).SeesAll()
	if op.DisableIntrospection && introspects(op.Operation.SelectionSet) {
		return refusal(codeBadDocument, "Introspection is available in development and to administrators only.")
	}
	for _, v := range op.Operation.VariableDefinitions {
		if value, ok := op.Variables[v.Variable]; ok && !g.exact(v.Type, value) {
			return refusal(codeBadDocument, "The variable $"+shorten(v.Variable)+" is not of its type.")
		}
	}
	if g.weights.of(ctx, g.schema, op) > g.limits.Complexity {
		return refusal(codeTooComplex, "The document requests too much at once. Request smaller pages or fewer fields.")
	}
	return nil
}

// introspects reports whether a root field requests the schema.
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

// exact reports whether the value of a variable has exactly its type. The library accepts what GraphQL does not:
// enumeration values in any case, numbers as strings, strings as numbers.
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
		if n, ok := value.(int64); ok { // already decoded by the library
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

// complexityRules assigns a cost to the fields that return more than one value. They are recognized by their types, so
// that no new list is missed.
type complexityRules struct {
	graphql.ExecutableSchema
	costs map[fieldName]cost
}

type fieldName struct{ object, field string }

type cost func(child int, args map[string]any) int

// Complexity implements graphql.ExecutableSchema.
func (c complexityRules) Complexity(_ context.Context, object, field string, child int, args map[string]any) (int, bool) {
	of, ok := c.costs[fieldName{object, field}]
	if !ok {
		return 0, false
	}
	return of(child, args), true
}

// brief are the types whose lists are short and loaded with the record.
var brief = map[string]bool{
	"Problem": true, "FraudRiskCategory": true, "LifecycleState": true, "LifecycleTransition": true, "QuizQuestion": true,
}

func withCosts(schema graphql.ExecutableSchema) complexityRules {
	c := complexityRules{schema, map[fieldName]cost{}}
	verbs := map[string]int{}
	for _, machine := range domain.Lifecycles() {
		verbs[objectName(machine.Name)] = verbsOf(machine)
	}
	for _, object := range schema.Schema().Types {
		if object.Kind != ast.Object || strings.HasPrefix(object.Name, "__") {
			continue
		}
		connection := strings.HasSuffix(object.Name, "Connection")
		for _, f := range object.Fields {
			of, name := schema.Schema().Types[f.Type.Name()], fieldName{object.Name, f.Name}
			switch {
			case strings.HasSuffix(of.Name, "Connection"):
				c.costs[name] = pageCost
			case f.Type.Elem == nil || connection || brief[of.Name] || !of.IsCompositeType():
			case f.Arguments.ForName("ids") != nil:
				c.costs[name] = idsCost
			case of.Name == "Action":
				c.costs[name] = fixedCost(verbs[object.Name])
			default: // a list without pages: rarely longer than a page of default size
				c.costs[name] = fixedCost(defaultPage)
			}
		}
	}
	return c
}

// The default and the maximum page size (GraphQL contract, rules).
const (
	defaultPage = 20
	maxPage     = 100
)

// objectName returns the name of the GraphQL type of a kind of record.
func objectName(kind string) string { return strings.ToUpper(kind[:1]) + kind[1:] }

// verbsOf returns the number of actions of a record: one for each mutation of its kind.
func verbsOf(m lifecycle.Map) int {
	verbs := 0
	for _, t := range m.Transitions {
		if !t.Clock && t.Within == "" {
			verbs++
		}
	}
	return verbs
}

func fixedCost(size int) cost {
	return func(child int, _ map[string]any) int { return times(child+1, size) }
}

func idsCost(child int, args map[string]any) int {
	ids, _ := args["ids"].([]any)
	return times(child+1, max(1, len(ids)))
}

// pageCost returns the cost of a page. An invalid size is refused later, and costs no more than the maximum.
func pageCost(child int, args map[string]any) int {
	size := int64(defaultPage)
	for _, name := range []string{"last", "first"} { // first takes precedence
		switch n := args[name].(type) {
		case int64:
			size = n
		case json.Number:
			size, _ = n.Int64()
		}
	}
	return times(child+1, int(max(1, min(size, maxPage))))
}

func times(a, b int) int { return min(a, countLimit) * b }
