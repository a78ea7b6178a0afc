package pages

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed playground
var playgroundFiles embed.FS

// PlaygroundOptions are what the playground works with.
type PlaygroundOptions struct {
	// Endpoint is the path of GraphQL over HTTP on this server; /graphql where it is empty.
	Endpoint string
	// GraphiQL, where it is set, is served as /playground/graphiql, and the console links to it with a warning that
	// it loads from other hosts. It sets its own headers.
	GraphiQL http.Handler
}

// Example is an operation that is ready to run.
type Example struct {
	// Name is the stem of its file, Group and Title are what the list shows, About says what it does and as whom.
	Name  string `json:"name"`
	Group string `json:"group"`
	Title string `json:"title"`
	About string `json:"about"`
	// Document is GraphQL, Variables a JSON object that may hold {{lastInvitationId}} and the like.
	Document  string `json:"document"`
	Variables string `json:"variables"`
}

var examples = readExamples()

// Examples gives the example operations in the order of the list: a test holds them against the schema.
func Examples() []Example { return append([]Example(nil), examples...) }

func readExamples() []Example {
	const dir = "playground/examples"
	entries, err := playgroundFiles.ReadDir(dir)
	if err != nil {
		panic(err)
	}
	var out []Example
	for _, entry := range entries {
		text, err := playgroundFiles.ReadFile(dir + "/" + entry.Name())
		if err != nil {
			panic(err)
		}
		e := parseExample(string(text))
		e.Name = strings.TrimSuffix(entry.Name(), path.Ext(entry.Name()))
		out = append(out, e)
	}
	return out
}

// parseExample reads a file: comment lines "# name: value" before the document, "#    " continuing the value.
func parseExample(text string) Example {
	var e Example
	var last *string
	fields := map[string]*string{"group": &e.Group, "title": &e.Title, "about": &e.About, "variables": &e.Variables}
	for {
		line, rest, _ := strings.Cut(text, "\n")
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		text = rest
		if more, ok := strings.CutPrefix(comment, "    "); ok && last != nil {
			*last += "\n" + more
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(comment), ":")
		if fields[name] == nil {
			panic(fmt.Sprintf("pages: an example has an unknown member %q", name))
		}
		last = fields[name]
		*last = strings.TrimSpace(value)
	}
	e.Document = strings.TrimSpace(text) + "\n"
	e.About = strings.Join(strings.Fields(e.About), " ")
	e.Variables = strings.TrimSpace(e.Variables)
	return e
}

// kinds are the media types of the assets; the machine's own table may differ.
var kinds = map[string]string{
	"": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".svg": "image/svg+xml",
}

// Playground is the developer's console: / and what it needs under /playground/. It needs no other host; the app
// decides where it is mounted at all.
func Playground(o PlaygroundOptions) http.Handler {
	if o.Endpoint == "" {
		o.Endpoint = "/graphql"
	}
	var page bytes.Buffer
	index := template.Must(template.ParseFS(playgroundFiles, "playground/index.html"))
	if err := index.Execute(&page, map[string]any{"Endpoint": o.Endpoint, "GraphiQL": o.GraphiQL != nil}); err != nil {
		panic(err)
	}
	list, err := json.Marshal(examples)
	if err != nil {
		panic(err)
	}
	assets := map[string][]byte{"/": page.Bytes(), "/playground/examples.json": list}
	for _, name := range []string{"console.css", "console.js", "icon.svg"} {
		content, err := fs.ReadFile(playgroundFiles, "playground/"+name)
		if err != nil {
			panic(err)
		}
		assets["/playground/"+name] = content
	}
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
		"form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.GraphiQL != nil && r.URL.Path == "/playground/graphiql" {
			o.GraphiQL.ServeHTTP(w, r)
			return
		}
		content, found := assets[r.URL.Path]
		if !found {
			http.NotFound(w, r)
			return
		}
		guard(w.Header(), policy)
		if !allowed(w, r, http.MethodGet, http.MethodHead) {
			return
		}
		w.Header().Set("Content-Type", kinds[path.Ext(r.URL.Path)])
		_, _ = w.Write(content)
	})
}
