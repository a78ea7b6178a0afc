package cli

import (
	"fmt"

	"github.com/gatehouse/gatehouse/app"
)

type policyCommand struct {
	Check    policyCheck    `cmd:"" help:"Validate a verification policy."`
	Rehearse policyRehearse `cmd:"" help:"Print what a verification policy would change for each contact, without changing anything."`
}

// Help returns the example shown by --help.
func (policyCommand) Help() string { return "Example:\n\n  gatehouse policy check policy.yaml" }

type policyCheck struct {
	File string `arg:"" help:"The policy, a YAML file."`
}

// Help returns the example shown by --help.
func (policyCheck) Help() string {
	return "Example:\n\n  gatehouse policy check policy.yaml\n\nPrints the version of the policy, or what is wrong with it."
}

// Run validates the file.
func (c policyCheck) Run(r *run) error {
	policy, err := app.LoadPolicy(c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.stdout, "%s is valid, version %s\n", c.File, policy.Version)
	return err
}

type policyRehearse struct {
	File string `arg:"" help:"The policy, a YAML file."`
}

// Help returns the example shown by --help.
func (policyRehearse) Help() string {
	return "Example:\n\n  gatehouse policy rehearse policy.yaml\n\n" +
		"Prints a line for each contact whose decision would change, and the counts. The server can be running."
}

// Run evaluates the policy for all contacts.
func (c policyRehearse) Run(r *run) error {
	policy, err := app.LoadPolicy(c.File)
	if err != nil {
		return err
	}
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		return d.RehearsePolicy(r, &r.root.Config, policy, r.stdout)
	})
}
