// Gen makes the GraphQL code: what gqlgen makes of the schema, and beside it graph/plain.generated.go, the table of what
// graph/plan.go may write without the generated executor. Both come from the same reading of the schema and of the Go
// types, so the table cannot tell anything else than the generated code does. It knows gqlgen, and nothing of the program.
package main

import (
	_ "embed"
	"fmt"
	"go/types"
	"os"
	"path/filepath"
	"strings"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

func main() {
	cfg, err := config.LoadConfigFromDefaultLocations()
	if err == nil {
		err = api.Generate(cfg, api.AddPlugin(plain{}))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plain is the plugin of gqlgen that writes the table.
type plain struct{}

// Name is for gqlgen.
func (plain) Name() string { return "plain" }

//go:embed plain.gotpl
var template string

// GenerateCode is for gqlgen.
func (plain) GenerateCode(data *codegen.Data) error {
	return templates.Render(templates.Options{
		PackageName: data.Config.Exec.Package, Filename: filepath.Join(data.Config.Exec.Dir(), "plain.generated.go"),
		Template: template, GeneratedHeader: true, Packages: data.Config.Packages, Data: table{data},
	})
}

// table is what the template writes.
type table struct{ *codegen.Data }

// Entries are the object types that the program answers with.
func (t table) Entries() []entry {
	var out []entry
	for _, o := range t.Objects {
		if strings.HasPrefix(o.Name, "__") || o.Stream {
			continue
		}
		e := entry{Object: o}
		if !o.Root {
			e.Go = templates.CurrentImports.LookupType(o.Type)
		}
		for _, f := range o.Fields {
			if expression, ok := fieldOf(o, f, e.Go); ok {
				e.Members = append(e.Members, member{f.Name, expression})
			}
		}
		out = append(out, e)
	}
	return out
}

// entry is an object type.
type entry struct {
	*codegen.Object
	// Go is its type, empty for the roots.
	Go string
	// Members are the fields that the table knows.
	Members []member
}

type member struct{ Name, Expression string }

// fieldOf says how a field is written. What is not known has no entry, and stays with the generated code.
func fieldOf(o *codegen.Object, f *codegen.Field, of string) (string, bool) {
	write, ok := writerOf(f.TypeReference)
	switch {
	case !ok || f.IsReserved() || f.HasDirectives() || f.IsBatch() || f.Stream || f.TypeReference.IsRoot:
		return "", false
	case f.IsResolver || o.Root:
		return "found(" + write + ")", f.TypeReference.Definition.IsCompositeType()
	case len(f.Args) > 0 || f.VOkFunc || f.IsMap() || f.IsMethod() && !f.NoErr:
		return "", false
	}
	value, ctx := "o."+f.GoFieldName, "_"
	switch {
	case f.MethodHasContext:
		value, ctx = value+"(ctx)", "ctx"
	case f.IsMethod():
		value += "()"
	}
	return fmt.Sprintf("member(func(%s context.Context, o *%s) %s { return %s }, %s)", ctx, of, templates.CurrentImports.LookupType(f.TypeReference.GO), value, write), true
}

// InterfaceTypes are the object types behind each interface, in the order in which the generated code looks for them.
func (t table) InterfaceTypes() map[string][]string {
	out := map[string][]string{}
	for name, i := range t.Interfaces {
		if strings.HasPrefix(name, "__") {
			continue
		}
		for _, p := range i.Implementors {
			if p.Kind != ast.Object { // an interface; those behind it are here themselves
				continue
			}
			if list := out[name]; len(list) == 0 || list[len(list)-1] != p.Name {
				out[name] = append(list, p.Name)
			}
		}
	}
	return out
}

// writers are those of the scalars, by the function that the generated code calls. A scalar that is not here stays with
// the generated code, and so does each object that has a field of it.
var writers = map[string]string{
	"github.com/99designs/gqlgen/graphql.MarshalString":  "text[%s]",
	"github.com/99designs/gqlgen/graphql.MarshalID":      "text[%s]",
	"github.com/99designs/gqlgen/graphql.MarshalInt":     "number",
	"github.com/99designs/gqlgen/graphql.MarshalBoolean": "truth",
	"github.com/99designs/gqlgen/graphql.MarshalTime":    "moment",
	"github.com/99designs/gqlgen/graphql.MarshalMap":     "freely",
}

// writerOf is the expression of the function that writes a value (graph/write.go).
func writerOf(ref *config.TypeReference) (string, bool) {
	switch {
	case ref.IsPtrToSlice() || ref.IsPtrToPtr() || ref.IsPtrToIntf() || ref.IsMarshaler || ref.IsContext || ref.IsOmittable:
		return "", false
	case ref.IsSlice():
		each, ok := writerOf(ref.Elem())
		return orNull(ref, "list") + "(" + each + ")", ok
	case ref.Definition.Kind == ast.Interface || ref.Definition.Kind == ast.Union:
		return orNull(ref, "either") + "[" + templates.CurrentImports.LookupType(ref.GO) + "]", true
	case ref.Definition.Kind == ast.Object && ref.IsPtr():
		return orNull(ref, "record") + "[" + templates.CurrentImports.LookupType(ref.Elem().GO) + "]", true
	case ref.Definition.Kind == ast.Object && ref.IsStruct():
		return "inline[" + templates.CurrentImports.LookupType(ref.GO) + "]", true
	case ref.Marshaler == nil:
		return "", false
	}
	write, ok := writers[ref.Marshaler.FullName()]
	of := ref
	if ref.IsPtr() {
		of = ref.Elem()
	}
	switch {
	case ref.HasEnumValues():
		write = "word(" + ref.EnumMarshalVar(false) + ")"
	case write == "text[%s]":
		write = fmt.Sprintf(write, templates.CurrentImports.LookupType(of.GO))
	case ref.CastType != nil || types.TypeString(of.GO, nil) != types.TypeString(ref.Target, nil):
		return "", false
	case write == "moment" || write == "freely": // these may be null in themselves
		write = orNull(ref, write)
	}
	if ref.IsPtr() {
		write = "pointerOrNull(" + write + ")"
		ok = ok && !ref.GQL.NonNull // nothing of ours is both
	}
	return write, ok
}

func orNull(ref *config.TypeReference, name string) string {
	if ref.GQL.NonNull {
		return name
	}
	return name + "OrNull"
}
