package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/gatehouse/gatehouse/app"
)

type migrateCommand struct {
	Up     migrateUp     `cmd:"" help:"Apply all pending migrations."`
	Status migrateStatus `cmd:"" help:"List the migrations and the time each was applied."`
}

// Help returns the example shown by --help.
func (migrateCommand) Help() string { return "Example:\n\n  gatehouse migrate up" }

type migrateUp struct{}

// Help returns the example shown by --help.
func (migrateUp) Help() string {
	return "Example:\n\n  gatehouse migrate up\n\n" +
		"Several instances may run it at the same time: one applies the migrations, the others wait."
}

// Run migrates.
func (migrateUp) Run(r *run) error {
	return app.WithRawDatabase(r, &r.root.Config, func(d *app.Database) error {
		previous, err := d.Status(r)
		if err != nil {
			return err
		}
		if err := d.Migrate(r); err != nil {
			return err
		}
		applied := 0
		for _, m := range previous {
			if m.AppliedAt.IsZero() {
				fmt.Fprintln(r.stdout, "applied", m.Name)
				applied++
			}
		}
		if applied == 0 {
			fmt.Fprintln(r.stdout, "up to date")
		}
		return nil
	})
}

type migrateStatus struct{}

// Help returns the example shown by --help.
func (migrateStatus) Help() string { return "Example:\n\n  gatehouse migrate status" }

// Run lists migrations.
func (migrateStatus) Run(r *run) error {
	return app.WithRawDatabase(r, &r.root.Config, func(d *app.Database) error {
		list, err := d.Status(r)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(r.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "MIGRATION\tAPPLIED")
		for _, m := range list {
			applied := "pending"
			if !m.AppliedAt.IsZero() {
				applied = m.AppliedAt.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\n", m.Name, applied)
		}
		return w.Flush()
	})
}
