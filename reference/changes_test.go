package reference_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/reference"
)

func load(t *testing.T, text string) *ast.Schema {
	t.Helper()
	s, err := gqlparser.LoadSchema(&ast.Source{Name: "test", Input: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// base is a schema with one of each kind of element.
const base = `
directive @constraint(minLength: Int, maxLength: Int, min: Int, max: Int, format: String, maxItems: Int, unique: Boolean, oneOf: [String!]) on INPUT_FIELD_DEFINITION | ARGUMENT_DEFINITION
directive @shown(how: String) on FIELD | FRAGMENT_SPREAD
interface Node { id: ID! }
interface Named { name: String }
type Query { dog(id: ID!, breed: String = "any", size: Int): Dog dogs(first: Int @constraint(max: 100)): [Dog!]! pet: Pet }
type Dog implements Node & Named { id: ID! name: String age: Int! toys: [String!] kind: Kind }
type Cat { lives: Int }
union Pet = Dog | Cat
enum Kind { BIG SMALL }
input Bark { loud: Boolean! = false times: Int! words: [String!] @constraint(maxItems: 3, oneOf: ["wuff", "wau"]) name: String @constraint(minLength: 2, maxLength: 9, format: "line") }
type Mutation { bark(input: Bark!): Dog }
scalar Day @specifiedBy(url: "https://example.com/day")
`

// TestCompare has a case for every rule: the replaced text of the schema and its replacement.
func TestCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ claim, old, new, want string }{
		{"a type that is gone", "type Cat { lives: Int }\nunion Pet = Dog | Cat", "union Pet = Dog", "breaking: Cat is gone"},
		{"a type that is new", "type Cat {", "type Cow { milk: Int }\ntype Cat {", "safe: Cow is new"},
		{"a type of another kind", "scalar Day @specifiedBy(url: \"https://example.com/day\")", "enum Day { MONDAY }", "breaking: Day was SCALAR and is ENUM"},
		{"a member that is gone", "age: Int! ", "", "breaking: Dog.age is gone"},
		{"a member that is new", "age: Int! ", "age: Int! height: Int ", "safe: Dog.height is new: Int"},
		{"a member that may be null", "age: Int!", "age: Int", "breaking: Dog.age was Int! and is Int"},
		{"a member that is never null", "kind: Kind }", "kind: Kind! }", "safe: Dog.kind was Kind and is Kind!"},
		{"a member of another type", "age: Int!", "age: Float!", "breaking: Dog.age was Int! and is Float!"},
		{"a list that was none", "age: Int!", "age: [Int!]!", "breaking: Dog.age was Int! and is [Int!]!"},
		{"entries that may be null", "toys: [String!]", "toys: [String]", "breaking: Dog.toys was [String!] and is [String]"},
		{"entries that are never null", "[Dog!]!", "[Dog!]!", ""},
		{"an argument that is gone", ", size: Int", "", "breaking: Query.dog(size:) is gone"},
		{"an argument that is new", ", size: Int", ", size: Int, age: Int", "safe: Query.dog(age:) is new: Int"},
		{"an argument that is new and required", ", size: Int", ", size: Int, age: Int!", "breaking: Query.dog(age:) is new: Int!"},
		{"an argument that is new and has a default", ", size: Int", ", size: Int, age: Int! = 3", "safe: Query.dog(age:) is new: Int!"},
		{"an argument that becomes required", "size: Int", "size: Int!", "breaking: Query.dog(size:) was Int and is Int!"},
		{"an argument that becomes optional", "id: ID!, breed", "id: ID, breed", "safe: Query.dog(id:) was ID! and is ID"},
		{"an argument of another type", "size: Int", "size: Float", "breaking: Query.dog(size:) was Int and is Float"},
		{"another default", `"any"`, `"poodle"`, `dangerous: Query.dog(breed:) had the default "any" and has "poodle"`},
		{"a default that is gone", `loud: Boolean! = false`, `loud: Boolean!`, `breaking: Bark.loud had the default false and has none`},
		{"a value that is gone", "BIG SMALL", "BIG", "breaking: Kind.SMALL is gone"},
		{"a value that is new", "BIG SMALL", "BIG SMALL TINY", "dangerous: Kind.TINY is a new value"},
		{"an interface that is gone", "Node & Named", "Node", "breaking: Dog no longer implements Named"},
		{"an interface that is new", "type Cat {", "type Cat implements Named { name: String", "dangerous: Cat now implements Named"},
		{"a union's member that is gone", "Dog | Cat", "Dog", "breaking: Pet no longer has the member Cat"},
		{"a union's member that is new", "union Pet = Dog | Cat", "type Cow { milk: Int }\nunion Pet = Dog | Cat | Cow", "dangerous: Pet now has the member Cow"},
		{"an input's member that is gone", "times: Int! ", "", "breaking: Bark.times is gone"},
		{"an input's member that is new", "times: Int! ", "times: Int! pause: Int ", "safe: Bark.pause is new: Int"},
		{"an input's member that is new and required", "times: Int! ", "times: Int! pause: Int! ", "breaking: Bark.pause is new: Int!"},
		{"an input's member that becomes optional", "times: Int! ", "times: Int ", "safe: Bark.times was Int! and is Int"},
		{"an input's entries that become required", "words: [String!]", "words: [String!]!", "breaking: Bark.words was [String!] and is [String!]!"},
		{"a text that must be longer", "minLength: 2", "minLength: 3", "breaking: Bark.name was @constraint(minLength: 2) and is 3"},
		{"a text that may be shorter", "minLength: 2", "minLength: 1", "safe: Bark.name was @constraint(minLength: 2) and is 1"},
		{"a text that may be longer", "maxLength: 9", "maxLength: 90", "safe: Bark.name was @constraint(maxLength: 9) and is 90"},
		{"a page that is smaller", "max: 100", "max: 50", "breaking: Query.dogs(first:) was @constraint(max: 100) and is 50"},
		{"another form", `format: "line"`, `format: "digits"`, `breaking: Bark.name was @constraint(format: "line") and is "digits"`},
		{"no form any more", `, format: "line"`, ``, `safe: Bark.name is no longer @constraint(format: "line")`},
		{"a constraint that is new", "size: Int", "size: Int @constraint(min: 1)", "breaking: Query.dog(size:) was @constraint(min: none) and is 1"},
		{"a word that is gone", `["wuff", "wau"]`, `["wuff"]`, `breaking: Bark.words was @constraint(oneOf: ["wuff","wau"]) and is ["wuff"]`},
		{"a word that is new", `["wuff", "wau"]`, `["wuff", "wau", "hau"]`, `safe: Bark.words was @constraint(oneOf: ["wuff","wau"]) and is ["wuff","wau","hau"]`},
		{"what becomes deprecated", "kind: Kind }", `kind: Kind @deprecated(reason: "Use size.") }`, `safe: Dog.kind is now @deprecated(reason: "Use size.")`},
		{"what is specified elsewhere", "example.com/day", "example.com/week", `dangerous: Day is now @specifiedBy(url: "https://example.com/week")`},
		{"one of many", "input Bark {", "input Bark @oneOf {", "breaking: Bark was without @oneOf and is @oneOf()"},
		{"a directive that is gone", "directive @shown(how: String) on FIELD | FRAGMENT_SPREAD", "", "breaking: @shown is gone"},
		{"a directive's argument that is gone", "@shown(how: String)", "@shown", "breaking: @shown(how:) is gone"},
		{"a directive's argument that is required", "@shown(how: String)", "@shown(how: String, when: Int!)", "breaking: @shown(when:) is new: Int!"},
		{"a directive's place that is gone", "on FIELD | FRAGMENT_SPREAD", "on FIELD", "breaking: @shown no longer applies to FRAGMENT_SPREAD"},
		{"a description", "type Cat {", "\"A cat.\"\ntype Cat {", ""},
	} {
		t.Run(c.claim, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(base, c.old) {
				t.Fatalf("the schema does not have %q", c.old)
			}
			after := strings.Replace(base, c.old, c.new, 1)
			if strings.Contains(after, "@oneOf {") { // its members are all optional
				after = strings.NewReplacer("loud: Boolean! = false", "loud: Boolean", "times: Int!", "times: Int").Replace(after)
			}
			var got []string
			for _, change := range reference.Compare(load(t, base), load(t, after)) {
				got = append(got, change.String())
			}
			if c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
				t.Errorf("want %q, got %q", c.want, got)
			}
		})
	}
}

// TestNotes: a note permits a breaking change if it is dated on or after the release and names the coordinate.
func TestNotes(t *testing.T) {
	t.Parallel()
	released := reference.Released(load(t, base), "2026-11-25")
	current := load(t, strings.Replace(base, "age: Int! ", "", 1))
	for _, c := range []struct {
		claim, notes string
		want         int
	}{
		{"no note", "", 1},
		{"a note of before the release", "## 2026-11-24 Ages\n\n- `Dog.age` goes.\n", 1},
		{"a note of something else", "## 2026-11-26 Ages\n\n- `Dog` has no age.\n", 1},
		{"a note without a day", "## Ages\n\n- `Dog.age` goes.\n", 1},
		{"a note", "# Changes\n\n## 2026-11-26 Ages\n\n- `Dog.age` goes: nobody asked a dog.\n", 0},
	} {
		got, err := reference.Undocumented(released, current, c.notes)
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %v %v", c.claim, got, err)
		}
	}
	if got, err := reference.Undocumented(released, load(t, base), ""); err != nil || len(got) > 0 {
		t.Errorf("the released schema differs from itself: %v %v", got, err)
	}
}

// TestTheSchemaBreaksNoClient compares the schema with the released one.
func TestTheSchemaBreaksNoClient(t *testing.T) {
	t.Parallel()
	released, err := os.ReadFile("../docs/reference/schema.released.graphqls")
	if err != nil {
		t.Fatalf("%v: `go run . docs --release-schema` writes it", err)
	}
	notes, err := os.ReadFile("../docs/schema-changes.md")
	if err != nil {
		t.Fatal(err)
	}
	changes, err := reference.Undocumented(string(released), reference.Schema(), string(notes))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		t.Errorf("%s; clients of the released schema may fail. Undo the change, or justify it in docs/schema-changes.md under a heading with today's date, and name `%s`", c, c.Coordinate)
	}
}
