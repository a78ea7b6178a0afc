// Package cli implements the command line, with one file per command. It reads flags, environment and settings file
// into app.Config and calls app. It must not know GraphQL or REST.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"

	"github.com/gatehouse/gatehouse/app"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// root is the command tree.
type root struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"Configuration file. Default: gatehouse.yaml in the working directory, if it exists."`
	app.Config `embed:""`

	Serve    serveCommand    `cmd:"" default:"withargs" help:"Start the server (the default command)."`
	Token    tokenCommand    `cmd:"" help:"Print a bearer token of the development issuer, or the token of a client."`
	APIKey   apiKeyCommand   `cmd:"" name:"apikey" help:"Manage client keys for the API-Key header."`
	Keys     keysCommand     `cmd:"" help:"Manage the keys that sign session tokens."`
	Import   importCommand   `cmd:"" help:"Load directory data."`
	Migrate  migrateCommand  `cmd:"" help:"Manage the database schema."`
	Policy   policyCommand   `cmd:"" help:"Check and rehearse verification policies."`
	Lists    listsCommand    `cmd:"" help:"Describe and load the published list of people."`
	Messages messagesCommand `cmd:"" help:"List and retry outgoing e-mails and text messages."`
	Settings configCommand   `cmd:"" name:"config" help:"Print the effective configuration and the source of each value."`
	Docs     docsCommand     `cmd:"" help:"Write the generated reference pages."`
	SBOM     sbomCommand     `cmd:"" name:"sbom" help:"Print the software bill of materials of this binary."`
	Version  versionCommand  `cmd:"" help:"Print version, commit and Go version."`
}

// run is the context of every command.
type run struct {
	context.Context
	root   *root
	model  *kong.Context
	file   *settingsFile
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// usageError is an error of the caller: one line, exit status 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitStatus ends the program with a status and without a message.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Run runs the program and returns its exit status: 0 for success, 1 for failure, 2 for incorrect usage.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := dispatch(ctx, args, stdin, stdout, stderr)
	var status exitStatus
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "gatehouse:", oneLine(err))
		return 2
	}
	fmt.Fprintln(stderr, "gatehouse:", oneLine(err))
	return 1
}

// oneLine returns the text of an error for the operator: for a problem its cause, which other callers must not see.
func oneLine(err error) string {
	text := err.Error()
	var p *problem.Problem
	if errors.As(err, &p) {
		text = p.Text()
		if cause := p.Unwrap(); cause != nil {
			text = cause.Error()
		}
	}
	return strings.Join(strings.Fields(text), " ")
}

// helpExit unwinds the parser after --help: kong would otherwise report missing arguments.
type helpExit struct{}

func dispatch(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(helpExit); !ok {
				panic(p)
			}
			err = nil
		}
	}()
	r := &root{}
	file, err := findSettings(args)
	if err != nil {
		return usageError{err}
	}
	parser, err := kong.New(
		r,
		kong.Name("gatehouse"),
		kong.Writers(stdout, stderr),
		kong.Description(
			"Identity-lifecycle service for digital banking.\n\nExample:\n\n  gatehouse --listen 127.0.0.1:0\n\nThen open the printed address.",
		),
		kong.Resolvers(file),
		kong.UsageOnError(),
		kong.Exit(func(int) { panic(helpExit{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return err
	}
	model, err := parser.Parse(args)
	if err != nil {
		return usageError{err}
	}
	if unknown := file.unknown(model); unknown != "" {
		return misuse("%s: unknown setting %q", file.path, unknown)
	}
	if err := r.Config.Check(); err != nil {
		return usageError{err}
	}
	return model.Run(&run{Context: ctx, root: r, model: model, file: file, stdin: stdin, stdout: stdout, stderr: stderr})
}

// settingsFile is the configuration file. Its names are those of the flags, with an underscore accepted for a hyphen.
type settingsFile struct {
	path   string
	values map[string]any
}

// findSettings reads the file named by --config, or gatehouse.yaml if that exists and --config is not set.
func findSettings(args []string) (*settingsFile, error) {
	path, named := "gatehouse.yaml", false
	for i, a := range args {
		if a == "--" {
			break
		}
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			path, named = v, true
		} else if a == "--config" && i+1 < len(args) {
			path, named = args[i+1], true
		}
	}
	raw, err := os.ReadFile(filepath.Clean(path))
	if errors.Is(err, os.ErrNotExist) && !named {
		return &settingsFile{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	f := &settingsFile{path: path, values: map[string]any{}}
	var read map[string]any
	if err := yaml.Unmarshal(raw, &read); err != nil {
		return nil, fmt.Errorf("%s must be YAML with lines of the form name: value", path)
	}
	for name, value := range read {
		f.values[strings.ReplaceAll(name, "_", "-")] = value
	}
	return f, nil
}

// Validate implements kong.Resolver.
func (*settingsFile) Validate(*kong.Application) error { return nil }

// Resolve returns the file's value of a flag that neither the command line nor the environment sets.
func (f *settingsFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if inEnvironment(flag) != "" {
		return nil, nil
	}
	value, ok := f.values[flag.Name]
	if !ok || value == nil || len(flag.Envs) == 0 {
		return nil, nil
	}
	switch value.(type) {
	case string, bool, int, float64:
		return fmt.Sprint(value), nil
	}
	return nil, fmt.Errorf("%s: expected one value", f.path)
}

// unknown returns the name of a setting in the file that does not exist.
func (f *settingsFile) unknown(model *kong.Context) string {
	for name := range f.values {
		if settingFlag(model, name) == nil {
			return name
		}
	}
	return ""
}

// settingFlag returns the flag of a setting: settings are the flags with an environment variable.
func settingFlag(model *kong.Context, name string) *kong.Flag {
	for _, flag := range model.Model.Flags {
		if flag.Name == name && len(flag.Envs) > 0 {
			return flag
		}
	}
	return nil
}

func inEnvironment(flag *kong.Flag) string {
	for _, env := range flag.Envs {
		if _, ok := os.LookupEnv(env); ok {
			return env
		}
	}
	return ""
}

// terminal reports whether the writer is a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
