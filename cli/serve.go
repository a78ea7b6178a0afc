package cli

import "github.com/gatehouse/gatehouse/app"

type serveCommand struct{}

// Help returns the example shown by --help.
func (serveCommand) Help() string {
	return "Example:\n\n  gatehouse serve --listen 127.0.0.1:0\n\n" +
		"The server prints the address of the playground. On SIGINT or SIGTERM it completes open requests and stops."
}

// Run runs the server until it receives a signal to stop.
func (serveCommand) Run(r *run) error {
	return app.Serve(r, &r.root.Config, app.NewLogger(&r.root.Config, r.stderr), r.stdout)
}
