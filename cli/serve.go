package cli

import "github.com/gatehouse/gatehouse/app"

type serveCommand struct{}

// Help returns the example shown by --help.
func (serveCommand) Help() string {
	return "Example:\n\n  gatehouse serve --listen 127.0.0.1:0\n\nIt prints where the playground is. SIGINT and SIGTERM finish the requests in flight and end it."
}

// Run runs the server until it receives a signal to stop.
func (serveCommand) Run(r *run) error {
	return app.Serve(r, &r.root.Config, app.NewLogger(&r.root.Config, r.stderr), r.stdout)
}
