package pages

import "strings"

// Package is an npm package whose files are embedded.
type Package struct {
	// Name includes the scope, as in @graphiql/plugin-explorer; Integrity is the hash of the package in npm's format.
	Name, Version, Integrity string
}

// Packages returns the npm packages of GraphiQL, from the file that go generate writes next to theirs; none if GraphiQL
// is not embedded.
func Packages() []Package {
	text, err := playgroundFiles.ReadFile("playground/graphiql/LICENSES.txt")
	if err != nil {
		return nil
	}
	return parsePackages(string(text))
}

// parsePackages parses the lines before the licenses: a package with its version, a space, its hash.
func parsePackages(text string) []Package {
	var out []Package
	for line := range strings.Lines(text) {
		name, integrity, ok := strings.Cut(strings.TrimSpace(line), " ")
		at := strings.LastIndex(name, "@")
		if !ok || at <= 0 || !strings.HasPrefix(integrity, "sha512-") {
			break
		}
		out = append(out, Package{Name: name[:at], Version: name[at+1:], Integrity: integrity})
	}
	return out
}
