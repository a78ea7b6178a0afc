package resolvers_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	gql "github.com/vektah/gqlparser/v2/ast"
)

// The tests of this file verify docs/reference/conventions.md: the conventions of the schema.

// each calls f with every type of the schema files, ordered by name.
func each(s *gql.Schema, f func(*gql.Definition)) {
	var names []string
	for name, def := range s.Types {
		if !def.BuiltIn {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		f(s.Types[name])
	}
}

// shape returns a type's members with their types as one text.
func shape(def *gql.Definition) string {
	var out []string
	for _, f := range def.Fields {
		if !strings.HasPrefix(f.Name, "__") {
			out = append(out, f.Name+": "+f.Type.String())
		}
	}
	return strings.Join(out, ", ")
}

func TestConnectionsHaveOneShape(t *testing.T) {
	t.Parallel()
	each(schema(t), func(def *gql.Definition) {
		if node, ok := strings.CutSuffix(def.Name, "Connection"); ok {
			if got, want := shape(def), "edges: ["+node+"Edge!]!, nodes: ["+node+"!]!, pageInfo: PageInfo!, totalCount: Int!"; got != want {
				t.Errorf("%s is %s", def.Name, got)
			}
		}
		if node, ok := strings.CutSuffix(def.Name, "Edge"); ok && shape(def) != "node: "+node+"!, cursor: String!" {
			t.Errorf("%s is %s", def.Name, shape(def))
		}
	})
}

// TestListsAreAskedForAlike: all lists have the same arguments, in the same order and with the same descriptions.
func TestListsAreAskedForAlike(t *testing.T) {
	t.Parallel()
	order := []string{"first", "after", "last", "before", "where", "orderBy"}
	said := map[string]string{}
	each(schema(t), func(def *gql.Definition) {
		for _, f := range def.Fields {
			node, ok := strings.CutSuffix(f.Type.Name(), "Connection")
			if !ok {
				continue
			}
			at, of := def.Name+"."+f.Name, "a list"
			if f.Name == "timeline" {
				of = "a timeline"
			}
			types := []string{"Int", "String", "Int", "String", node + "Where", "[" + node + "Order!]"}
			want := order
			if of == "a timeline" {
				want = order[:4]
			}
			for i, name := range want {
				if i >= len(f.Arguments) || f.Arguments[i].Name != name || f.Arguments[i].Type.String() != types[i] {
					t.Errorf("%s: argument %d is not %s: %s", at, i+1, name, types[i])
					continue
				}
				if name == "where" {
					if words := f.Arguments[i].Description; !regexp.MustCompile(`^Selects the [a-z -]+ to return; if omitted, all that you may see\.$`).MatchString(words) {
						t.Errorf("%s(%s:) is described as %q", at, name, words)
					}
					continue
				}
				key := of + name
				if said[key] == "" {
					said[key] = f.Arguments[i].Description
				}
				if said[key] != f.Arguments[i].Description {
					t.Errorf("%s(%s:) is described as %q, and elsewhere as %q", at, name, f.Arguments[i].Description, said[key])
				}
			}
		}
	})
}

// operators lists the operators of a condition, by the type of the value. An enumeration has eq, ne and in.
var operators = map[string]string{
	"IDWhere":           "eq: ID, ne: ID, in: [ID!], isNull: Boolean",
	"TextWhere":         "eq: String, ne: String, in: [String!], contains: String, startsWith: String, isNull: Boolean",
	"UriWhere":          "eq: String, in: [String!]",
	"EmailAddressWhere": "eq: String, in: [String!], contains: String",
	"NameWhere":         "eq: String, ne: String, in: [String!]",
	"DateTimeWhere":     "eq: DateTime, gt: DateTime, gte: DateTime, lt: DateTime, lte: DateTime",
	"IntWhere":          "eq: Int, ne: Int, in: [Int!], gt: Int, gte: Int, lt: Int, lte: Int",
	// A report has several categories, so the operator ne would be meaningless.
	"FraudRiskCategoryTypeWhere": "eq: FraudRiskCategoryType, in: [FraudRiskCategoryType!]",
}

func TestConditionsHaveOneShape(t *testing.T) {
	t.Parallel()
	s := schema(t)
	each(s, func(def *gql.Definition) {
		of, ok := strings.CutSuffix(def.Name, "Where")
		if !ok {
			return
		}
		want, known := operators[def.Name]
		if e := s.Types[of]; !known && e != nil && e.Kind == gql.Enum {
			want, known = "eq: "+of+", ne: "+of+", in: ["+of+"!]", true
		}
		if !known { // conditions on a record: and, or and not come first, then members with nested conditions
			if !strings.HasPrefix(shape(def), "and: ["+def.Name+"!], or: ["+def.Name+"!], not: "+def.Name+", ") {
				t.Errorf("%s does not begin with and, or, not: %s", def.Name, shape(def))
			}
			for _, f := range def.Fields[3:] {
				if f.Name != "search" && !strings.HasSuffix(f.Type.String(), "Where") {
					t.Errorf("%s.%s is %s", def.Name, f.Name, f.Type)
				}
			}
			return
		}
		if shape(def) != want {
			t.Errorf("%s has %s, want %s", def.Name, shape(def), want)
		}
	})
	each(s, func(def *gql.Definition) {
		if of, ok := strings.CutSuffix(def.Name, "Order"); ok && shape(def) != "field: "+of+"OrderField!, direction: OrderDirection!" {
			t.Errorf("%s is %s", def.Name, shape(def))
		}
	})
}

// TestInputsAndPayloadsHaveOneOrder: an input begins with the record and ends with the version and the key; a payload
// begins with the result and ends with problems and replayed, always with the same descriptions.
func TestInputsAndPayloadsHaveOneOrder(t *testing.T) {
	t.Parallel()
	s := schema(t)
	said := map[string]string{}
	same := func(at, name, words string) {
		if said[name] == "" {
			said[name] = words
		}
		if said[name] != words && !strings.HasPrefix(words, "Always false") {
			t.Errorf("%s.%s is described as %q, and elsewhere as %q", at, name, words, said[name])
		}
	}
	for _, m := range s.Mutation.Fields {
		in, out := s.Types[upper(m.Name)+"Input"], s.Types[m.Type.Name()]
		names := func(def *gql.Definition) (list []string) {
			for _, f := range def.Fields {
				list = append(list, f.Name)
			}
			return list
		}
		given := names(in)
		for i, name := range given {
			left := given[i+1:]
			switch {
			case name == "idempotencyKey" && len(left) > 0, name == "expectedVersion" && !slices.Equal(left, []string{"idempotencyKey"}):
				t.Errorf("%s.%s is not at the end", in.Name, name)
			case name == "idempotencyKey" || name == "expectedVersion":
				same(in.Name, name, in.Fields[i].Description)
			}
		}
		for _, id := range []string{"invitationId", "sessionId", "quizId", "twoFactorRequestId", "deviceId"} {
			if i := slices.Index(given, id); i > 0 && m.Name != "previewJwtTemplate" {
				t.Errorf("%s.%s is not the first", in.Name, id)
			}
		}
		told := names(out)
		if n := len(told); n < 3 || !slices.Equal(told[n-2:], []string{"problems", "replayed"}) {
			t.Errorf("%s ends with %v", out.Name, told)
		}
		for _, f := range out.Fields {
			if f.Name == "problems" || f.Name == "replayed" {
				same(out.Name, f.Name, f.Description)
			} else if f.Type.NonNull {
				t.Errorf("%s.%s is never null, and a problem leaves nothing to show", out.Name, f.Name)
			}
		}
		if want := "Result of " + m.Name + "."; out.Description != want {
			t.Errorf("%s is described as %q", out.Name, out.Description)
		}
	}
}

// TestRecordsHaveOneOrder: id and state come first, the members common to all state machines last.
func TestRecordsHaveOneOrder(t *testing.T) {
	t.Parallel()
	each(schema(t), func(def *gql.Definition) {
		if def.Kind != gql.Object || !slices.Contains(def.Interfaces, "Lifecycle") {
			return
		}
		var own []string // members added by other files follow
		for _, f := range def.Fields {
			if f.Position.Src.Name == def.Position.Src.Name {
				own = append(own, f.Name)
			}
		}
		if own[0] != "id" || own[1] != stateMember(def.Name) {
			t.Errorf("%s begins with %v", def.Name, own[:2])
		}
		if last := []string{"version", "createdAt", "updatedAt", "actions", "timeline"}; !slices.Equal(own[len(own)-5:], last) {
			t.Errorf("%s ends with %v", def.Name, own[len(own)-5:])
		}
	})
}

// TestNamesSayTheType: the name of a time ends in At, of a count in Count, and of an id it is id or ends in Id or By.
func TestNamesSayTheType(t *testing.T) {
	t.Parallel()
	s := schema(t)
	other := map[string]bool{
		"LifecycleEvent.actor": true, "Verification.source": true, "Device.fingerprint": true, // ids with more specific names
	}
	each(s, func(def *gql.Definition) {
		if strings.HasSuffix(def.Name, "Where") {
			return
		}
		for _, f := range def.Fields {
			at := def.Name + "." + f.Name
			if strings.HasPrefix(f.Name, "__") || other[at] {
				continue
			}
			for _, rule := range []struct{ name, typename string }{{`(^id|Id|By)$`, "ID"}, {`At$`, "DateTime"}, {`Count$`, "Int"}} {
				named, typed := regexp.MustCompile(rule.name).MatchString(f.Name), f.Type.Name() == rule.typename
				if named && !typed && f.Name != "taxId" || // a number of the authorities, not an id
					typed && !named && rule.typename != "Int" {
					t.Errorf("%s: %s", at, f.Type)
				}
			}
		}
	})
}

// TestNullability: a field from the record's own row is not null; a field that depends on another row, a permission or
// a service is nullable.
func TestNullability(t *testing.T) {
	t.Parallel()
	s := schema(t)
	each(s, func(def *gql.Definition) {
		if def.Kind != gql.Object || strings.HasSuffix(def.Name, "Connection") || strings.HasSuffix(def.Name, "Edge") {
			return
		}
		for _, f := range def.Fields {
			at, of := def.Name+"."+f.Name, s.Types[f.Type.Name()]
			switch {
			case strings.HasPrefix(f.Name, "__") || def == s.Subscription:
			case def == s.Query || def == s.Mutation:
				if f.Type.NonNull && f.Name != "version" && f.Name != "lifecycle" { // these read no row
					t.Errorf("%s is never null, and a refusal of one root field must not take its neighbours along", at)
				}
			case of != nil && f.Type.NonNull && (of.Name == "Node" || slices.Contains(of.Interfaces, "Node")):
				t.Errorf("%s is another row, and never null", at)
			case f.Type.Name() == "Boolean" && !f.Type.NonNull:
				t.Errorf("%s is neither true nor false", at)
			case f.Type.Elem != nil && !f.Type.Elem.NonNull:
				t.Errorf("%s has entries that are null", at)
			}
		}
	})
	if got := s.Query.Fields.ForName("nodes").Type.String(); got != "[Node]" {
		t.Errorf("nodes is %s: an id that names nothing leaves a gap", got)
	}
}

// TestDescriptionsAreSentences: descriptions are sentences, and deprecations name the replacement.
func TestDescriptionsAreSentences(t *testing.T) {
	t.Parallel()
	s := schema(t)
	sentence := func(at, text string) {
		text = strings.TrimSpace(text)
		if text != "" && !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "`") && !strings.HasSuffix(text, "?") {
			t.Errorf("%s: %q is no sentence", at, text)
		}
	}
	replaced := func(at string, list gql.DirectiveList) {
		if d := list.ForName("deprecated"); d != nil && !strings.HasPrefix(d.Arguments.ForName("reason").Value.Raw, "Use `") {
			t.Errorf("%s is deprecated, and the reason does not begin with what to use", at)
		}
	}
	each(s, func(def *gql.Definition) {
		sentence(def.Name, def.Description)
		for _, f := range def.Fields {
			sentence(def.Name+"."+f.Name, f.Description)
			replaced(def.Name+"."+f.Name, f.Directives)
			for _, a := range f.Arguments {
				sentence(def.Name+"."+f.Name+"("+a.Name+":)", a.Description)
				replaced(def.Name+"."+f.Name+"("+a.Name+":)", a.Directives)
			}
		}
		for _, v := range def.EnumValues {
			sentence(def.Name+"."+v.Name, v.Description)
			replaced(def.Name+"."+v.Name, v.Directives)
		}
	})
}
