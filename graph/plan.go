package graph

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// object is what is known of an object type (plain.generated.go).
type object struct {
	implementors []string
	// as gives the object behind a value of an interface; nil for Query and Mutation.
	as     func(v any) any
	fields map[string]field
}

// field is what is known of a field.
type field struct {
	// read writes the field of an object; nil where a resolver finds it.
	read func(s *sheet, p *plan, object any) bool
	// value writes what the field was found to be.
	value func(s *sheet, p *plan, v any) bool
}

// member is a field that is a member of the Go type, or a method that asks nobody.
func member[O, V any](get func(context.Context, *O) V, w write[V]) field {
	f := found(w)
	f.read = func(s *sheet, p *plan, object any) bool { return w(s, p, get(s.ctx, object.(*O))) }
	return f
}

// found is a field that a resolver finds.
func found[V any](w write[V]) field {
	return field{value: func(s *sheet, p *plan, v any) bool {
		of, ok := v.(V)
		return ok && w(s, p, of)
	}}
}

// plan is a selection set made ready: what is written of an object, for each type that can stand there.
type plan struct{ types []planned }

// planned is a selection of one object type.
type planned struct {
	as    func(v any) any
	steps []step
}

// step is a field.
type step struct {
	// before stands before the value: its name, and what parts it from its neighbour.
	before string
	// read is nil for __typename, which is in before.
	read func(s *sheet, p *plan, object any) bool
	of   *plan
}

func (t *planned) write(s *sheet, object any) bool {
	if len(t.steps) == 0 {
		s.text = append(s.text, '{')
	}
	for i := range t.steps {
		step := &t.steps[i]
		s.text = append(s.text, step.before...)
		if step.read != nil && !step.read(s, step.of, object) {
			return false
		}
	}
	s.text = append(s.text, '}')
	return true
}

// planner makes plans for the fields of a document.
type planner struct {
	schema *ast.Schema
	doc    *ast.QueryDocument
}

// plan makes a selection of a type ready; nil where some of it is not plain: found by a resolver, or subject to a
// directive.
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
		p.types = append(p.types, planned{as: objects[t].as, steps: steps})
	}
	if len(p.types) == 0 {
		return nil
	}
	return p
}

func (r *planner) steps(name string, set ast.SelectionSet) ([]step, bool) {
	of := objects[name]
	var steps []step
	seen := map[string]bool{}
	op := &graphql.OperationContext{Doc: r.doc} // without directives it looks at no more
	for _, f := range graphql.CollectFields(op, set, of.implementors) {
		before := byte(',')
		if len(steps) == 0 {
			before = '{'
		}
		s := step{before: string(append(quoted([]byte{before}, f.Alias), ':'))}
		if seen[f.Alias] { // of two interfaces; gqlgen finds both and writes the first
			return nil, false
		}
		seen[f.Alias] = true
		if f.Name == "__typename" {
			s.before = string(quoted([]byte(s.before), name))
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

// typeOf is the type of a field, or of what is in its list. An object may say it more precisely than its interface.
func (r *planner) typeOf(object, field string) string {
	return r.schema.Types[object].Fields.ForName(field).Type.Name()
}

// directed reports whether there is a directive in a selection.
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

// document is what is planned of a document so far.
type document struct {
	planner planner
	size    atomic.Int64 // of the newest reply
	mu      sync.RWMutex
	fields  map[place]*ready
}

// place is a field of the document where it is asked of an object type.
type place struct {
	object string
	field  *ast.Field
}

// ready is a field whose values can be written; where value is nil, the generated code has to.
type ready struct {
	value func(s *sheet, p *plan, v any) bool
	plan  *plan
	// selections are those that the plan is for. The same field has others where it stands in the document twice, and
	// once under a condition.
	selections ast.SelectionSet
	size       atomic.Int64 // of the newest value
}

func (d *document) ready(object string, f graphql.CollectedField) *ready {
	at := place{object, f.Field}
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

func (d *document) prepare(object string, f graphql.CollectedField) *ready {
	r := &ready{}
	value := objects[object].fields[f.Name].value
	if value == nil || d.planner.directed(f.Selections) {
		return r
	}
	if r.plan = d.planner.plan(d.planner.typeOf(object, f.Name), f.Selections); r.plan != nil {
		r.value, r.selections = value, slices.Clone(f.Selections)
	}
	return r
}

// write writes a value; nil where the generated code has to.
func (r *ready) write(ctx context.Context, v any) (out *written) {
	defer func() {
		if recover() != nil { // the generated code meets it again, and says where
			out = nil
		}
	}()
	size := r.size.Load()
	s := &sheet{ctx, make([]byte, 0, size+size/8+64)}
	if !r.value(s, r.plan, v) || string(s.text) == null {
		return nil
	}
	r.size.Store(int64(len(s.text)))
	return &written{s.text}
}

// written is a value of a field that is JSON already.
type written struct{ text []byte }

// MarshalGQL is for gqlgen.
func (w *written) MarshalGQL(to io.Writer) { _, _ = to.Write(w.text) }

// observer sees what plans write.
type observer interface {
	// saw is told what would have been written; the generated code does it.
	saw(context.Context, *written)
	// compare looks for it in the reply.
	compare(reply []byte)
}

// watch makes an observer for a reply in builds with the tag oracle (oracle.go); nil in others.
var watch func() observer

// around writes what a field was found to be, where all that is asked of it is plain: then gqlgen has no more to do
// with it than to put it in its place. Whatever is wrong with it is left to the generated code.
func (d *document) around(next graphql.FieldMiddleware, o observer) graphql.FieldMiddleware {
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
				o.saw(ctx, out)
			default:
				return out, nil
			}
		}
		return v, nil
	}
}

// documents are the newest ones, in two generations: when the young one is full, the old one is forgotten and the
// young one is the old one.
type documents struct {
	mu         sync.Mutex
	young, old map[*ast.QueryDocument]*document
}

const generation = 128

func (m *documents) of(schema *ast.Schema, doc *ast.QueryDocument) *document {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.young[doc]; d != nil {
		return d
	}
	d := m.old[doc]
	if d == nil {
		d = &document{planner: planner{schema, doc}, fields: map[place]*ready{}}
	}
	if m.young == nil || len(m.young) >= generation {
		m.young, m.old = map[*ast.QueryDocument]*document{}, m.young
	}
	m.young[doc] = d
	return d
}
