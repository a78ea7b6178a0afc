package pages

import "strings"

// Parcel is an npm package of which files are built in.
type Parcel struct {
	// Name has the scope in it, as in @graphiql/plugin-explorer; Integrity is the hash of the package as npm writes it.
	Name, Version, Integrity string
}

// Parcels are the npm packages of GraphiQL, from the file that go generate writes beside theirs; none where GraphiQL
// is not built in.
func Parcels() []Parcel {
	text, err := playgroundFiles.ReadFile("playground/graphiql/LICENSES.txt")
	if err != nil {
		return nil
	}
	return readParcels(string(text))
}

// readParcels reads the lines before the licenses: a package with its version, a space, its hash.
func readParcels(text string) []Parcel {
	var out []Parcel
	for line := range strings.Lines(text) {
		what, integrity, ok := strings.Cut(strings.TrimSpace(line), " ")
		at := strings.LastIndex(what, "@")
		if !ok || at <= 0 || !strings.HasPrefix(integrity, "sha512-") {
			break
		}
		out = append(out, Parcel{Name: what[:at], Version: what[at+1:], Integrity: integrity})
	}
	return out
}
