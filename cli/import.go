package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"

	"github.com/gatehouse/gatehouse/app"
)

type importCommand struct {
	Format string   `default:"ndjson" enum:"ndjson" help:"Format of the files."`
	Files  []string `arg:"" name:"FILE" help:"Files to load; - is standard input."`
}

// Help returns the example shown by --help.
func (importCommand) Help() string {
	return "Example:\n\n  gatehouse import directory.ndjson\n\n" +
		"Loads the valid lines of each file, reports the invalid ones, and exits with status 1 if there were any.\n" +
		"The command may be repeated: existing records do not change."
}

// Run loads files.
func (c importCommand) Run(r *run) error {
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		importer, err := app.NewImporter(&r.root.Config, d.DB)
		if err != nil {
			return err
		}
		var total app.ImportResult
		for _, name := range c.Files {
			done, err := c.load(r, importer, name)
			total.Loaded += done.Loaded
			total.Rejected += done.Rejected
			if errors.Is(err, context.Canceled) && r.Err() != nil {
				fmt.Fprintf(r.stderr, "interrupted: loaded %d records; run the import again to continue\n", total.Loaded)
				return nil
			}
			if err != nil {
				return fmt.Errorf("%s: %w (%d records loaded; run the import again to continue)", name, err, total.Loaded)
			}
		}
		fmt.Fprintf(r.stdout, "loaded %d records, rejected %d lines\n", total.Loaded, total.Rejected)
		if total.Rejected > 0 {
			return exitStatus(1)
		}
		return nil
	})
}

func (c importCommand) load(r *run, importer *app.Importer, name string) (app.ImportResult, error) {
	in, size := r.stdin, int64(-1)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return app.ImportResult{}, err
		}
		defer f.Close() //nolint:errcheck // it was only read
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		in = f
	}
	if terminal(r.stderr) {
		bar := progressbar.NewOptions64(size, progressbar.OptionSetWriter(r.stderr), progressbar.OptionShowBytes(true),
			progressbar.OptionSetDescription(name), progressbar.OptionClearOnFinish())
		in = io.TeeReader(in, bar)
		defer func() { _ = bar.Finish() }()
	}
	return importer.Import(r, in, func(line int, reason string) {
		fmt.Fprintf(r.stderr, "%s:%d: %s\n", name, line, reason)
	})
}
