package cli

import (
	"fmt"

	"github.com/gatehouse/gatehouse/app"
)

type versionCommand struct{}

// Help returns the example shown by --help.
func (versionCommand) Help() string { return "Example:\n\n  gatehouse version" }

// Run prints one line.
func (versionCommand) Run(r *run) error {
	b := app.Build()
	_, err := fmt.Fprintf(r.stdout, "gatehouse %s, commit %s, %s\n", b.Version, b.Commit, b.Go)
	return err
}
