package pages

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// GraphiQL's files come from npm packages with fixed content. Git ignores them; without them the playground is the
// console.
//go:generate go run ./fetch playground/graphiql

//go:embed playground
var playgroundFiles embed.FS

// PlaygroundOptions configures the playground.
type PlaygroundOptions struct {
	// Endpoint is the path of GraphQL over HTTP on this server; /graphql by default.
	Endpoint string
	// ForeignGraphiQL is served as /playground/graphiql if it is set and GraphiQL is not embedded; the console links to
	// it with a warning that it loads from ForeignOrigin.
	ForeignGraphiQL http.Handler
	ForeignOrigin   string
	// Tokens issues a token for each of the demonstration people, and returns when they expire. If nil, the developer
	// must enter a token.
	Tokens func() (people map[string]string, expires time.Time, err error)
	// Reference holds the pages (Markdown) under /playground/reference/; optional.
	Reference fs.FS
}

// Example is an operation that is ready to run.
type Example struct {
	// Name is the stem of its file, Group and Title are displayed in the list, About describes it, and As is the
	// demonstration person who runs it.
	Name  string `json:"name"`
	Group string `json:"group"`
	Title string `json:"title"`
	About string `json:"about"`
	As    string `json:"as"`
	// Document is GraphQL; Variables is a JSON object that may contain {{lastInvitationId}} and similar placeholders.
	Document  string `json:"document"`
	Variables string `json:"variables"`
	// Comment is the title and the description as comment lines of a document.
	Comment string `json:"comment"`
}

// Tab is a document with the operations of one person in one life cycle.
type Tab struct {
	Group      string   `json:"group"`
	As         string   `json:"as"`
	Document   string   `json:"document"`
	Variables  string   `json:"variables"`
	Operations []string `json:"operations"`
}

var examples = readExamples()

// Examples returns the example operations in the order of the list. It is exported for the stories that
// execute each of them.
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

// parseExample parses a file: comment lines "# name: value" before the document, and "# " to continue a value.
func parseExample(text string) Example {
	var e Example
	var last *string
	fields := map[string]*string{"group": &e.Group, "title": &e.Title, "about": &e.About, "as": &e.As, "variables": &e.Variables}
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
	e.Comment = comment(e.Title + ". " + e.About)
	return e
}

var (
	operationName = regexp.MustCompile(`(?m)^(?:query|mutation|subscription) (\w+)`)
	inputVariable = regexp.MustCompile(`\$input\b`)
)

// Tabs returns the examples as documents, one for each group and person. Because the operations of a document share its
// variables, each input is named after its operation.
func Tabs() []Tab {
	type life struct{ group, as string }
	at := map[life]int{}
	var out []Tab
	var variables []map[string]any
	for _, e := range examples {
		n, ok := at[life{e.Group, e.As}]
		if !ok {
			n = len(out)
			at[life{e.Group, e.As}] = n
			out, variables = append(out, Tab{Group: e.Group, As: e.As}), append(variables, map[string]any{})
		}
		t := &out[n]
		names := operationName.FindAllStringSubmatch(e.Document, -1)
		for _, name := range names {
			t.Operations = append(t.Operations, name[1])
		}
		input := strings.ToLower(names[0][1][:1]) + names[0][1][1:]
		inputs := map[string]any{}
		if err := json.Unmarshal([]byte(cmp.Or(e.Variables, "{}")), &inputs); err != nil {
			panic(fmt.Sprintf("pages: variables of the example %s: %v", e.Name, err))
		}
		for name, value := range inputs {
			if name == "input" {
				name = input
			}
			if existing, ok := variables[n][name]; ok && !reflect.DeepEqual(existing, value) {
				panic(fmt.Sprintf("pages: the example %s has another %s than its neighbours", e.Name, name))
			}
			variables[n][name] = value
		}
		t.Document += e.Comment + inputVariable.ReplaceAllLiteralString(e.Document, "$"+input) + "\n"
	}
	for n := range out {
		if len(variables[n]) > 0 {
			text, err := json.MarshalIndent(variables[n], "", "  ")
			if err != nil {
				panic(err)
			}
			out[n].Variables = string(text)
		}
		out[n].Document = strings.TrimRight(out[n].Document, "\n") + "\n"
	}
	return out
}

// comment returns comment lines that fit into an editor next to two other panes.
func comment(text string) string {
	const width = 52
	var b strings.Builder
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && line != "#" {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// kinds holds the media types of the assets, because the operating system's table may differ.
var kinds = map[string]string{
	"": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

// Playground returns the developer's page: / and its files under /playground/. It uses no other host; the app decides
// whether it is mounted. If GraphiQL is embedded, / is GraphiQL; the console is always at /playground/console.
func Playground(o PlaygroundOptions) http.Handler { return playgroundOf(o, playgroundFiles) }

// playground is the handler.
type playground struct {
	o        PlaygroundOptions
	graphiql *template.Template // nil if not embedded
	console  []byte
	assets   map[string][]byte
	pages    *reference // nil if there are none
}

// consolePolicy permits what comes from this server, and nothing inline.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

// graphiqlPolicy is as strict, with two exceptions: the fonts are part of GraphiQL's style sheet, and a script creates
// one style element, which has the nonce.
func graphiqlPolicy(nonce string) string {
	return strings.Replace(consolePolicy, "style-src 'self'", "style-src 'self' 'nonce-"+nonce+"'; font-src 'self' data:", 1)
}

func playgroundOf(o PlaygroundOptions, files fs.FS) http.Handler {
	if o.Endpoint == "" {
		o.Endpoint = "/graphql"
	}
	p := &playground{o: o, assets: map[string][]byte{}}
	asset := func(name string) bool {
		content, err := fs.ReadFile(files, "playground/"+name)
		p.assets["/playground/"+name] = content
		return err == nil
	}
	for _, name := range []string{"client.js", "console.css", "console.js", "icon.svg", "reference.css"} {
		if !asset(name) {
			panic("pages: no " + name)
		}
	}
	// The file of licenses is written last: if it exists, all files do.
	if _, err := fs.Stat(files, "playground/graphiql/LICENSES.txt"); err == nil {
		for _, name := range []string{
			"graphiql.css", "graphiql.js", "graphiql/LICENSES.txt", "graphiql/explorer.css", "graphiql/explorer.js", "graphiql/graphiql.css",
			"graphiql/graphiql.js", "graphiql/react-dom.js", "graphiql/react.js",
		} {
			if !asset(name) {
				panic("pages: no " + name)
			}
		}
		p.graphiql = template.Must(template.ParseFS(files, "playground/graphiql.html"))
	}
	for name, list := range map[string]any{"examples": examples, "tabs": Tabs()} {
		content, err := json.Marshal(list)
		if err != nil {
			panic(err)
		}
		p.assets["/playground/"+name+".json"] = content
	}
	if o.Reference != nil {
		p.pages = &reference{files: o.Reference}
	}
	var page bytes.Buffer
	console := template.Must(template.ParseFS(files, "playground/index.html"))
	if err := console.Execute(&page, p.view("")); err != nil {
		panic(err)
	}
	p.console = page.Bytes()
	return p
}

// playgroundView is the input of both templates.
type playgroundView struct {
	Endpoint, Nonce, ForeignHost         string
	GraphiQL, Foreign, Tokens, Reference bool
}

func (p *playground) view(nonce string) playgroundView {
	v := playgroundView{
		Endpoint: p.o.Endpoint, Nonce: nonce, GraphiQL: p.graphiql != nil, Foreign: p.graphiql == nil && p.o.ForeignGraphiQL != nil,
		Tokens: p.o.Tokens != nil, Reference: p.o.Reference != nil,
	}
	if u, err := url.Parse(p.o.ForeignOrigin); err == nil {
		v.ForeignHost = u.Host
	}
	return v
}

func (p *playground) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header(), consolePolicy)
	switch where := r.URL.Path; {
	case where == "/playground/tokens" && p.o.Tokens != nil:
		p.tokens(w, r)
	case !allowMethods(w, r, http.MethodGet, http.MethodHead):
	case where == "/" && p.graphiql != nil, where == "/playground/graphiql" && p.graphiql != nil:
		nonce := rand.Text()
		w.Header().Set("Content-Security-Policy", graphiqlPolicy(nonce))
		w.Header().Set("Content-Type", kinds[""])
		_ = p.graphiql.Execute(w, p.view(nonce))
	case where == "/", where == "/playground/console":
		w.Header().Set("Content-Type", kinds[""])
		_, _ = w.Write(p.console)
	case where == "/playground/graphiql" && p.o.ForeignGraphiQL != nil:
		// Its scripts come from another host, with hashes in the page; they may connect to this server only.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'unsafe-inline' "+p.o.ForeignOrigin+
			"; style-src 'unsafe-inline' "+p.o.ForeignOrigin+"; connect-src 'self'; img-src 'self' data:; font-src data:; "+
			"form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
		p.o.ForeignGraphiQL.ServeHTTP(w, r)
	case strings.HasPrefix(where, referencePath) && p.pages != nil:
		p.pages.ServeHTTP(w, r)
	default:
		content, found := p.assets[where]
		if !found {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kinds[path.Ext(where)])
		_, _ = w.Write(content)
	}
}

// tokens returns the tokens of the demonstration people to the playground only: a page of another site cannot send the
// header without a preflight request, which is not allowed, and its browser does not mark the request as same-origin. A
// forwarded request does not come from this machine and gets nothing.
func (p *playground) tokens(w http.ResponseWriter, r *http.Request) {
	if !allowMethods(w, r, http.MethodPost) {
		return
	}
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	foreign := site != "" && site != "same-origin"
	if u, err := url.Parse(origin); origin != "" && (err != nil || u.Host != r.Host) {
		foreign = true
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		foreign = foreign || r.Header.Get(name) != ""
	}
	if foreign || r.Header.Get("X-Gatehouse-Playground") == "" {
		http.Error(w, "Tokens are issued only for the playground of this server, on this machine.", http.StatusForbidden)
		return
	}
	people, expires, err := p.o.Tokens()
	if err != nil {
		http.Error(w, "The tokens cannot be created.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kinds[".json"])
	_ = json.NewEncoder(w).Encode(map[string]any{"people": people, "expiresAt": expires.UTC().Format(time.RFC3339)})
}
