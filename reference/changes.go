package reference

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

// Level is the effect of a change on clients.
type Level string

// The levels.
const (
	// Breaking: a valid document is refused, or a response contains what a client cannot expect.
	Breaking Level = "breaking"
	// Dangerous: documents remain valid, but a client may receive an unknown value or type.
	Dangerous Level = "dangerous"
	// Safe: no client is affected that does not use it.
	Safe Level = "safe"
)

// Change is a difference between two schemas.
type Change struct {
	Level Level
	// Coordinate is the schema coordinate: `Type`, `Type.member`, `Type.member(argument:)`, `Enum.VALUE`, `@directive`.
	Coordinate string
	Text       string
}

func (c Change) String() string { return fmt.Sprintf("%s: %s %s", c.Level, c.Coordinate, c.Text) }

// Released returns the text of a schema released on the given day.
func Released(schema *ast.Schema, day string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Released %s. Written only by `gatehouse docs --release-schema`. Clients may rely on this schema.\n\n", day)
	formatter.NewFormatter(&out).FormatSchema(schema)
	return out.String()
}

var releasedOn = regexp.MustCompile(`^# Released (\d{4}-\d\d-\d\d)\.`)

// Undocumented compares a schema with the text of the released one, and returns the breaking changes that the notes do
// not permit: a note is a heading with a day on or after the release, and below it the coordinate in a code span.
func Undocumented(released string, schema *ast.Schema, notes string) ([]Change, error) {
	day := releasedOn.FindStringSubmatch(released)
	if day == nil {
		return nil, fmt.Errorf("the released schema has no release date")
	}
	old, err := gqlparser.LoadSchema(&ast.Source{Name: "released", Input: released})
	if err != nil {
		return nil, err
	}
	allowed := documentedChanges(notes, day[1])
	return slices.DeleteFunc(Compare(old, schema), func(c Change) bool { return c.Level != Breaking || allowed[c.Coordinate] }), nil
}

var (
	noteHeading = regexp.MustCompile(`^## (\d{4}-\d\d-\d\d)\b`)
	codeSpan    = regexp.MustCompile("`([^`]+)`")
)

// documentedChanges returns the coordinates in the notes of the day from and later ones.
func documentedChanges(notes, from string) map[string]bool {
	out, day := map[string]bool{}, ""
	for line := range strings.Lines(notes) {
		if strings.HasPrefix(line, "#") {
			day = ""
			if m := noteHeading.FindStringSubmatch(line); m != nil {
				day = m[1]
			}
			continue
		}
		if day != "" && day >= from { // days are in ISO format and sort as strings
			for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
				out[m[1]] = true
			}
		}
	}
	return out
}

// Compare returns the differences, breaking ones first.
func Compare(old, current *ast.Schema) []Change {
	c := &comparison{}
	for _, name := range sorted(old.Types) {
		before := old.Types[name]
		switch after := current.Types[name]; {
		case before.BuiltIn:
		case after == nil:
			c.add(Breaking, name, "is gone")
		case after.Kind != before.Kind:
			c.add(Breaking, name, "was %s and is %s", before.Kind, after.Kind)
		default:
			c.definition(before, after)
		}
	}
	for _, name := range sorted(current.Types) {
		if old.Types[name] == nil {
			c.add(Safe, name, "is new")
		}
	}
	for _, name := range sorted(old.Directives) {
		before, after := old.Directives[name], current.Directives[name]
		if after == nil {
			c.add(Breaking, "@"+name, "is gone")
			continue
		}
		c.arguments("@"+name, before.Arguments, after.Arguments)
		for _, l := range before.Locations {
			if !slices.Contains(after.Locations, l) {
				c.add(Breaking, "@"+name, "no longer applies to %s", l)
			}
		}
		if before.IsRepeatable && !after.IsRepeatable {
			c.add(Breaking, "@"+name, "cannot be repeated any more")
		}
	}
	slices.SortStableFunc(c.changes, func(x, y Change) int { return cmp.Compare(rank[x.Level], rank[y.Level]) })
	return c.changes
}

var rank = map[Level]int{Breaking: 0, Dangerous: 1, Safe: 2}

type comparison struct{ changes []Change }

func (c *comparison) add(level Level, coordinate, format string, args ...any) {
	c.changes = append(c.changes, Change{level, coordinate, fmt.Sprintf(format, args...)})
}

func (c *comparison) definition(before, after *ast.Definition) {
	c.directives(before.Name, before.Directives, after.Directives)
	c.names(before.Name, "implements", before.Interfaces, after.Interfaces)
	c.names(before.Name, "has the member", before.Types, after.Types)
	for _, v := range before.EnumValues {
		if w := after.EnumValues.ForName(v.Name); w == nil {
			c.add(Breaking, before.Name+"."+v.Name, "is gone")
		} else {
			c.directives(before.Name+"."+v.Name, v.Directives, w.Directives)
		}
	}
	for _, v := range after.EnumValues {
		if before.EnumValues.ForName(v.Name) == nil {
			c.add(Dangerous, before.Name+"."+v.Name, "is a new value")
		}
	}
	input := before.Kind == ast.InputObject
	for _, f := range before.Fields {
		coordinate := before.Name + "." + f.Name
		g := after.Fields.ForName(f.Name)
		if g == nil {
			c.add(Breaking, coordinate, "is gone")
			continue
		}
		c.directives(coordinate, f.Directives, g.Directives)
		if input {
			c.input(coordinate, f.Type, g.Type, f.DefaultValue, g.DefaultValue)
			continue
		}
		if f.Type.String() != g.Type.String() {
			c.add(level(narrower(f.Type, g.Type)), coordinate, "was %s and is %s", f.Type, g.Type)
		}
		c.arguments(coordinate, f.Arguments, g.Arguments)
	}
	for _, f := range after.Fields {
		if before.Fields.ForName(f.Name) == nil {
			c.add(level(!input || !f.Type.NonNull || f.DefaultValue != nil), before.Name+"."+f.Name, "is new: %s", f.Type)
		}
	}
}

// names compares the interfaces of a type or the members of a union: clients may not know a new one.
func (c *comparison) names(coordinate, verb string, before, after []string) {
	for _, name := range before {
		if !slices.Contains(after, name) {
			c.add(Breaking, coordinate, "no longer %s %s", verb, name)
		}
	}
	for _, name := range after {
		if !slices.Contains(before, name) {
			c.add(Dangerous, coordinate, "now %s %s", verb, name)
		}
	}
}

func (c *comparison) arguments(coordinate string, before, after ast.ArgumentDefinitionList) {
	for _, a := range before {
		at := coordinate + "(" + a.Name + ":)"
		b := after.ForName(a.Name)
		if b == nil {
			c.add(Breaking, at, "is gone")
			continue
		}
		c.directives(at, a.Directives, b.Directives)
		c.input(at, a.Type, b.Type, a.DefaultValue, b.DefaultValue)
	}
	for _, b := range after {
		if before.ForName(b.Name) == nil {
			c.add(level(!b.Type.NonNull || b.DefaultValue != nil), coordinate+"("+b.Name+":)", "is new: %s", b.Type)
		}
	}
}

// input compares what clients send: it may only become wider.
func (c *comparison) input(coordinate string, oldType, newType *ast.Type, oldDefault, newDefault *ast.Value) {
	if oldType.String() != newType.String() {
		c.add(level(narrower(newType, oldType) || withDefault(oldType, newType, newDefault)), coordinate, "was %s and is %s", oldType, newType)
	}
	if text(oldDefault) != text(newDefault) {
		incompatible := newDefault == nil && newType.NonNull
		c.add(
			map[bool]Level{true: Breaking, false: Dangerous}[incompatible], coordinate, "had the default %s and has %s", text(oldDefault),
			text(newDefault),
		)
	}
}

// withDefault handles an input that was optional and becomes required with a default: it may still be omitted, but null
// is refused, which is breaking unless null was not permitted before.
func withDefault(oldType, newType *ast.Type, newDefault *ast.Value) bool {
	return newDefault != nil && oldType.NonNull && narrower(newType, oldType)
}

func text(v *ast.Value) string {
	if v == nil {
		return "none"
	}
	return v.String()
}

func level(fine bool) Level {
	if fine {
		return Safe
	}
	return Breaking
}

// narrower reports whether every value of newType is a value of oldType.
func narrower(oldType, newType *ast.Type) bool {
	switch {
	case oldType.NonNull && !newType.NonNull, (oldType.Elem == nil) != (newType.Elem == nil):
		return false
	case oldType.Elem != nil:
		return narrower(oldType.Elem, newType.Elem)
	}
	return oldType.NamedType == newType.NamedType
}

// directives compares the directives of an element.
func (c *comparison) directives(coordinate string, oldList, newList ast.DirectiveList) {
	c.constraints(coordinate, constraints(oldList), constraints(newList))
	argumentsOf := func(list ast.DirectiveList, name string) string {
		d := list.ForName(name)
		if d == nil {
			return ""
		}
		var args []string
		for _, a := range d.Arguments {
			args = append(args, a.Name+": "+a.Value.String())
		}
		return "@" + name + "(" + strings.Join(args, ", ") + ")"
	}
	var names []string
	for _, d := range slices.Concat(oldList, newList) {
		if d.Name != "constraint" && !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	for _, name := range names {
		before, after := argumentsOf(oldList, name), argumentsOf(newList, name)
		switch {
		case before == after:
		case name == "deprecated":
			c.add(Safe, coordinate, "is now %s", cmp.Or(after, "not deprecated"))
		case name == "specifiedBy":
			c.add(Dangerous, coordinate, "is now %s", after)
		default:
			c.add(Breaking, coordinate, "was %s and is %s", cmp.Or(before, "without @"+name), cmp.Or(after, "without it"))
		}
	}
}

// constraints returns the arguments of @constraint.
func constraints(list ast.DirectiveList) map[string]*ast.Value {
	out := map[string]*ast.Value{}
	if d := list.ForName("constraint"); d != nil {
		for _, a := range d.Arguments {
			out[a.Name] = a.Value
		}
	}
	return out
}

// constraints compares the constraints of a value: they may only become weaker.
func (c *comparison) constraints(coordinate string, oldList, newList map[string]*ast.Value) {
	for _, name := range sorted(newList) {
		before, after := oldList[name], newList[name]
		if text(before) != text(after) {
			c.add(
				level(before != nil && looser(name, before, after)), coordinate, "was @constraint(%s: %s) and is %s", name, text(before), text(after),
			)
		}
	}
	for _, name := range sorted(oldList) {
		if newList[name] == nil {
			c.add(Safe, coordinate, "is no longer @constraint(%s: %s)", name, oldList[name])
		}
	}
}

func looser(name string, oldValue, newValue *ast.Value) bool {
	a, err1 := strconv.Atoi(oldValue.Raw)
	b, err2 := strconv.Atoi(newValue.Raw)
	switch {
	case strings.HasPrefix(name, "min"):
		return err1 == nil && err2 == nil && b < a
	case strings.HasPrefix(name, "max"):
		return err1 == nil && err2 == nil && b > a
	case name == "unique":
		return newValue.Raw == "false"
	case name == "oneOf":
		for _, child := range oldValue.Children {
			if !slices.ContainsFunc(newValue.Children, func(o *ast.ChildValue) bool { return o.Value.Raw == child.Value.Raw }) {
				return false
			}
		}
		return true
	}
	return false
}
