package graph

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/domain/recent"
)

// object describes an object type (plain.generated.go).
type object struct {
	implementors []string
	// as returns a pointer to the object in an interface value; nil for Query and Mutation.
	as     func(v any) any
	fields map[string]field
}

// field describes how a field is written.
type field struct {
	// read writes the field of an object; nil if a resolver returns its value.
	read func(s *jsonWriter, p *plan, object any) bool
	// value writes a value that a resolver returned.
	value func(s *jsonWriter, p *plan, v any) bool
}

// member describes a field that is a member of the Go type, or a method that needs no resolver.
func member[O, V any](get func(context.Context, *O) V, w write[V]) field {
	f := resolved(w)
	f.read = func(s *jsonWriter, p *plan, object any) bool { return w(s, p, get(s.ctx, object.(*O))) }
	return f
}

// resolved describes a field whose value a resolver returns.
func resolved[V any](w write[V]) field {
	return field{value: func(s *jsonWriter, p *plan, v any) bool {
		of, ok := v.(V)
		return ok && w(s, p, of)
	}}
}

// plan is a prepared selection set: what is written of an object, for each possible object type.
type plan struct{ types []objectPlan }

// objectPlan is the selection of one object type.
type objectPlan struct {
	as    func(v any) any
	steps []fieldPlan
}

// fieldPlan is a selected field.
type fieldPlan struct {
	// before is written before the value: the separator and the name.
	before string
	// read is nil for __typename, whose value is in before.
	read func(s *jsonWriter, p *plan, object any) bool
	of   *plan
}

func (t *objectPlan) write(s *jsonWriter, object any) bool {
	if len(t.steps) == 0 {
		s.text = append(s.text, '{')
	}
	for i := range t.steps {
		f := &t.steps[i]
		s.text = append(s.text, f.before...)
		if f.read != nil && !f.read(s, f.of, object) {
			return false
		}
	}
	s.text = append(s.text, '}')
	return true
}

// planner prepares plans for the fields of a document.
type planner struct {
	schema *ast.Schema
	doc    *ast.QueryDocument
}

// plan prepares a selection of a type. It returns nil if the selection contains a field with a resolver or a directive.
func (r *planner) plan(name string, set ast.SelectionSet) *plan {
	types := interfaces[name]
	if _, ok := objects[name]; ok {
		types = []string{name}
	}
	p := &plan{}
	for _, t := range types {
		steps, ok := r.steps(t, set)
		if !ok {
			return nil
		}
		p.types = append(p.types, objectPlan{as: objects[t].as, steps: steps})
	}
	if len(p.types) == 0 {
		return nil
	}
	return p
}

func (r *planner) steps(name string, set ast.SelectionSet) ([]fieldPlan, bool) {
	of := objects[name]
	var steps []fieldPlan
	seen := map[string]bool{}
	op := &graphql.OperationContext{Doc: r.doc} // without directives CollectFields needs nothing else
	for _, f := range graphql.CollectFields(op, set, of.implementors) {
		before := byte(',')
		if len(steps) == 0 {
			before = '{'
		}
		s := fieldPlan{before: string(append(appendQuoted([]byte{before}, f.Alias), ':'))}
		if seen[f.Alias] { // selected through two interfaces; gqlgen resolves both and writes the first
			return nil, false
		}
		seen[f.Alias] = true
		if f.Name == "__typename" {
			s.before = string(appendQuoted([]byte(s.before), name))
			steps = append(steps, s)
			continue
		}
		if s.read = of.fields[f.Name].read; s.read == nil {
			return nil, false
		}
		if len(f.Selections) > 0 {
			if s.of = r.plan(r.typeOf(name, f.Name), f.Selections); s.of == nil {
				return nil, false
			}
		}
		steps = append(steps, s)
	}
	return steps, true
}

// typeOf returns the name of a field's type, or of its list's element type. An object type may narrow the type of its
// interface.
func (r *planner) typeOf(object, field string) string {
	return r.schema.Types[object].Fields.ForName(field).Type.Name()
}

// directed reports whether a selection contains a directive.
func (r *planner) directed(set ast.SelectionSet) bool {
	return slices.ContainsFunc(set, func(s ast.Selection) bool {
		switch s := s.(type) {
		case *ast.Field:
			return len(s.Directives) > 0 || r.directed(s.SelectionSet)
		case *ast.InlineFragment:
			return len(s.Directives) > 0 || r.directed(s.SelectionSet)
		case *ast.FragmentSpread:
			return len(s.Directives) > 0 || r.directed(r.doc.Fragments.ForName(s.Name).SelectionSet)
		}
		return true
	})
}

// document holds the plans of a document.
type document struct {
	planner planner
	size    atomic.Int64 // size of the latest response
	mu      sync.RWMutex
	fields  map[fieldKey]*fieldWriter
}

// fieldKey identifies a field of the document on an object type.
type fieldKey struct {
	object string
	field  *ast.Field
}

// fieldWriter writes the values of a field; if value is nil, the generated code must write them.
type fieldWriter struct {
	value func(s *jsonWriter, p *plan, v any) bool
	plan  *plan
	// selections are those that the plan was made for. A field that occurs twice in a document has others if one of the
	// occurrences is conditional.
	selections ast.SelectionSet
	size       atomic.Int64 // size of the latest value
}

func (d *document) ready(object string, f graphql.CollectedField) *fieldWriter {
	at := fieldKey{object, f.Field}
	d.mu.RLock()
	r := d.fields[at]
	d.mu.RUnlock()
	if r == nil {
		r = d.prepare(object, f)
		d.mu.Lock()
		d.fields[at] = r
		d.mu.Unlock()
	}
	if r.value == nil || !slices.Equal(r.selections, f.Selections) {
		return nil
	}
	return r
}

func (d *document) prepare(object string, f graphql.CollectedField) *fieldWriter {
	r := &fieldWriter{}
	value := objects[object].fields[f.Name].value
	if value == nil || d.planner.directed(f.Selections) {
		return r
	}
	if r.plan = d.planner.plan(d.planner.typeOf(object, f.Name), f.Selections); r.plan != nil {
		r.value, r.selections = value, slices.Clone(f.Selections)
	}
	return r
}

// write writes a value. It returns nil if the generated code must write it.
func (r *fieldWriter) write(ctx context.Context, v any) (out *jsonValue) {
	defer func() {
		if recover() != nil { // the generated code will panic as well, and report where
			out = nil
		}
	}()
	size := r.size.Load()
	s := &jsonWriter{ctx, make([]byte, 0, size+size/8+64)}
	if !r.value(s, r.plan, v) || string(s.text) == null {
		return nil
	}
	r.size.Store(int64(len(s.text)))
	return &jsonValue{s.text}
}

// jsonValue is a field value that is already encoded.
type jsonValue struct{ text []byte }

// MarshalGQL implements graphql.Marshaler.
func (w *jsonValue) MarshalGQL(to io.Writer) { _, _ = to.Write(w.text) }

// observer compares the values that plans write with the generated code.
type observer interface {
	// record records a value that a plan wrote; the generated code writes it to the response.
	record(context.Context, *jsonValue)
	// compare compares the recorded values with the response.
	compare(reply []byte)
}

// newObserver returns an observer for a response in builds with the tag oracle (plan_oracle.go); it is nil otherwise.
var newObserver func() observer

// fieldMiddleware writes the value that a resolver returned if its whole selection is plain; gqlgen then only inserts
// the result. Any invalid value is left to the generated code.
func (d *document) fieldMiddleware(next graphql.FieldMiddleware, o observer) graphql.FieldMiddleware {
	return func(ctx context.Context, find graphql.Resolver) (any, error) {
		v, err := next(ctx, find)
		if v == nil || err != nil {
			return v, err
		}
		at := graphql.GetFieldContext(ctx)
		if len(at.Field.Selections) == 0 {
			return v, nil
		}
		if r := d.ready(at.Object, at.Field); r != nil {
			switch out := r.write(ctx, v); {
			case out == nil:
			case o != nil:
				o.record(ctx, out)
			default:
				return out, nil
			}
		}
		return v, nil
	}
}

// documents caches the plans of recently used documents.
type documents struct {
	cache recent.Cache[*ast.QueryDocument, *document]
}

// generation is half of the number of cached documents.
const generation = 128

func newDocuments() *documents {
	return &documents{recent.Cache[*ast.QueryDocument, *document]{Size: generation}}
}

// of returns the plans of a document. Concurrent first requests may each get plans of their own; the cache keeps one.
func (m *documents) of(schema *ast.Schema, doc *ast.QueryDocument) *document {
	if d, ok := m.cache.Get(doc); ok {
		return d
	}
	d := &document{planner: planner{schema, doc}, fields: map[fieldKey]*fieldWriter{}}
	m.cache.Add(doc, d)
	return d
}
