package cli

import (
	"fmt"

	"github.com/gatehouse/gatehouse/app"
)

type docsCommand struct {
	Dir           string `default:"docs" help:"Folder to write to."`
	ReleaseSchema bool   `help:"Also make the current schema the released one. A later change that breaks clients then needs an entry in schema-changes.md."`
}

// Help returns the example shown by --help.
func (docsCommand) Help() string { return "Example:\n\n  gatehouse docs --dir docs" }

// Run writes the pages.
func (c docsCommand) Run(r *run) error {
	names, err := app.WriteDocs(c.Dir, settings(r))
	for _, name := range names {
		fmt.Fprintln(r.stdout, name)
	}
	if err != nil || !c.ReleaseSchema {
		return err
	}
	name, err := app.ReleaseSchema(c.Dir)
	if err == nil {
		fmt.Fprintln(r.stdout, name)
	}
	return err
}

// settings describes every setting for the reference page.
func settings(r *run) []app.Setting {
	var out []app.Setting
	for _, flag := range r.model.Model.Flags {
		if len(flag.Envs) == 0 {
			continue
		}
		out = append(
			out,
			app.Setting{Variable: flag.Envs[0], Flag: flag.Name, Default: flag.Default, Help: flag.Help, Secret: flag.Tag.Get("secret") != ""},
		)
	}
	return out
}
