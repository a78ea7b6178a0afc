package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// TestPlansWriteWhatGeneratedCodeWrites is the oracle: it executes random documents over the whole schema on generated
// records, some of which violate the schema, with the executor with plans and the generated one. The value of a
// resolver depends only on its path, so both must return identical responses, byte for byte, including errors. At the
// end, plans must have written every field of the table. PLANS_SEED repeats a run, and PLANS_DOCUMENTS makes it longer.
func TestPlansWriteWhatGeneratedCodeWrites(t *testing.T) {
	t.Parallel()
	seed, documents := number64(t, "PLANS_SEED", 1), number64(t, "PLANS_DOCUMENTS", 5000)
	w := newWorld()
	for n := range documents {
		r := rand.New(rand.NewPCG(seed, n))
		d := &documentWriter{schema: w.planned.Schema(), r: r, turn: int(n / 2), plain: n%2 == 0}
		w.same(t, d.document(), d.variables, seed*1e6+n)
		if t.Failed() {
			t.Fatalf("PLANS_SEED=%d, document %d", seed, n)
		}
	}
	for name, o := range objects {
		for member, f := range o.fields {
			if at := name + "." + member; f.read != nil && !w.read[at] {
				t.Errorf("%s was never written by a plan", at)
			}
		}
	}
	if w.plans < w.asked/10 {
		t.Errorf("of %d fields only %d were written by plans", w.asked, w.plans)
	}
}

// TestEveryMemberIsInTheTable detects a scalar or a binding that the generator does not know: it would be served, but
// slowly, together with all fields next to it.
func TestEveryMemberIsInTheTable(t *testing.T) {
	t.Parallel()
	schema := (&executableSchema{}).Schema()
	for _, def := range schema.Types {
		if def.Kind != ast.Object || strings.HasPrefix(def.Name, "__") || def == schema.Subscription {
			continue
		}
		for _, f := range def.Fields {
			known, resolver := objects[def.Name].fields[f.Name], resolverOf(def.Name, f.Name) != nil
			switch composite := schema.Types[f.Type.Name()].IsCompositeType(); {
			case strings.HasPrefix(f.Name, "__"):
			case resolver && known.read != nil:
				t.Errorf("%s.%s has a resolver, but is read without it", def.Name, f.Name)
			case !resolver && known.read == nil, resolver && composite && known.value == nil:
				t.Errorf("%s.%s is not in the table", def.Name, f.Name)
			}
		}
	}
}

// TestQuoted compares the encoding of texts with the library's.
func TestQuoted(t *testing.T) {
	t.Parallel()
	for _, s := range append([]string{"", "\x00\x1f\x7f\u2028<&>\xff", `a"b\c`, "\t\r\n\b", "ä\u0080€\U0001f600"}, sprinkled(rand.New(rand.NewPCG(1, 1)), 200)...) {
		var want strings.Builder
		graphql.MarshalString(s).MarshalGQL(&want)
		if got := string(appendQuoted(nil, s)); got != want.String() {
			t.Errorf("%q: %s, not %s", s, got, want.String())
		}
	}
}

// TestConditionsChangeTheSelection covers the case in which one field of a document has two selections.
func TestConditionsChangeTheSelection(t *testing.T) {
	t.Parallel()
	w := newWorld()
	const document = `query($x: Boolean!, $y: Boolean!) {
		session(id: "1") { id } session(id: "1") @include(if: $x) { version }
		two: session(id: "2") { id @skip(if: $y) version } __typename
	}`
	for range 3 {
		for n := range 4 {
			w.same(t, document, map[string]any{"x": n&1 == 0, "y": n&2 == 0}, 7)
		}
	}
}

// TestPanicsAreThoseOfTheGeneratedCode writes a value whose marshaling panics.
func TestPanicsAreThoseOfTheGeneratedCode(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.spoil = func(v any) {
		if j, ok := v.(*domain.JwtTemplate); ok {
			j.Claims = map[string]any{"no": make(chan int)}
		}
	}
	for n := range uint64(8) {
		w.same(t, `{ jwtTemplates { name claims } }`, nil, n)
	}
	if !strings.Contains(w.last, "panic") {
		t.Errorf("nothing panicked: %s", w.last)
	}
}

// TestOldDocumentsAreForgotten checks that the cache of plans retains documents in use and evicts the others.
func TestOldDocumentsAreForgotten(t *testing.T) {
	t.Parallel()
	m := newDocuments()
	first, once := &ast.QueryDocument{}, &ast.QueryDocument{}
	kept, dropped := m.of(nil, first), m.of(nil, once)
	for range 2 * generation {
		m.of(nil, &ast.QueryDocument{})
		if m.of(nil, first) != kept {
			t.Fatal("a document in use was forgotten")
		}
	}
	if m.of(nil, once) == dropped {
		t.Errorf("a document is cached after %d others", 2*generation)
	}
}

func number64(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// world contains both executors with generated data.
type world struct {
	planned, generated graphql.ExecutableSchema
	with, without      *executor.Executor
	documents          graphql.Cache[*ast.QueryDocument]
	spoil              func(v any)

	read         map[string]bool // fields written by plans
	asked, plans int
	last         string
}

type seedKey struct{}

func newWorld() *world {
	w := &world{documents: lru.New[*ast.QueryDocument](16), read: map[string]bool{}}
	w.generated = NewExecutableSchema(Config{})
	w.planned = Lean(NewExecutableSchema(Config{}))
	executorOf := func(s graphql.ExecutableSchema) *executor.Executor {
		e := executor.New(s)
		e.SetQueryCache(w.documents) // one document for both, as if it was sent twice
		e.SetRecoverFunc(func(_ context.Context, v any) error { return fmt.Errorf("panic: %v", v) })
		e.AroundFields(w.find)
		return e
	}
	w.with, w.without = executorOf(w.planned), executorOf(w.generated)
	return w
}

// find replaces all resolvers: its values are generated, and depend only on the seed and the path.
func (w *world) find(ctx context.Context, next graphql.Resolver) (any, error) {
	at := graphql.GetFieldContext(ctx)
	if !at.IsResolver || strings.HasPrefix(at.Field.Name, "__") {
		return next(ctx)
	}
	h := fnv.New64a()
	fmt.Fprint(h, at.Path().String())
	r := rand.New(rand.NewPCG(ctx.Value(seedKey{}).(uint64), h.Sum64()))
	switch r.IntN(20) {
	case 0:
		return nil, errors.New("nothing was found")
	case 1:
		panic("the resolver is broken")
	}
	t := resolverOf(at.Object, at.Field.Name)
	v := reflect.New(t).Elem()
	m := maker{r: r, odd: r.IntN(2) == 0, spoil: w.spoil}
	m.fill(v, 0)
	return v.Interface(), nil
}

// resolverOf returns the type returned by a field's resolver; nil without a resolver.
func resolverOf(object, field string) reflect.Type {
	of, ok := reflect.TypeFor[ResolverRoot]().MethodByName(object)
	if !ok {
		return nil
	}
	resolvers := of.Type.Out(0)
	for i := range resolvers.NumMethod() {
		if m := resolvers.Method(i); strings.EqualFold(m.Name, field) {
			return m.Type.Out(0)
		}
	}
	return nil
}

// same compares the responses of both.
func (w *world) same(t *testing.T, text string, variables map[string]any, seed uint64) {
	t.Helper()
	want := w.ask(t, w.without, text, variables, seed)
	got := w.ask(t, w.with, text, variables, seed)
	w.last = got
	if got != want {
		t.Errorf("seed %d\n%s\n%v\nplanned:   %s\ngenerated: %s", seed, text, variables, got, want)
	}
	w.count(t, text)
}

// count counts the planned fields.
func (w *world) count(t *testing.T, text string) {
	doc, ok := w.documents.Get(t.Context(), text)
	if !ok {
		t.Fatalf("the document was not valid: %s", text)
	}
	d := w.planned.(*lean).documents.of(w.planned.Schema(), doc)
	for at, r := range d.fields {
		w.asked++
		if r.size.Load() == 0 {
			continue
		}
		w.plans++
		w.reads(w.planned.Schema().Types[at.object].Fields.ForName(at.field.Name).Type.Name(), at.field.SelectionSet, doc)
	}
}

// reads records the fields that a plan has read.
func (w *world) reads(name string, set ast.SelectionSet, doc *ast.QueryDocument) {
	types := interfaces[name]
	if types == nil {
		types = []string{name}
	}
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			for _, of := range types {
				w.read[of+"."+s.Name] = true
				if f := (&executableSchema{}).Schema().Types[of].Fields.ForName(s.Name); f != nil {
					w.reads(f.Type.Name(), s.SelectionSet, doc)
				}
			}
		case *ast.InlineFragment:
			w.reads(s.TypeCondition, s.SelectionSet, doc)
		case *ast.FragmentSpread:
			f := doc.Fragments.ForName(s.Name)
			w.reads(f.TypeCondition, f.SelectionSet, doc)
		}
	}
}

func (w *world) ask(t *testing.T, e *executor.Executor, text string, variables map[string]any, seed uint64) string {
	t.Helper()
	ctx := graphql.StartOperationTrace(context.WithValue(t.Context(), seedKey{}, seed))
	op, errs := e.CreateOperationContext(ctx, &graphql.RawParams{Query: text, Variables: variables})
	if errs != nil {
		t.Fatalf("%s\n%v", text, errs)
	}
	next, ctx := e.DispatchOperation(ctx, op)
	var reply *graphql.Response
	func() {
		defer func() {
			if v := recover(); v != nil { // gqlgen does not recover while writing; the handler does
				reply = &graphql.Response{Data: fmt.Appendf(nil, "panic: %v", v)}
			}
		}()
		reply = next(ctx)
	}()
	var told []string
	for _, err := range reply.Errors { // their order depends on goroutines
		one, _ := json.Marshal(err)
		told = append(told, string(one))
	}
	slices.Sort(told)
	return string(reply.Data) + "\n" + strings.Join(told, "\n")
}

// maker generates values.
type maker struct {
	r     *rand.Rand
	odd   bool // also generates values that violate the schema
	spoil func(v any)
}

// kinds are the implementations of interfaces.
var kinds = []reflect.Type{
	reflect.TypeFor[*domain.Invitation](), reflect.TypeFor[*domain.Session](), reflect.TypeFor[*domain.EmailVerification](),
	reflect.TypeFor[*domain.PhoneVerification](), reflect.TypeFor[*domain.Device](), reflect.TypeFor[*domain.TwoFactorRequest](),
	reflect.TypeFor[*domain.Contact](), reflect.TypeFor[*domain.FraudRiskReport](), reflect.TypeFor[*domain.Quiz](),
	reflect.TypeFor[*domain.Approval](), reflect.TypeFor[*domain.LifecycleEvent](), reflect.TypeFor[*domain.Client](),
	reflect.TypeFor[problem.FieldProblem](), reflect.TypeFor[problem.StateProblem](), reflect.TypeFor[problem.StaleVersionProblem](),
	reflect.TypeFor[problem.LimitProblem](), reflect.TypeFor[problem.NotFoundProblem](), reflect.TypeFor[problem.DependencyProblem](),
	reflect.TypeFor[problem.AccessProblem](), reflect.TypeFor[*problem.FieldProblem](), reflect.TypeFor[*problem.LimitProblem](),
}

func (m maker) fill(v reflect.Value, depth int) {
	rare := m.odd && m.r.IntN(60) == 0
	switch v.Kind() {
	case reflect.Pointer:
		scalar := v.Type().Elem().Kind() != reflect.Struct || v.Type().Elem() == reflect.TypeFor[time.Time]()
		if rare || scalar && m.r.IntN(3) == 0 || depth > 6 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		m.fill(v.Elem(), depth+1)
		if m.spoil != nil {
			m.spoil(v.Interface())
		}
	case reflect.Slice:
		if rare || m.r.IntN(8) == 0 || depth > 12 { // conditions of a policy nest
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), m.r.IntN(4), 4))
		for i := range v.Len() {
			m.fill(v.Index(i), depth+1)
		}
	case reflect.Interface:
		fits := slices.DeleteFunc(slices.Clone(kinds), func(t reflect.Type) bool { return !t.Implements(v.Type()) })
		if rare || len(fits) == 0 || v.Type().NumMethod() == 0 {
			return
		}
		one := reflect.New(fits[m.r.IntN(len(fits))]).Elem()
		m.fill(one, depth+1)
		v.Set(one)
	case reflect.Map:
		if !rare && v.Type() == reflect.TypeFor[map[string]any]() {
			v.Set(reflect.ValueOf(map[string]any{"b": sprinkled(m.r, 1)[0], "a": m.r.IntN(9), "<": nil}))
		}
	case reflect.String:
		v.SetString(m.text(v.Type(), rare))
	case reflect.Bool:
		v.SetBool(m.r.IntN(2) == 0)
	case reflect.Float64:
		v.SetFloat(math.Round(100*m.r.Float64()) / 100)
	case reflect.Int:
		v.SetInt(m.r.Int64N(1<<40) - 1<<30)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			if !rare {
				v.Set(reflect.ValueOf(time.Unix(m.r.Int64N(4e9), m.r.Int64N(3)*500_000_007).In(time.FixedZone("x", 3600*m.r.IntN(3)))))
			}
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				m.fill(v.Field(i), depth+1)
			}
		}
	}
}

// text returns a word of the type for an enumeration, and otherwise any text.
func (m maker) text(t reflect.Type, rare bool) string {
	if words := wordsOf(t); len(words) > 0 && !rare {
		return words[m.r.IntN(len(words))]
	}
	return sprinkled(m.r, 1)[0]
}

// wordsOf contains some of the words of enumerations.
func wordsOf(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[domain.SessionState]():
		return words(marshalNSessionStatus2githubᚗcomᚋgatehouseᚋgatehouseᚋdomainᚐSessionState)
	case reflect.TypeFor[domain.InvitationState]():
		return words(marshalNInvitationState2githubᚗcomᚋgatehouseᚋgatehouseᚋdomainᚐInvitationState)
	case reflect.TypeFor[domain.InvitationType]():
		return words(marshalNInvitationType2githubᚗcomᚋgatehouseᚋgatehouseᚋdomainᚐInvitationType)
	case reflect.TypeFor[domain.Kind]():
		return words(marshalNLifecycleKind2githubᚗcomᚋgatehouseᚋgatehouseᚋdomainᚐKind)
	}
	return nil
}

func words[V ~string](m map[V]string) []string {
	var out []string
	for w := range m {
		out = append(out, string(w))
	}
	slices.Sort(out)
	return out
}

// sprinkled contains characters that must be escaped.
func sprinkled(r *rand.Rand, n int) []string {
	out := make([]string, n)
	for i := range out {
		for range r.IntN(12) {
			out[i] += []string{"a", "Z", "\"", "\\", "\n", "\t", "\x00", "\x1b", "é", "\u2028", "<", "\xc3", "👋", " "}[r.IntN(14)]
		}
	}
	return out
}

// documentWriter writes random valid documents.
type documentWriter struct {
	schema    *ast.Schema
	r         *rand.Rand
	fragments strings.Builder
	spread    int
	variables map[string]any
	fields    int
	// turn selects the first field, so that each field is covered; plain selects only fields that need no resolver.
	turn  int
	plain bool
}

func (d *documentWriter) document() string {
	d.variables = map[string]any{"yes": true, "no": false}
	root, word, first := d.schema.Query, "query", d.turn%(len(d.schema.Query.Fields)+len(d.schema.Mutation.Fields))
	if first >= len(root.Fields) {
		root, word, first = d.schema.Mutation, "mutation", first-len(root.Fields)
	}
	out := word + "($yes: Boolean!, $no: Boolean!) { ok: __typename @include(if: $yes) @skip(if: $no) "
	for i := range 1 + d.r.IntN(3) {
		f := root.Fields[(first+i*i)%len(root.Fields)]
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		out += fmt.Sprintf("r%d: %s ", i, d.field(f, 5))
	}
	return out + "} " + d.fragments.String()
}

func (d *documentWriter) field(f *ast.FieldDefinition, depth int) string {
	out := f.Name
	var args []string
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil {
			args = append(args, a.Name+": "+d.value(a.Type))
		}
	}
	if len(args) > 0 {
		out += "(" + strings.Join(args, ", ") + ")"
	}
	out += d.directive()
	if def := d.schema.Types[f.Type.Name()]; def.IsCompositeType() {
		out += " { " + d.selection(def, depth-1) + "}"
	}
	return out
}

// directive rarely returns a directive.
func (d *documentWriter) directive() string {
	if d.plain || d.r.IntN(40) > 0 {
		return ""
	}
	return []string{" @skip(if: $no)", " @include(if: $yes)", " @skip(if: $yes)", " @include(if: false)"}[d.r.IntN(4)]
}

func (d *documentWriter) selection(def *ast.Definition, depth int) string {
	out := ""
	if d.r.IntN(3) == 0 {
		out = "__typename "
	}
	for _, f := range def.Fields {
		composite := d.schema.Types[f.Type.Name()].IsCompositeType()
		if strings.HasPrefix(f.Name, "__") || composite && depth == 0 || d.r.IntN(3) == 0 || d.fields > 300 {
			continue
		}
		if (d.plain || d.r.IntN(3) > 0) && resolverOf(def.Name, f.Name) != nil {
			continue
		}
		d.fields++
		alias := ""
		if d.r.IntN(5) == 0 {
			alias = def.Name + "_" + f.Name + ": "
		}
		switch d.r.IntN(12) {
		case 0:
			out += fmt.Sprintf("... on %s%s { %s } ", def.Name, d.directive(), alias+d.field(f, depth))
		case 1:
			d.spread++
			name := fmt.Sprintf("F%d", d.spread)
			out += "..." + name + d.directive() + " "
			text := fmt.Sprintf("fragment %s on %s { %s } ", name, def.Name, alias+d.field(f, depth))
			d.fragments.WriteString(text)
		case 2: // twice: the selections are merged
			out += alias + d.field(f, depth) + " " + alias + d.field(f, depth) + " "
		default:
			out += alias + d.field(f, depth) + " "
		}
	}
	if def.Kind == ast.Interface {
		for _, p := range d.schema.GetPossibleTypes(def) {
			if d.r.IntN(2) == 0 && d.fields < 300 {
				out += fmt.Sprintf("... on %s { %s} ", p.Name, d.own(p, depth))
			}
		}
	}
	if out == "" {
		return "__typename "
	}
	return out
}

// own returns a selection with names unique to the type.
func (d *documentWriter) own(def *ast.Definition, depth int) string {
	out := "__typename "
	for _, f := range def.Fields {
		composite := d.schema.Types[f.Type.Name()].IsCompositeType()
		if strings.HasPrefix(f.Name, "__") || composite && depth <= 1 || d.r.IntN(3) == 0 || (d.plain || d.r.IntN(3) > 0) && resolverOf(def.Name, f.Name) != nil {
			continue
		}
		d.fields++
		out += fmt.Sprintf("%s_%s: %s ", def.Name, f.Name, d.field(f, depth-1))
	}
	return out
}

// value returns a valid value of a type.
func (d *documentWriter) value(t *ast.Type) string {
	if t.Elem != nil {
		return "[" + d.value(t.Elem) + "]"
	}
	switch def := d.schema.Types[t.NamedType]; def.Kind {
	case ast.Enum:
		return def.EnumValues[0].Name
	case ast.InputObject:
		var members []string
		for _, f := range def.Fields {
			if f.Type.NonNull && f.DefaultValue == nil {
				members = append(members, f.Name+": "+d.value(f.Type))
			}
		}
		return "{" + strings.Join(members, ", ") + "}"
	}
	return map[string]string{
		"Int": "1", "Boolean": "true", "DateTime": `"2026-01-01T00:00:00Z"`, "JSON": "{}", "ID": `"x"`, "String": `"x"`,
	}[t.NamedType]
}
