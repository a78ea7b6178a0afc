package pages

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	gqlrules "github.com/vektah/gqlparser/v2/validator/rules"
)

func get(t *testing.T, h http.Handler, method, path string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result(), w.Body.String()
}

func TestPlayground(t *testing.T) {
	t.Parallel()

	t.Run("everything the page names is served here, and nothing else is named", func(t *testing.T) {
		t.Parallel()
		h := Playground(PlaygroundOptions{})
		answer, page := get(t, h, http.MethodGet, "/")
		if answer.StatusCode != 200 || !strings.Contains(page, `data-endpoint="/graphql"`) {
			t.Fatalf("%d\n%s", answer.StatusCode, page)
		}
		_, script := get(t, h, http.MethodGet, "/playground/console.js")
		for _, link := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
			if answer, _ := get(t, h, http.MethodGet, link[1]); answer.StatusCode != 200 {
				t.Errorf("%s: %d", link[1], answer.StatusCode)
			}
		}
		if strings.Contains(page, "://") || strings.Contains(script, "://") || strings.Contains(script, "innerHTML") {
			t.Error("a foreign address, or text treated as HTML")
		}
		policy := answer.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:") || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q", policy)
		}
	})

	t.Run("media types, methods and unknown paths", func(t *testing.T) {
		t.Parallel()
		h := Playground(PlaygroundOptions{})
		for path, kind := range map[string]string{
			"/playground/console.js": "text/javascript; charset=utf-8", "/playground/console.css": "text/css; charset=utf-8",
			"/playground/icon.svg": "image/svg+xml", "/playground/examples.json": "application/json",
		} {
			if answer, _ := get(t, h, http.MethodGet, path); answer.Header.Get("Content-Type") != kind {
				t.Errorf("%s is %q", path, answer.Header.Get("Content-Type"))
			}
		}
		if answer, _ := get(t, h, http.MethodPost, "/"); answer.StatusCode != 405 || answer.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %d", answer.StatusCode)
		}
		for _, path := range []string{"/other", "/playground/", "/playground/index.html", "/playground/graphiql", "/playground/examples/01-create-joint.graphql"} {
			if answer, _ := get(t, h, http.MethodGet, path); answer.StatusCode != 404 {
				t.Errorf("%s: %d", path, answer.StatusCode)
			}
		}
	})

	t.Run("a page from a CDN is linked only where there is one, and with a warning", func(t *testing.T) {
		t.Parallel()
		_, page := get(t, Playground(PlaygroundOptions{}), http.MethodGet, "/")
		if strings.Contains(page, "graphiql") {
			t.Error("a link without a page")
		}
		h := Playground(PlaygroundOptions{GraphiQL: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "foreign") })})
		_, page = get(t, h, http.MethodGet, "/")
		_, foreign := get(t, h, http.MethodGet, "/playground/graphiql")
		if !strings.Contains(page, "loads from a CDN") || foreign != "foreign" {
			t.Errorf("%q", foreign)
		}
	})
}

func TestExamples(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range Examples() {
		if e.Group == "" || e.Title == "" || e.About == "" || e.Document == "" || seen[e.Name] {
			t.Errorf("%s is incomplete: %+v", e.Name, e)
		}
		seen[e.Name] = true
		var variables map[string]any
		if err := json.Unmarshal([]byte(e.Variables), &variables); err != nil && e.Variables != "" {
			t.Errorf("%s: variables: %v", e.Name, err)
		}
		for name := range variables {
			if !strings.Contains(e.Document, "$"+name+":") {
				t.Errorf("%s: variable %s is not declared", e.Name, name)
			}
		}
	}
}

func TestExamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../graph/schema/*.graphqls")
	if err != nil || len(files) == 0 {
		t.Fatal("no schema", err)
	}
	var sources []*ast.Source
	for _, name := range append([]string{"../schema.graphqls"}, files...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &ast.Source{Name: name, Input: string(text)})
	}
	schema, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range Examples() {
		document, err := gqlparser.LoadQueryWithRules(schema, e.Document, gqlrules.NewDefaultRules())
		if err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		var variables map[string]any
		if err := json.Unmarshal([]byte(e.Variables), &variables); err != nil && e.Variables != "" {
			t.Errorf("%s: %v", e.Name, err)
		}
		for _, o := range document.Operations {
			if _, err := validator.VariableValues(schema, o, variables); err != nil {
				t.Errorf("%s: %v", e.Name, err)
			}
		}
	}
}
