package pages

import "strings"

// Parcel is an npm package of which files are built in.
type Package struct {
	// Name has the scope in it, as in @graphiql/plugin-explorer; Integrity is the hash of the package as npm writes it.
	Name, Version, Integrity string
}

// Parcels are the npm packages of GraphiQL, from the file that go generate writes beside theirs; none where GraphiQL
// is not built in.
func Packages() []Package {
	text, err := playgroundFiles.ReadFile("playground/graphiql/LICENSES.txt")
	if err != nil {
		return nil
	}
	return parsePackages(string(text))
}

// readParcels reads the lines before the licenses: a package with its version, a space, its hash.
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
