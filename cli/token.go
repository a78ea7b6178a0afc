package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/app"
	"github.com/gatehouse/gatehouse/domain/problem"
)

type tokenCommand struct {
	Kind     string        `default:"access" enum:"access,client" help:"access (a bearer token of the development issuer) or client (the credential of a browser or device that has sessions)."`
	Subject  string        `placeholder:"S" help:"User of the access token; required for access tokens."`
	Scope    string        `placeholder:"\"a b\"" help:"Scopes of an access token, separated by spaces."`
	ClientID string        `name:"client-id" placeholder:"C" help:"Client application of the access token; for a client token, the browser or device, which is created if it is new."`
	TTL      time.Duration `name:"ttl" default:"1h" help:"Lifetime of an access token."`
	Claim    []string      `sep:"none" placeholder:"k=v" help:"An additional claim of an access token; may be repeated. The value is text."`
}

// Help returns the example shown by --help.
func (tokenCommand) Help() string {
	return "Example:\n\n  gatehouse token --subject alice --scope \"banking/full\" --claim email=alice@example.com\n" +
		"  gatehouse token --kind client --client-id my-browser\n\nPrints only the token. Does not require a running server; " +
		"with an external issuer, works for client tokens only. Tokens printed before remain valid."
}

// Run issues one token.
func (c tokenCommand) Run(r *run) error {
	if c.Kind == "client" {
		return c.client(r)
	}
	if !r.root.Development() {
		return misuse("GATEHOUSE_ISSUER is set: obtain access tokens from that issuer")
	}
	if c.Subject == "" {
		return misuse("missing flags: --subject=S")
	}
	claims := map[string]string{}
	for _, kv := range c.Claim {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return misuse("--claim %q: expected name=value", kv)
		}
		claims[k] = v
	}
	if c.TTL <= 0 {
		return misuse("--ttl: expected a positive duration")
	}
	token, err := app.Token(&r.root.Config, app.TokenRequest{
		Subject: c.Subject, Scope: c.Scope, ClientID: c.ClientID, TTL: c.TTL, Claims: claims,
	})
	if err != nil {
		return usageError{err}
	}
	_, err = fmt.Fprintln(r.stdout, token)
	return err
}

// client issues the token of a client. The service signs it itself, whoever issues the access tokens.
func (c tokenCommand) client(r *run) error {
	if c.ClientID == "" {
		return misuse("missing flags: --client-id=C")
	}
	for _, p := range r.model.Path {
		if p.Flag == nil || p.Resolved {
			continue
		}
		switch p.Flag.Name {
		case "subject", "scope", "ttl", "claim":
			return misuse("--%s: not permitted for client tokens", p.Flag.Name)
		}
	}
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		token, err := d.ClientToken(r, &r.root.Config, c.ClientID)
		var refused *problem.Problem
		if errors.As(err, &refused) && refused.Definition == problem.InvalidInput {
			return misuse("--client-id: expected 1 to 48 letters, digits or characters of -_:.~$")
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(r.stdout, token)
		return err
	})
}
