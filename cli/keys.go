package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/gatehouse/gatehouse/app"
)

type keysCommand struct {
	List   keysList   `cmd:"" help:"List the published keys."`
	Rotate keysRotate `cmd:"" help:"Rotate: sign with the next key from now on."`
}

// Help returns the example shown by --help.
func (keysCommand) Help() string { return "Example:\n\n  gatehouse keys list" }

type keysList struct{}

// Help returns the example shown by --help.
func (keysList) Help() string {
	return "Example:\n\n  gatehouse keys list\n\n" +
		"The next key is published before it signs. An old key stays published until its last token expires."
}

// Run lists keys.
func (keysList) Run(r *run) error {
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		keys, err := d.SigningKeys(r, &r.root.Config)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(r.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "KID\tALG\tROLE\tCREATED\tSIGNS FROM\tPUBLISHED UNTIL")
		for _, k := range keys {
			fmt.Fprintf(
				w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Algorithm, k.Role, formatTime(k.CreatedAt), formatTime(k.SignsFrom),
				formatTime(k.PublishedUntil()),
			)
		}
		return w.Flush()
	})
}

// formatTime returns a time for a table, and a hyphen for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

type keysRotate struct{}

// Help returns the example shown by --help.
func (keysRotate) Help() string {
	return "Example:\n\n  gatehouse keys rotate\n\n" +
		"The next key, which is already published, becomes the current key, and a new next key is published.\n" +
		"The old key stays in the JWKS until its last token expires. Running servers follow within a second. Prints the key that signs now."
}

// Run rotates the keys.
func (keysRotate) Run(r *run) error {
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		key, err := d.RotateSigningKeys(r, &r.root.Config, r.stderr)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(r.stdout, key.ID)
		return err
	})
}
