// Gen generates the GraphQL code: gqlgen's output for the schema, and graph/plain.generated.go, the table of the fields
// that graph/plan_*.go may write without the generated executor. Both are generated from the same schema and Go types,
// so that they cannot differ. It knows gqlgen, and must not know the program.
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
		err = api.Generate(cfg, api.AddPlugin(bind{}), api.AddPlugin(plain{}))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plain is the gqlgen plugin that generates the table.
type plain struct{}

// Name implements plugin.Plugin.
func (plain) Name() string { return "plain" }

//go:embed plain.gotpl
var template string

// GenerateCode implements plugin.CodeGenerator.
func (plain) GenerateCode(data *codegen.Data) error {
	return templates.Render(templates.Options{
		PackageName: data.Config.Exec.Package, Filename: filepath.Join(data.Config.Exec.Dir(), "plain.generated.go"),
		Template: template, GeneratedHeader: true, Packages: data.Config.Packages, Data: table{data},
	})
}

// table is the input of the template.
type table struct{ *codegen.Data }

// Entries returns the object types that responses contain.
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
	// Go is its Go type; empty for the root types.
	Go string
	// Members lists the fields in the table.
	Members []member
}

type member struct{ Name, Expression string }

// fieldOf returns the expression that describes how a field is written. A field without an entry is left to the
// generated code.
func fieldOf(o *codegen.Object, f *codegen.Field, of string) (string, bool) {
	write, ok := writerOf(f.TypeReference)
	switch {
	case !ok || f.IsReserved() || f.HasDirectives() || f.IsBatch() || f.Stream || f.TypeReference.IsRoot:
		return "", false
	case f.IsResolver || o.Root:
		return "resolved(" + write + ")", f.TypeReference.Definition.IsCompositeType()
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
	return fmt.Sprintf(
		"member(func(%s context.Context, o *%s) %s { return %s }, %s)", ctx, of, templates.CurrentImports.LookupType(f.TypeReference.GO), value,
		write,
	), true
}

// InterfaceTypes returns the object types that implement each interface, in the order in which the generated code tests
// them.
func (t table) InterfaceTypes() map[string][]string {
	out := map[string][]string{}
	for name, i := range t.Interfaces {
		if strings.HasPrefix(name, "__") {
			continue
		}
		for _, p := range i.Implementors {
			if p.Kind != ast.Object { // an interface; its object types are listed themselves
				continue
			}
			if list := out[name]; len(list) == 0 || list[len(list)-1] != p.Name {
				out[name] = append(list, p.Name)
			}
		}
	}
	return out
}

// writers maps the marshal function of a scalar to its writer. A scalar that is not listed is left to the generated
// code, and so is each object with a field of that type.
var writers = map[string]string{
	"github.com/99designs/gqlgen/graphql.MarshalString":  "text[%s]",
	"github.com/99designs/gqlgen/graphql.MarshalID":      "text[%s]",
	"github.com/99designs/gqlgen/graphql.MarshalInt":     "number",
	"github.com/99designs/gqlgen/graphql.MarshalBoolean": "truth",
	"github.com/99designs/gqlgen/graphql.MarshalTime":    "moment",
	"github.com/99designs/gqlgen/graphql.MarshalMap":     "anyJSON",
	floatMarshaler: "decimal",
}

// floatMarshaler is the only marshal function of a writer that takes a context, for the error of an infinite number.
const floatMarshaler = "github.com/99designs/gqlgen/graphql.MarshalFloatContext"

// writerOf returns the expression of the function that writes a value (graph/plan_write.go).
func writerOf(ref *config.TypeReference) (string, bool) {
	switch {
	case ref.IsPtrToSlice() || ref.IsPtrToPtr() || ref.IsPtrToIntf() || ref.IsMarshaler || ref.IsOmittable:
		return "", false
	case ref.IsSlice():
		each, ok := writerOf(ref.Elem())
		return orNull(ref, "list") + "(" + each + ")", ok
	case ref.Definition.Kind == ast.Interface || ref.Definition.Kind == ast.Union:
		return orNull(ref, "abstract") + "[" + templates.CurrentImports.LookupType(ref.GO) + "]", true
	case ref.Definition.Kind == ast.Object && ref.IsPtr():
		return orNull(ref, "record") + "[" + templates.CurrentImports.LookupType(ref.Elem().GO) + "]", true
	case ref.Definition.Kind == ast.Object && ref.IsStruct():
		return "inline[" + templates.CurrentImports.LookupType(ref.GO) + "]", true
	case ref.Marshaler == nil, ref.IsContext && ref.Marshaler.FullName() != floatMarshaler:
		return "", false
	}
	write, ok := writers[ref.Marshaler.FullName()]
	of := ref
	if ref.IsPtr() {
		of = ref.Elem()
	}
	switch {
	case ref.HasEnumValues():
		write = "enum(" + ref.EnumMarshalVar(false) + ")"
	case write == "text[%s]":
		write = fmt.Sprintf(write, templates.CurrentImports.LookupType(of.GO))
	case ref.CastType != nil || types.TypeString(of.GO, nil) != types.TypeString(ref.Target, nil):
		return "", false
	case write == "moment" || write == "anyJSON": // their zero values are null
		write = orNull(ref, write)
	}
	if ref.IsPtr() {
		write = "pointerOrNull(" + write + ")"
		ok = ok && !ref.GQL.NonNull // no type in this schema is both
	}
	return write, ok
}

func orNull(ref *config.TypeReference, name string) string {
	if ref.GQL.NonNull {
		return name
	}
	return name + "OrNull"
}
