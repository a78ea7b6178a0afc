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
	for _, s := range o.seen {
		// Null above: something beside it failed. But a plan writes nothing that fails.
		if found, ok := at(reply, s.path); ok && strings.TrimSpace(string(found)) != strings.TrimSpace(string(s.text)) {
			text := fmt.Sprintf("oracle: %s: a plan writes\n%s\nand the generated code\n%s", s.path, s.text, found)
			fmt.Fprintln(os.Stderr, text)
			panic(text)
		}
	}
}

// at is what stands at a path of a text of JSON; false where something above it is null.
func at(text []byte, path ast.Path) ([]byte, bool) {
	for _, p := range path {
		if string(text) == null {
			return nil, false
		}
		var err error
		switch p := p.(type) {
		case ast.PathName:
			var members map[string]json.RawMessage
			err = json.Unmarshal(text, &members)
			text = members[string(p)]
		case ast.PathIndex:
			var entries []json.RawMessage
			if err = json.Unmarshal(text, &entries); err == nil && int(p) < len(entries) {
				text = entries[p]
			}
		}
		if err != nil {
			panic("oracle: " + err.Error())
		}
	}
	return text, true
}
