package pages

import (
	"slices"
	"testing"
)

// TestReadParcels parses the head of the file that pages/fetch writes, and ignores the licenses below it.
func TestReadParcels(t *testing.T) {
	t.Parallel()
	got := parsePackages("graphiql@4.1.2 sha512-rNlz==\n@graphiql/plugin-explorer@4.0.6 sha512-TppI==\n\n==== graphiql@4.1.2\n\nMIT License\nreact@18.2.0 sha512-none==\n")
	want := []Package{{"graphiql", "4.1.2", "sha512-rNlz=="}, {"@graphiql/plugin-explorer", "4.0.6", "sha512-TppI=="}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for _, built := range Packages() {
		if built.Version == "" {
			t.Errorf("%+v", built)
		}
	}
}
