package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/app"
)

type tokenCommand struct {
	Subject  string        `required:"" placeholder:"S" help:"The user the token speaks for."`
	Scope    string        `placeholder:"\"a b\"" help:"Scopes, separated by spaces."`
	ClientID string        `name:"client-id" placeholder:"C" help:"The application that asks."`
	TTL      time.Duration `name:"ttl" default:"1h" help:"Life of the token."`
	Claim    []string      `sep:"none" placeholder:"k=v" help:"A further claim; may be repeated. The value is taken as text."`
}

// Help is the example of --help.
func (tokenCommand) Help() string {
	return "Example:\n\n  gatehouse token --subject alice --scope \"banking/full\" --claim email=alice@example.com\n\nPrints the token and nothing else. Works whether or not a server runs; not with an external issuer."
}

// Run prints one token.
func (c tokenCommand) Run(r *run) error {
	if !r.root.Development() {
		return misuse("GATEHOUSE_ISSUER is set: ask that issuer for tokens")
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
