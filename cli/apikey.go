package cli

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/gatehouse/gatehouse/app"
)

type apiKeyCommand struct {
	Create apiKeyCreate `cmd:"" help:"Create a key and print it once."`
	List   apiKeyList   `cmd:"" help:"List the keys by name."`
	Revoke apiKeyRevoke `cmd:"" help:"Revoke a key."`
}

// Help returns the example shown by --help.
func (apiKeyCommand) Help() string {
	return "Example:\n\n  gatehouse apikey create --name mobile-app"
}

type apiKeyCreate struct {
	Name string `required:"" placeholder:"N" help:"Name of the client application."`
}

// Help returns the example shown by --help.
func (apiKeyCreate) Help() string {
	return "Example:\n\n  gatehouse apikey create --name mobile-app\n\nPrints the key once; only its hash is stored."
}

// Run creates a key.
func (c apiKeyCreate) Run(r *run) error {
	if !app.ValidKeyName(c.Name) {
		return misuse("--name: expected 1 to 64 letters, digits, dots, hyphens or underscores")
	}
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		key, err := d.CreateAPIKey(r, c.Name)
		if errors.Is(err, app.ErrNameTaken) {
			return fmt.Errorf("a key named %q already exists", c.Name)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(r.stdout, key)
		return err
	})
}

type apiKeyList struct{}

// Help returns the example shown by --help.
func (apiKeyList) Help() string { return "Example:\n\n  gatehouse apikey list" }

// Run lists keys.
func (apiKeyList) Run(r *run) error {
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		keys, err := d.ListAPIKeys(r)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(r.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tCREATED\tREVOKED")
		for _, k := range keys {
			revoked := "-"
			if !k.RevokedAt.IsZero() {
				revoked = k.RevokedAt.Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", k.Name, k.CreatedAt.Format(time.RFC3339), revoked)
		}
		return w.Flush()
	})
}

type apiKeyRevoke struct {
	Name string `required:"" placeholder:"N" help:"Name of the client application."`
}

// Help returns the example shown by --help.
func (apiKeyRevoke) Help() string {
	return "Example:\n\n  gatehouse apikey revoke --name mobile-app\n\nRunning servers refuse the key immediately."
}

// Run revokes a key.
func (c apiKeyRevoke) Run(r *run) error {
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		found, err := d.RevokeAPIKey(r, c.Name)
		if err == nil && !found {
			err = fmt.Errorf("there is no active key named %q", c.Name)
		}
		return err
	})
}
