package resolvers_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	gql "github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

func schema(t *testing.T) *gql.Schema {
	t.Helper()
	files, err := filepath.Glob("../graph/schema/*.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	var sources []*gql.Source
	for _, name := range append(files, "../schema.graphqls") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &gql.Source{Name: name, Input: string(text)})
	}
	s, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// operations lists the mutations that the state machines require, with their subjects.
func operations() map[string]string {
	out := map[string]string{}
	for _, m := range domain.Lifecycles() {
		for _, move := range m.Moves() {
			if !move.Clock && move.Within == "" {
				out[move.Operation] = m.Name
			}
		}
	}
	return out
}

// besides lists the mutations that are no transition of one record: the payload members in addition to problems and
// replayed.
var recordBeside = map[string]map[string]string{
	"touchSession":          {"session": "Session"},
	"endOtherSessions":      {"session": "Session", "endedSessions": "[Session!]"},
	"createSessionToken":    {"jwt": "String"},
	"createClientToken":     {"client": "Client", "jwt": "String"},
	"saveJwtTemplate":       {"jwtTemplate": "JwtTemplate"},
	"createDeviceChallenge": {"deviceChallenge": "DeviceChallenge"},
	"deleteJwtTemplate":     {"deletedJwtTemplateName": "String"},
	"previewJwtTemplate":    {"claims": "JSON"},
}

// mutations lists all of them, with the payload members in addition to problems and replayed.
func mutations() map[string]map[string]string {
	out := maps.Clone(recordBeside)
	for name, subject := range operations() {
		out[name] = map[string]string{subject: upper(subject)}
	}
	return out
}

// lists maps record types to their filterable lists.
var lists = map[string]listing.Schema{
	"Invitation": domain.InvitationSchema, "Session": domain.SessionSchema,
	"Device": domain.DeviceSchema, "TwoFactorRequest": domain.TwoFactorRequestSchema,
	"Contact": domain.ContactSchema, "FraudRiskReport": domain.FraudRiskReportSchema, "Quiz": domain.QuizSchema, "Approval": domain.ApprovalSchema,
}

// stateMember returns the schema's name for the state of a record.
func stateMember(typename string) string {
	switch typename {
	case "Session", "EmailVerification", "PhoneVerification", "Device", "TwoFactorRequest":
		return "status"
	}
	return "state"
}

func upper(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// word independently converts a word of the rules to an enumeration value.
func word(w string) string {
	return strings.ToUpper(regexp.MustCompile(`([a-z])([A-Z])|([A-Z])([A-Z][a-z])`).ReplaceAllString(w, "${1}${3}_${2}${4}"))
}

// TestTheSchemaHasTheRegisteredOperations compares the fields of the root types with the registry of operations.
func TestTheSchemaHasTheRegisteredOperations(t *testing.T) {
	t.Parallel()
	s := schema(t)
	var fields []string
	fields = append(fields, "client", "device", "emailVerification", "phoneVerification") // available through node only
	for _, root := range []*gql.Definition{s.Query, s.Mutation, s.Subscription} {
		for _, f := range root.Fields {
			if !strings.HasPrefix(f.Name, "__") {
				fields = append(fields, f.Name)
			}
		}
	}
	slices.Sort(fields)
	if want := domain.Operations(); !slices.Equal(fields, want) {
		for _, name := range fields {
			if !slices.Contains(want, name) {
				t.Errorf("domain/operations.go lacks %s", name)
			}
		}
		for _, name := range want {
			if !slices.Contains(fields, name) {
				t.Errorf("the schema lacks %s", name)
			}
		}
	}
}

func TestMutationsAreTheOperationsOfTheMachines(t *testing.T) {
	t.Parallel()
	s := schema(t)
	asked := operations()
	for name, subject := range asked {
		f := s.Mutation.Fields.ForName(name)
		if f == nil {
			t.Errorf(`the schema lacks the mutation %[1]s. Paste and describe:

extend type Mutation {
  %[1]s(input: %[2]sInput!): %[2]sPayload
}
input %[2]sInput {
%[4]s}
type %[2]sPayload {
  %[3]s: %[5]s
  problems: [Problem!]!
  replayed: Boolean!
}`, name, upper(name), subject, members(name), upper(subject))
			continue
		}
		in := f.Arguments.ForName("input")
		if len(f.Arguments) != 1 || in == nil || in.Type.String() != upper(name)+"Input!" || f.Type.String() != upper(name)+"Payload" {
			t.Errorf("%s has not the form %s(input: %sInput!): %sPayload", name, name, upper(name), upper(name))
		}
	}
	all := mutations()
	for _, f := range s.Mutation.Fields {
		if all[f.Name] == nil {
			t.Errorf("no machine has the operation %s", f.Name)
			continue
		}
		if f.Type.String() != upper(f.Name)+"Payload" {
			t.Errorf("%s has not the form %s(input: %sInput!): %sPayload", f.Name, f.Name, upper(f.Name), upper(f.Name))
			continue
		}
		payload := s.Types[f.Type.Name()]
		want := map[string]string{"problems": "[Problem!]!", "replayed": "Boolean!"}
		maps.Copy(want, all[f.Name])
		for member, want := range want {
			if got := payload.Fields.ForName(member); got == nil || got.Type.String() != want {
				t.Errorf("%s has not the member %s: %s", payload.Name, member, want)
			}
		}
	}
	for name := range recordBeside {
		if s.Mutation.Fields.ForName(name) == nil {
			t.Errorf("the schema lacks the mutation %s", name)
		}
	}
}

// inputOf returns the input of an operation: the second argument of the Service method of its name.
func inputOf(operation string) (reflect.Type, bool) {
	m, ok := reflect.TypeFor[*domain.Service]().MethodByName(upper(operation))
	if !ok || m.Type.NumIn() != 3 {
		return nil, false
	}
	return m.Type.In(2), true
}

// fieldsOf lists the members visible in APIs, including promoted ones.
func fieldsOf(input reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for _, f := range reflect.VisibleFields(input) {
		if name := f.Tag.Get("json"); !f.Anonymous && name != "-" && name != "" {
			out = append(out, f)
		}
	}
	return out
}

func members(operation string) string {
	in, ok := inputOf(operation)
	if !ok {
		return ""
	}
	var out strings.Builder
	for _, f := range fieldsOf(in) {
		fmt.Fprintf(&out, "  %s: …%s\n", f.Tag.Get("json"), constraint(f))
	}
	return out.String()
}

// constraint returns the constraint that the schema must have for a member, from its validate tag.
func constraint(f reflect.StructField) string {
	kind := f.Type.Kind()
	if kind == reflect.Pointer {
		kind = f.Type.Elem().Kind()
	}
	least, most := "min", "max"
	switch kind {
	case reflect.String:
		least, most = "minLength", "maxLength"
	case reflect.Slice:
		least, most = "minItems", "maxItems"
	default:
	}
	args := map[string]string{}
	for _, rule := range strings.Split(f.Tag.Get("validate"), ",") {
		name, value, _ := strings.Cut(rule, "=")
		switch name {
		case "min":
			args[least] = value
		case "max":
			args[most] = value
		case "mailbox":
			args["format"] = `"email"`
		case "printable", "line", "clientId", "templateName", "ip", "text", "digits", "ipv4", "birthdate":
			args["format"] = strconv.Quote(name)
		case "unique":
			args["unique"] = "true"
		case "oneof":
			if kind == reflect.Slice { // a single value is an enumeration
				args["oneOf"] = "[" + strings.Join(mapped(strings.Fields(value), strconv.Quote), ",") + "]"
			}
		case "", "required", "omitempty", "dive":
		default:
			return " the tests do not know the rule " + name
		}
	}
	return arguments(args)
}

func arguments(args map[string]string) string {
	var out []string
	for name, value := range args {
		out = append(out, name+": "+value)
	}
	slices.Sort(out)
	if out == nil {
		return ""
	}
	return " @constraint(" + strings.Join(out, ", ") + ")"
}

func TestInputsShowTheirConstraints(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for operation := range mutations() {
		input, ok := inputOf(operation)
		if !ok {
			t.Errorf("domain.Service has no method %s(ctx, input)", upper(operation))
			continue
		}
		def := s.Types[upper(operation)+"Input"]
		if def == nil {
			continue // reported above
		}
		known := map[string]bool{}
		for _, f := range fieldsOf(input) {
			name := f.Tag.Get("json")
			known[name] = true
			shown := def.Fields.ForName(name)
			if shown == nil {
				t.Errorf("%s lacks %s", def.Name, name)
				continue
			}
			rules := strings.Split(f.Tag.Get("validate"), ",")
			if required := slices.Contains(rules, "required"); required != shown.Type.NonNull {
				t.Errorf("%s.%s is %s, and required is %t", def.Name, name, shown.Type, required)
			}
			args := map[string]string{}
			if d := shown.Directives.ForName("constraint"); d != nil {
				for _, a := range d.Arguments {
					args[a.Name] = a.Value.String()
				}
			}
			if got, want := arguments(args), constraint(f); got != want {
				t.Errorf("%s.%s shows%q, and the rules say%q", def.Name, name, got, want)
			}
			for _, rule := range rules {
				if list, ok := strings.CutPrefix(rule, "oneof="); ok && s.Types[shown.Type.Name()].Kind == gql.Enum {
					same(t, def.Name+"."+name, enum(s, shown.Type.Name()), mapped(strings.Fields(list), word))
				}
			}
		}
		for _, f := range def.Fields {
			if !known[f.Name] {
				t.Errorf("%s.%s is no member of domain.%s", def.Name, f.Name, input.Name())
			}
		}
	}
}

func enum(s *gql.Schema, name string) []string {
	var out []string
	for _, v := range s.Types[name].EnumValues {
		out = append(out, v.Name)
	}
	return out
}

func mapped(words []string, f func(string) string) []string {
	var out []string
	for _, w := range words {
		out = append(out, f(w))
	}
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: the schema has %v, the rules %v", what, got, want)
	}
}

func TestEnumerationsAreTheWordsOfTheRules(t *testing.T) {
	t.Parallel()
	s := schema(t)
	var kinds []string
	roles := enum(s, "LifecycleRole")
	for _, m := range domain.Lifecycles() {
		kinds = append(kinds, word(m.Name))
		var states []string
		for _, state := range m.States {
			states = append(states, word(state.Name))
		}
		same(t, m.Name, enum(s, upper(m.Name)+upper(stateMember(upper(m.Name)))), states)
		for _, move := range m.Moves() {
			for _, role := range move.By {
				if !slices.Contains(roles, word(role)) {
					t.Errorf("LifecycleRole lacks %s", word(role))
				}
			}
		}
		if s.Types[upper(m.Name)].Interfaces == nil || !slices.Contains(s.Types[upper(m.Name)].Interfaces, "Lifecycle") {
			t.Errorf("%s does not implement Lifecycle", upper(m.Name))
		}
	}
	same(t, "LifecycleKind", enum(s, "LifecycleKind"), kinds)
	for typename, list := range lists {
		for _, f := range list.Fields {
			if f.Type == listing.Enum {
				name := shownAs(typename, f.Name)
				if slices.Contains(unshown[typename], name) {
					continue
				}
				same(t, f.Name, enum(s, s.Types[s.Types[typename+"Where"].Fields.ForName(name).Type.Name()].Fields.ForName("eq").Type.Name()), mapped(f.Values, word))
			}
		}
	}
}

// TestProblemCodes: the enumeration equals the catalogue without codes that occur only at the top level or only in HTTP
// (a method, a media type, a required If-Match). FORBIDDEN is included for Action.problem.
func TestProblemCodes(t *testing.T) {
	t.Parallel()
	var want []string
	for _, d := range problem.All() {
		switch d.Kind {
		case problem.Unauthenticated, problem.Required, problem.Internal, problem.Protocol:
			continue
		default:
		}
		if d != problem.ServiceUnavailable && !slices.Contains(want, d.GraphQL) {
			want = append(want, d.GraphQL)
		}
	}
	same(t, "ProblemCode", enum(schema(t), "ProblemCode"), want)
}

func TestOrderAndWhereAreTheFieldsOfTheList(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for typename, list := range lists {
		var sortable []string
		where := s.Types[typename+"Where"]
		for _, f := range list.Fields {
			name := shownAs(typename, f.Name)
			if slices.Contains(unshown[typename], name) {
				continue
			}
			if !f.Hidden && !f.Many {
				sortable = append(sortable, word(name))
			}
			if where.Fields.ForName(name) == nil {
				t.Errorf("%s lacks %s", where.Name, name)
			}
		}
		same(t, typename+"OrderField", enum(s, typename+"OrderField"), sortable)
	}
}

// unshown lists the list fields that only the rules or the REST APIs filter by.
var unshown = map[string][]string{
	"Invitation": {"emailAddressFolded", "accountId", "organizationId"}, // other forms of visible fields
	// Personal data is never a member of where. In the REST API both lists have a constant type.
	"Contact":         {"taxId", "email"},
	"FraudRiskReport": {"type", "expiresAt", "descriptions", "vouches"},
	"Quiz":            {"type", "updatedAt", "vouches", "askedAt", "person"},
}

// shownAs maps list fields to their names in the schema.
func shownAs(typename, field string) string {
	switch field {
	case "_id":
		return "id"
	case "outputs.state":
		return "state"
	case "outputs.fraudRiskCategories.type":
		return "category"
	case "state":
		return stateMember(typename)
	}
	return field
}

func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	s := schema(t)
	bare := func(text, format string, args ...any) {
		text = strings.TrimSpace(text)
		if text == "" {
			t.Errorf(format+" is not described", args...)
		}
	}
	for _, def := range s.Types {
		if def.BuiltIn {
			continue
		}
		bare(def.Description, "%s", def.Name)
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			bare(f.Description, "%s.%s", def.Name, f.Name)
			for _, a := range f.Arguments {
				bare(a.Description, "%s.%s(%s)", def.Name, f.Name, a.Name)
			}
			if d := f.Directives.ForName("deprecated"); d != nil && d.Arguments.ForName("reason") == nil {
				t.Errorf("%s.%s is deprecated and names no replacement", def.Name, f.Name)
			}
		}
		for _, v := range def.EnumValues {
			bare(v.Description, "%s.%s", def.Name, v.Name)
		}
	}
	for _, d := range s.Directives {
		if d.Position != nil && strings.HasSuffix(d.Position.Src.Name, ".graphqls") {
			bare(d.Description, "@%s", d.Name)
			for _, a := range d.Arguments {
				bare(a.Description, "@%s(%s)", d.Name, a.Name)
			}
		}
	}
}

func TestNamesHaveOneForm(t *testing.T) {
	t.Parallel()
	s := schema(t)
	typename, member, value := regexp.MustCompile(`^[A-Z][A-Za-z]*$`), regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`), regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	for _, def := range s.Types {
		if def.BuiltIn {
			continue
		}
		if !typename.MatchString(def.Name) {
			t.Errorf("%s is no name of a type", def.Name)
		}
		for _, f := range def.Fields {
			if !strings.HasPrefix(f.Name, "__") && !member.MatchString(f.Name) {
				t.Errorf("%s.%s is no name of a member", def.Name, f.Name)
			}
			if strings.HasSuffix(f.Type.Name(), "Connection") {
				for _, a := range []string{"first", "after", "last", "before"} {
					if f.Arguments.ForName(a) == nil {
						t.Errorf("%s.%s is a connection without %s", def.Name, f.Name, a)
					}
				}
			}
		}
		for _, v := range def.EnumValues {
			if !value.MatchString(v.Name) {
				t.Errorf("%s.%s is no name of a value", def.Name, v.Name)
			}
		}
	}
	for _, f := range s.Mutation.Fields {
		if f.Type.NonNull {
			t.Errorf("%s must be nullable: an error of one mutation must not wipe out its neighbours", f.Name)
		}
	}
}

// TestGeneratedModels: a type generated by gqlgen that is neither part of a list nor a payload is missing from the
// rules.
func TestGeneratedModels(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../graph/models_gen.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	allowed := regexp.MustCompile(`(Payload|Connection|Edge|Where|Order|OrderField)$|^PageInfo$|^OrderDirection$`)
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok && !allowed.MatchString(s.Name.Name) {
			t.Errorf("graph/models_gen.go declares %s; declare it in domain", s.Name.Name)
		}
		return true
	})
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	d := open(t)
	r := d.ask(nobody, `{ lifecycle(of: INVITATION) { kind starts states { name final description } transitions { name from to who } } version { version commit goVersion } }`, nil).done()
	r.says("INVITATION", "lifecycle", "kind").says([]any{"SENT"}, "lifecycle", "starts")
	m, _ := domain.Lifecycle(domain.KindInvitation)
	for i, s := range m.States {
		r.says(map[string]any{"name": word(s.Name), "final": s.Final, "description": s.Help}, "lifecycle", "states", i)
	}
	r.says(map[string]any{"name": "createInvitation", "from": []any{}, "to": []any{"SENT"}, "who": []any{"TARGET"}}, "lifecycle", "transitions", 0)
	r.says(map[string]any{
		"name": "verifyInvitation", "from": []any{"SENT"}, "to": []any{"ACCEPTED", "SENT", "FAILED"}, "who": []any{"INVITEE"},
	}, "lifecycle", "transitions", 1)
	names := []any{}
	for i := range r.at("lifecycle", "transitions").([]any) {
		names = append(names, r.at("lifecycle", "transitions", i, "name"))
	}
	if !slices.Contains(names, any("expireInvitation")) {
		t.Errorf("the clock's transition is missing from %v", names)
	}
	r.says(map[string]any{"version": "1.2.3", "commit": "abc", "goVersion": "go1.26"}, "version")
}

func TestViewer(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.ask(as("alice"), `{ viewer { id username email customerId customerGroup clientId sessionId scopes } }`, nil).done().says(map[string]any{
		"id": "alice", "username": "alice", "email": "alice@example.com", "customerId": nil, "customerGroup": nil, "clientId": nil,
		"sessionId": nil, "scopes": []any{"banking/full"},
	}, "viewer")
	d.ask(nobody, `{ viewer { id } }`, nil).refused("UNAUTHENTICATED").says(nil, "viewer")
}
