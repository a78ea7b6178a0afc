package main

import (
	"fmt"
	"go/constant"
	"go/types"
	"strings"

	"github.com/99designs/gqlgen/codegen/config"
	"github.com/vektah/gqlparser/v2/ast"
)

// bind is the gqlgen plugin that derives what gqlgen.yml would otherwise repeat for each kind of record.
type bind struct{}

// Name implements plugin.Plugin.
func (bind) Name() string { return "bind" }

// MutateConfig implements plugin.ConfigMutator. It binds the values of each enum that has a Go type to the constants of
// that type, and marks the fields that every record resolves in the same way.
func (bind) MutateConfig(cfg *config.Config) error {
	for _, definition := range cfg.Schema.Types {
		switch {
		case definition.Kind == ast.Enum:
			if err := bindEnum(cfg, definition); err != nil {
				return err
			}
		case definition.Kind == ast.Object && implements(definition, "Lifecycle"):
			entry := cfg.Models[definition.Name]
			if entry.Fields == nil {
				entry.Fields = map[string]config.TypeMapField{}
			}
			for _, name := range []string{"actions", "timeline"} {
				field := entry.Fields[name]
				field.Resolver = true
				entry.Fields[name] = field
			}
			cfg.Models[definition.Name] = entry
		}
	}
	return nil
}

func implements(definition *ast.Definition, name string) bool {
	for _, i := range definition.Interfaces {
		if i == name {
			return true
		}
	}
	return false
}

// bindEnum maps the values of an enum to the constants of its Go type. The words of both must be the same: PASSED_LATE is
// the constant with the value "passedLate". An enum whose values gqlgen.yml lists, or whose type has no constants, stays
// as it is.
func bindEnum(cfg *config.Config, definition *ast.Definition) error {
	entry, ok := cfg.Models[definition.Name]
	if !ok || len(entry.Model) != 1 || len(entry.EnumValues) > 0 {
		return nil
	}
	at := strings.LastIndex(entry.Model[0], ".")
	if entry.Model[0][:at] == cfg.Model.ImportPath() { // gqlgen writes type and constants
		return nil
	}
	pkg := cfg.Packages.Load(entry.Model[0][:at])
	if pkg == nil || pkg.Types == nil {
		return nil
	}
	typed := pkg.Types.Scope().Lookup(entry.Model[0][at+1:])
	if _, ok := typed.(*types.TypeName); !ok { // the values are written by functions
		return nil
	}
	constants := map[string]string{}
	for _, name := range pkg.Types.Scope().Names() {
		c, ok := pkg.Types.Scope().Lookup(name).(*types.Const)
		if !ok || !types.Identical(c.Type(), typed.Type()) || c.Val().Kind() != constant.String {
			continue
		}
		word := letters(constant.StringVal(c.Val()))
		if other, taken := constants[word]; taken {
			return fmt.Errorf("enum %s: %s and %s have the same value", definition.Name, other, name)
		}
		constants[word] = name
	}
	if len(constants) == 0 {
		return nil
	}
	entry.EnumValues = map[string]config.EnumValue{}
	for _, value := range definition.EnumValues {
		name, ok := constants[letters(value.Name)]
		if !ok {
			return fmt.Errorf("enum %s: %s has no constant of that name and value for %s", definition.Name, entry.Model[0], value.Name)
		}
		entry.EnumValues[value.Name] = config.EnumValue{Value: pkg.PkgPath + "." + name}
	}
	cfg.Models[definition.Name] = entry
	return nil
}

// letters returns the letters and digits of a name in lower case, without what separates its words.
func letters(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
}
