package cli

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/gatehouse/gatehouse/app"
)

type configCommand struct{}

// Help returns the example shown by --help.
func (configCommand) Help() string {
	return "Example:\n\n  GATEHOUSE_LISTEN=127.0.0.1:9000 gatehouse config\n\nSecrets are masked."
}

// Run prints every setting.
func (configCommand) Run(r *run) error {
	w := tabwriter.NewWriter(r.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tFROM")
	onLine := map[string]bool{}
	for _, p := range r.model.Path {
		if p.Flag != nil && !p.Resolved {
			onLine[p.Flag.Name] = true
		}
	}
	for _, flag := range r.model.Model.Flags {
		if len(flag.Envs) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", flag.Envs[0], displayValue(flag), r.origin(flag, onLine))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	policy, err := app.LoadPolicy(r.root.Config.VerificationPolicy)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.stdout, "\nVerification policy, version %s:\n\n%s", policy.Version, policy.Document)
	return err
}

func (r *run) origin(flag *kong.Flag, onLine map[string]bool) string {
	env := inEnvironment(flag)
	_, inFile := r.file.values[flag.Name]
	switch {
	case onLine[flag.Name]:
		return "flag --" + flag.Name
	case env != "":
		return "environment"
	case inFile:
		return "file " + r.file.path
	}
	return "default"
}

// displayValue returns a value with secrets masked, either whole or the password in a URL.
func displayValue(flag *kong.Flag) string {
	value := fmt.Sprint(reflect.Indirect(flag.Target).Interface())
	if value == "" {
		return "-"
	}
	switch flag.Tag.Get("secret") {
	case "":
		return value
	case "url":
		u, err := url.Parse(value)
		if err != nil {
			return "********"
		}
		if _, set := u.User.Password(); set {
			u.User = url.UserPassword(u.User.Username(), "********")
		}
		q := u.Query()
		for name := range q {
			if strings.Contains(strings.ToLower(name), "pass") {
				q.Set(name, "********")
			}
		}
		u.RawQuery = q.Encode()
		return strings.ReplaceAll(u.String(), "%2A%2A%2A%2A%2A%2A%2A%2A", "********")
	}
	if strings.HasPrefix(value, "file:") {
		return value
	}
	return "********"
}
