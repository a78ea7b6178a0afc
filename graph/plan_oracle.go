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

// With the build tag oracle the generated executor writes every response, and each value that a plan would have written
// is compared with it: `go test -tags oracle ./...` runs all tests, including mutations and panics, as a comparison of
// the two.
func init() { newObserver = func() observer { return &oracle{} } }

type oracle struct {
	mu       sync.Mutex
	expected []expectation
}

// expectation is a value that a plan would have written.
type expectation struct {
	path ast.Path
	text []byte
}

func (o *oracle) record(ctx context.Context, w *jsonValue) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.expected = append(o.expected, expectation{graphql.GetPath(ctx), w.text})
}

func (o *oracle) compare(reply []byte) {
	root := &value{text: reply}
	for _, s := range o.expected {
		// If a parent is null, a sibling of the value has failed. A plan itself never writes a value that fails.
		if actual := root.at(s.path); actual != nil && strings.TrimSpace(string(actual.text)) != strings.TrimSpace(string(s.text)) {
			text := fmt.Sprintf("oracle: %s: a plan writes\n%s\nand the generated code\n%s", s.path, s.text, actual.text)
			fmt.Fprintln(os.Stderr, text)
			panic(text)
		}
	}
}

// value is a JSON value that is parsed on demand.
type value struct {
	text    json.RawMessage
	members map[string]*value
	entries []*value
}

// UnmarshalJSON stores the text.
func (v *value) UnmarshalJSON(text []byte) error { return v.text.UnmarshalJSON(text) }

// at returns the value at a path, or nil if a parent is null.
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
