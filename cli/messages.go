package cli

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/gatehouse/gatehouse/app"
	"github.com/gatehouse/gatehouse/domain"
)

type messagesCommand struct {
	List  messagesList  `cmd:"" help:"List messages, without addresses and content."`
	Retry messagesRetry `cmd:"" help:"Put a dead message back into the queue."`
}

// Help returns the example shown by --help.
func (messagesCommand) Help() string { return "Example:\n\n  gatehouse messages list --state dead" }

type messagesList struct {
	State string `default:"dead" enum:"pending,sending,sent,dead" help:"pending, sending, sent or dead."`
	Limit int    `default:"50" help:"Maximum number of messages; the newest are listed first."`
}

// Help returns the example shown by --help.
func (messagesList) Help() string { return "Example:\n\n  gatehouse messages list --state dead" }

// Run lists messages.
func (c messagesList) Run(r *run) error {
	if c.Limit < 1 || c.Limit > 1000 {
		return misuse("--limit: expected 1 to 1000")
	}
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		list, err := d.Messages(r, domain.MessageState(c.State), c.Limit)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(r.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tCHANNEL\tTEMPLATE\tABOUT\tCREATED\tATTEMPTS\tNEXT\tFAILURE")
		for _, m := range list {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.ID, m.Channel, m.Template, m.SubjectID,
				m.CreatedAt.Format(time.RFC3339), m.Attempts, m.NextAt.Format(time.RFC3339), m.Failure)
		}
		return w.Flush()
	})
}

type messagesRetry struct {
	ID string `arg:"" help:"Id of the message (msg_…)."`
}

// Help returns the example shown by --help.
func (messagesRetry) Help() string {
	return "Example:\n\n  gatehouse messages retry msg_01jd…\n\nThe message is delivered with the same Message-ID."
}

// Run returns a message to the outbox.
func (c messagesRetry) Run(r *run) error {
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		err := d.Revive(r, c.ID)
		if errors.Is(err, domain.ErrMissing) {
			return fmt.Errorf("there is no dead message %q", c.ID)
		}
		return err
	})
}
