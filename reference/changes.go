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

// Level says what a change does to clients.
type Level string

// The levels.
const (
	// Breaking: a document that was good is refused, or an answer has what a client cannot expect.
	Breaking Level = "breaking"
	// Dangerous: documents stay good, and a client may meet what it does not know.
	Dangerous Level = "dangerous"
	// Safe: no client sees it that does not ask for it.
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

// Released is the text of a schema that is released on a day.
func Released(schema *ast.Schema, day string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Released %s. Written by `gatehouse docs --release-schema`, and by nothing else: what clients may rely on.\n\n", day)
	formatter.NewFormatter(&out).FormatSchema(schema)
	return out.String()
}

var releasedOn = regexp.MustCompile(`^# Released (\d{4}-\d\d-\d\d)\.`)

// Unexcused compares a schema with the text of the released one, and gives the breaking changes that no note allows: a
// heading with a day on or after the release, and below it the coordinate in a code span.
func Unexcused(released string, schema *ast.Schema, notes string) ([]Change, error) {
	day := releasedOn.FindStringSubmatch(released)
	if day == nil {
		return nil, fmt.Errorf("the released schema does not say when it was released")
	}
	old, err := gqlparser.LoadSchema(&ast.Source{Name: "released", Input: released})
	if err != nil {
		return nil, err
	}
	allowed := excused(notes, day[1])
	return slices.DeleteFunc(Compare(old, schema), func(c Change) bool { return c.Level != Breaking || allowed[c.Coordinate] }), nil
}

var (
	noteHeading = regexp.MustCompile(`^## (\d{4}-\d\d-\d\d)\b`)
	codeSpan    = regexp.MustCompile("`([^`]+)`")
)

// excused lists what the notes of a day, and of later ones, name.
func excused(notes, since string) map[string]bool {
	out, day := map[string]bool{}, ""
	for line := range strings.Lines(notes) {
		if strings.HasPrefix(line, "#") {
			day = ""
			if m := noteHeading.FindStringSubmatch(line); m != nil {
				day = m[1]
			}
			continue
		}
		if day != "" && day >= since { // days are written so that they sort
			for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
				out[m[1]] = true
			}
		}
	}
	return out
}

// Compare lists the differences, breaking ones first.
func Compare(old, current *ast.Schema) []Change {
	c := &comparison{}
	for _, name := range sorted(old.Types) {
		was := old.Types[name]
		switch now := current.Types[name]; {
		case was.BuiltIn:
		case now == nil:
			c.add(Breaking, name, "is gone")
		case now.Kind != was.Kind:
			c.add(Breaking, name, "was %s and is %s", was.Kind, now.Kind)
		default:
			c.definition(was, now)
		}
	}
	for _, name := range sorted(current.Types) {
		if old.Types[name] == nil {
			c.add(Safe, name, "is new")
		}
	}
	for _, name := range sorted(old.Directives) {
		was, now := old.Directives[name], current.Directives[name]
		if now == nil {
			c.add(Breaking, "@"+name, "is gone")
			continue
		}
		c.arguments("@"+name, was.Arguments, now.Arguments)
		for _, l := range was.Locations {
			if !slices.Contains(now.Locations, l) {
				c.add(Breaking, "@"+name, "is no longer for %s", l)
			}
		}
		if was.IsRepeatable && !now.IsRepeatable {
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

func (c *comparison) definition(was, now *ast.Definition) {
	c.directives(was.Name, was.Directives, now.Directives)
	c.names(was.Name, "implements", was.Interfaces, now.Interfaces)
	c.names(was.Name, "has the member", was.Types, now.Types)
	for _, v := range was.EnumValues {
		if w := now.EnumValues.ForName(v.Name); w == nil {
			c.add(Breaking, was.Name+"."+v.Name, "is gone")
		} else {
			c.directives(was.Name+"."+v.Name, v.Directives, w.Directives)
		}
	}
	for _, v := range now.EnumValues {
		if was.EnumValues.ForName(v.Name) == nil {
			c.add(Dangerous, was.Name+"."+v.Name, "is a new value")
		}
	}
	input := was.Kind == ast.InputObject
	for _, f := range was.Fields {
		coordinate := was.Name + "." + f.Name
		g := now.Fields.ForName(f.Name)
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
	for _, f := range now.Fields {
		if was.Fields.ForName(f.Name) == nil {
			c.add(level(!input || !f.Type.NonNull || f.DefaultValue != nil), was.Name+"."+f.Name, "is new: %s", f.Type)
		}
	}
}

// names compares what a type implements, or the members of a union: a new one is what clients may not know.
func (c *comparison) names(coordinate, verb string, was, now []string) {
	for _, name := range was {
		if !slices.Contains(now, name) {
			c.add(Breaking, coordinate, "no longer %s %s", verb, name)
		}
	}
	for _, name := range now {
		if !slices.Contains(was, name) {
			c.add(Dangerous, coordinate, "now %s %s", verb, name)
		}
	}
}

func (c *comparison) arguments(coordinate string, was, now ast.ArgumentDefinitionList) {
	for _, a := range was {
		at := coordinate + "(" + a.Name + ":)"
		b := now.ForName(a.Name)
		if b == nil {
			c.add(Breaking, at, "is gone")
			continue
		}
		c.directives(at, a.Directives, b.Directives)
		c.input(at, a.Type, b.Type, a.DefaultValue, b.DefaultValue)
	}
	for _, b := range now {
		if was.ForName(b.Name) == nil {
			c.add(level(!b.Type.NonNull || b.DefaultValue != nil), coordinate+"("+b.Name+":)", "is new: %s", b.Type)
		}
	}
}

// input compares what clients send: it may become wider.
func (c *comparison) input(coordinate string, was, now *ast.Type, before, after *ast.Value) {
	if was.String() != now.String() {
		c.add(level(narrower(now, was) || withDefault(was, now, after)), coordinate, "was %s and is %s", was, now)
	}
	if text(before) != text(after) {
		lost := after == nil && now.NonNull
		c.add(map[bool]Level{true: Breaking, false: Dangerous}[lost], coordinate, "had the default %s and has %s", text(before), text(after))
	}
}

// withDefault: what was optional, and is required with a default, may still be left out; but null is refused, which is
// why it is breaking unless nobody could send null.
func withDefault(was, now *ast.Type, after *ast.Value) bool {
	return after != nil && was.NonNull && narrower(now, was)
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

// narrower reports whether everything of the type now is of the type was.
func narrower(was, now *ast.Type) bool {
	switch {
	case was.NonNull && !now.NonNull, (was.Elem == nil) != (now.Elem == nil):
		return false
	case was.Elem != nil:
		return narrower(was.Elem, now.Elem)
	}
	return was.NamedType == now.NamedType
}

// directives compares what is said about a place of the schema.
func (c *comparison) directives(coordinate string, was, now ast.DirectiveList) {
	c.constraints(coordinate, constraints(was), constraints(now))
	said := func(list ast.DirectiveList, name string) string {
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
	for _, d := range slices.Concat(was, now) {
		if d.Name != "constraint" && !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	for _, name := range names {
		before, after := said(was, name), said(now, name)
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

// constraints are the arguments of @constraint.
func constraints(list ast.DirectiveList) map[string]*ast.Value {
	out := map[string]*ast.Value{}
	if d := list.ForName("constraint"); d != nil {
		for _, a := range d.Arguments {
			out[a.Name] = a.Value
		}
	}
	return out
}

// constraints compares what is asked of a value: it may become less.
func (c *comparison) constraints(coordinate string, was, now map[string]*ast.Value) {
	for _, name := range sorted(now) {
		before, after := was[name], now[name]
		if text(before) != text(after) {
			c.add(level(before != nil && looser(name, before, after)), coordinate, "was @constraint(%s: %s) and is %s", name, text(before), text(after))
		}
	}
	for _, name := range sorted(was) {
		if now[name] == nil {
			c.add(Safe, coordinate, "is no longer @constraint(%s: %s)", name, was[name])
		}
	}
}

func looser(name string, was, now *ast.Value) bool {
	a, err1 := strconv.Atoi(was.Raw)
	b, err2 := strconv.Atoi(now.Raw)
	switch {
	case strings.HasPrefix(name, "min"):
		return err1 == nil && err2 == nil && b < a
	case strings.HasPrefix(name, "max"):
		return err1 == nil && err2 == nil && b > a
	case name == "unique":
		return now.Raw == "false"
	case name == "oneOf":
		for _, child := range was.Children {
			if !slices.ContainsFunc(now.Children, func(o *ast.ChildValue) bool { return o.Value.Raw == child.Value.Raw }) {
				return false
			}
		}
		return true
	}
	return false
}
