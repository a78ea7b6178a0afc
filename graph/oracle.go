//go:build oracle

package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// With the tag oracle the generated executor answers all there is, and every value that a plan would have written is
// looked for in its answer: `go test -tags oracle ./...` runs the tests of the whole program, mutations and panics and
// all, as a comparison of the two.
func init() { watch = func() observer { return &oracle{} } }

type oracle struct {
	mu   sync.Mutex
	seen []sighting
}

// sighting is a value that a plan would have written.
type sighting struct {
	path ast.Path
	text []byte
}

func (o *oracle) saw(ctx context.Context, w *written) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, sighting{graphql.GetPath(ctx), w.text})
}

func (o *oracle) compare(reply []byte) {
	root := &value{text: reply}
	for _, s := range o.seen {
		// Null above: something beside it failed. But a plan writes nothing that fails.
		if found := root.at(s.path); found != nil && strings.TrimSpace(string(found.text)) != strings.TrimSpace(string(s.text)) {
			text := fmt.Sprintf("oracle: %s: a plan writes\n%s\nand the generated code\n%s", s.path, s.text, found.text)
			fmt.Fprintln(os.Stderr, text)
			panic(text)
		}
	}
}

// value is one of JSON, taken apart as far as it was asked for.
type value struct {
	text    json.RawMessage
	members map[string]*value
	entries []*value
}

// UnmarshalJSON keeps the text.
func (v *value) UnmarshalJSON(text []byte) error { return v.text.UnmarshalJSON(text) }

// at is what stands at a path; nil where something above it is null.
func (v *value) at(path ast.Path) *value {
	for i, p := range path {
		if string(v.text) == null {
			return nil
		}
		switch p := p.(type) {
		case ast.PathName:
			if v.members == nil {
				if err := json.Unmarshal(v.text, &v.members); err != nil {
					panic("oracle: " + err.Error())
				}
			}
			v = v.members[string(p)]
		case ast.PathIndex:
			if v.entries == nil {
				if err := json.Unmarshal(v.text, &v.entries); err != nil {
					panic("oracle: " + err.Error())
				}
			}
			v = v.entries[p]
		}
		switch {
		case v != nil:
		case i == len(path)-1:
			return &value{text: json.RawMessage(null)}
		default:
			return nil
		}
	}
	return v
}
