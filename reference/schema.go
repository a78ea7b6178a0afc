package reference

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// schemaPage describes the declarations of a schema file.
func (b *book) schemaPage(a *area) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s# %s\n\n[Reference](../README.md) · [Conventions](../conventions.md)\n", generated, a.title())
	for _, root := range []string{"query", "mutation", "subscription"} {
		title := map[string]string{"query": "Queries", "mutation": "Mutations", "subscription": "Subscriptions"}[root]
		for _, op := range a.operations {
			if op.root == root {
				if title != "" {
					fmt.Fprintf(&out, "\n## %s\n", title)
					title = ""
				}
				b.operation(&out, a, op)
			}
		}
	}
	for _, group := range []struct {
		title string
		kinds []ast.DefinitionKind
	}{
		{"Interfaces", []ast.DefinitionKind{ast.Interface}},
		{"Objects", []ast.DefinitionKind{ast.Object, ast.Union}},
		{"Enumerations", []ast.DefinitionKind{ast.Enum}},
		{"Inputs", []ast.DefinitionKind{ast.InputObject}},
		{"Scalars", []ast.DefinitionKind{ast.Scalar}},
	} {
		title := group.title
		for _, def := range a.types {
			if slices.Contains(group.kinds, def.Kind) {
				if title != "" {
					fmt.Fprintf(&out, "\n## %s\n", title)
					title = ""
				}
				b.definition(&out, a, def)
			}
		}
	}
	if len(a.directives) > 0 {
		out.WriteString("\n## Directives\n")
	}
	for _, d := range a.directives {
		fmt.Fprintf(&out, "\n### `@%s`\n\n%s\n\n| argument | type | meaning |\n|---|---|---|\n", d.Name, d.Description)
		for _, arg := range d.Arguments {
			fmt.Fprintf(&out, "| `%s` | %s | %s |\n", arg.Name, b.typeLink(a, arg.Type), cell(arg.Description))
		}
	}
	return out.String()
}

// operation describes a root field: arguments, token, problems.
func (b *book) operation(out *strings.Builder, a *area, op operation) {
	fmt.Fprintf(out, "\n<a id=%q></a>\n\n### `%s`\n\n%s%s\n\n", op.anchor(), op.Name, deprecated(op.Directives), op.Description)
	fmt.Fprintf(out, "- **Returns** %s\n- **Token** %s\n", b.typeLink(a, op.Type), requiredToken(op))
	var codes, refused []string
	for _, d := range domain.Refusals(op.Name) {
		link := errorLink(d, "../../")
		switch {
		case d.Kind == problem.Unauthenticated || d.Kind == problem.Denied:
			refused = append(refused, link)
		case op.root == "mutation":
			codes = append(codes, link)
		case d.Kind != problem.Missing: // a query returns null
			refused = append(refused, "[`BAD_DOCUMENT`](../../errors.md#top-level-errors)")
		}
	}
	if len(codes) > 0 {
		fmt.Fprintf(out, "- **Problems** %s\n", strings.Join(unique(codes), ", "))
	}
	if n, ok := domain.Needs(op.Name); ok && !n.Open {
		head := []string{errorLink(problem.Unauthorized, "../../")}
		if len(n.Scopes) > 0 {
			head = append(head, errorLink(problem.AccessDenied, "../../"))
		}
		refused = append(head, refused...)
	}
	if len(refused) > 0 {
		fmt.Fprintf(out, "- **Top-level errors** %s\n", strings.Join(unique(refused), ", "))
	}
	for _, m := range domain.Lifecycles() {
		for _, move := range m.Moves() {
			if move.Operation == op.Name {
				fmt.Fprintf(
					out, "- **Transition** %s, by %s ([%s](../../machines.md#%s))\n", transition(move.From, move.To, len(m.States), move.Erases),
					strings.Join(move.By, ", "), m.Name, strings.ToLower(m.Name),
				)
			}
		}
	}
	if events := domain.Emits(op.Name); len(events) > 0 {
		fmt.Fprintf(out, "- **Events** %s\n", strings.Join(code(events), ", "))
	}
	if links := b.exampleLinks(a, op, "../operations/"); links != "" {
		fmt.Fprintf(out, "- **Examples** %s\n", links)
	}
	if op.root == "subscription" {
		fmt.Fprintf(out, "\n```graphql\n%s```\n", b.subscription(op))
	}
	if len(op.Arguments) > 0 {
		out.WriteString("\n| argument | type | meaning |\n|---|---|---|\n")
		for _, arg := range op.Arguments {
			fmt.Fprintf(
				out, "| `%s` | %s | %s%s |\n", arg.Name, b.typeLink(a, arg.Type), cell(arg.Description), b.extras(arg.Directives, arg.DefaultValue),
			)
		}
	}
}

func unique(words []string) []string {
	var out []string
	for _, w := range words {
		label, _, _ := strings.Cut(w, "]")
		if !slices.ContainsFunc(out, func(o string) bool { return strings.HasPrefix(o, label+"]") }) {
			out = append(out, w)
		}
	}
	return out
}

// transition describes the states before and after a transition in the schema's terms.
func transition(from, to []string, states int, erases bool) string {
	words := func(list []string) string { return strings.Join(code(mapStrings(list, enumValue)), ", ") }
	start, end := words(from), words(to)
	switch len(from) {
	case 0:
		start = "a new record"
	case states:
		start = "any state"
	}
	if erases {
		end = "none: the record is erased"
	}
	return "from " + start + " to " + end
}

// enumValue returns the enumeration value for a word of the rules.
func enumValue(w string) string {
	var out strings.Builder
	for i, c := range w {
		if c >= 'A' && c <= 'Z' && i > 0 {
			out.WriteByte('_')
		}
		out.WriteRune(c)
	}
	return strings.ToUpper(out.String())
}

// subscription returns a sample document for a subscription with the members of its event type.
func (b *book) subscription(op operation) string {
	var out strings.Builder
	fmt.Fprintf(&out, "subscription($after: String) {\n  %s", op.Name)
	if op.Arguments.ForName("after") != nil {
		out.WriteString("(after: $after)")
	}
	out.WriteString(" {")
	for _, f := range b.schema.Types[op.Type.Name()].Fields {
		if def := b.schema.Types[f.Type.Name()]; (def.Kind == ast.Scalar || def.Kind == ast.Enum) && !strings.HasPrefix(f.Name, "__") &&
			len(f.Arguments) == 0 {
			out.WriteString(" " + f.Name)
		}
	}
	out.WriteString(" }\n}\n")
	return out.String()
}

// definition describes a type with its members.
func (b *book) definition(out *strings.Builder, a *area, def *ast.Definition) {
	fmt.Fprintf(out, "\n<a id=%q></a>\n\n### `%s`\n\n%s%s\n", typeAnchor(def.Name), def.Name, deprecated(def.Directives), def.Description)
	var links []string
	for _, name := range def.Interfaces {
		links = append(links, b.nameLink(a, name))
	}
	if len(links) > 0 {
		fmt.Fprintf(out, "\nImplements %s.\n", strings.Join(links, ", "))
	}
	if def.Kind == ast.Interface || def.Kind == ast.Union {
		links = nil
		for _, p := range b.schema.GetPossibleTypes(def) {
			links = append(links, b.nameLink(a, p.Name))
		}
		slices.Sort(links)
		fmt.Fprintf(out, "\nOne of %s.\n", strings.Join(slices.Compact(links), ", "))
	}
	if d := def.Directives.ForName("specifiedBy"); d != nil {
		fmt.Fprintf(out, "\nSpecified by <%s>.\n", d.Arguments.ForName("url").Value.Raw)
	}
	switch def.Kind {
	case ast.Enum:
		out.WriteString("\n| value | meaning |\n|---|---|\n")
		for _, v := range def.EnumValues {
			fmt.Fprintf(out, "| `%s` | %s%s |\n", v.Name, cell(deprecated(v.Directives)), cell(v.Description))
		}
		b.codes(out, def)
	case ast.Object, ast.Interface, ast.InputObject:
		out.WriteString("\n| member | type | meaning |\n|---|---|---|\n")
		for _, f := range def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			arguments := ""
			for i, arg := range f.Arguments {
				arguments += map[bool]string{true: " Arguments: ", false: ", "}[i == 0] + "`" + arg.Name + ": " + arg.Type.String() + "`"
			}
			fmt.Fprintf(
				out,
				"| `%s` | %s | %s%s%s%s |\n",
				f.Name,
				b.typeLink(a, f.Type),
				cell(deprecated(f.Directives)),
				cell(f.Description),
				b.extras(f.Directives, f.DefaultValue),
				arguments,
			)
		}
	default:
	}
}

// codes links the problem codes to the catalogue.
func (b *book) codes(out *strings.Builder, def *ast.Definition) {
	if def.Name == "ProblemCode" {
		out.WriteString("\nThe [catalogue](../../errors.md) has a remedy for each.\n")
	}
}

// deprecated describes a deprecation and its replacement.
func deprecated(list ast.DirectiveList) string {
	d := list.ForName("deprecated")
	if d == nil {
		return ""
	}
	reason := ""
	if arg := d.Arguments.ForName("reason"); arg != nil {
		reason = ": " + arg.Value.Raw
	}
	return "**Deprecated" + reason + "** "
}

// extras describes the default and the constraints.
func (b *book) extras(list ast.DirectiveList, byDefault *ast.Value) string {
	out := ""
	if byDefault != nil {
		out += " Default: `" + byDefault.String() + "`."
	}
	if d := list.ForName("constraint"); d != nil {
		var rules []string
		for _, arg := range d.Arguments {
			rules = append(rules, "`"+arg.Name+": "+arg.Value.String()+"`")
		}
		out += " " + strings.Join(rules, ", ") + "."
	}
	return out
}

func (b *book) typeLink(from *area, t *ast.Type) string {
	text := t.String()
	if b.home[t.Name()] == nil {
		return "`" + text + "`"
	}
	return strings.Replace(text, t.Name(), b.nameLink(from, t.Name()), 1)
}

func (b *book) nameLink(from *area, name string) string {
	home := b.home[name]
	switch home {
	case nil:
		return "`" + name + "`"
	case from:
		return fmt.Sprintf("[`%s`](#%s)", name, typeAnchor(name))
	}
	return fmt.Sprintf("[`%s`](%s.md#%s)", name, home.name, typeAnchor(name))
}
