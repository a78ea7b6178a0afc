package cli

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/app"
)

type listsCommand struct {
	Status listsStatus `cmd:"" help:"Describe the published list of people that is in force."`
	Load   listsLoad   `cmd:"" help:"Load the published list of people from GATEHOUSE_OFAC_DIR."`
}

// Help returns the example shown by --help.
func (listsCommand) Help() string { return "Example:\n\n  gatehouse lists status" }

type listsStatus struct{}

// Help returns the example shown by --help.
func (listsStatus) Help() string {
	return "Example:\n\n  gatehouse lists status\n\n" +
		"Prints the publication, age, size and hash of the list in force, why the files of GATEHOUSE_OFAC_DIR are not in force, and\n" +
		"the progress of the comparison of the contacts with new entries."
}

// Run describes the list.
func (listsStatus) Run(r *run) error {
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		s, err := d.ListStatus(r, &r.root.Config)
		if err != nil {
			return err
		}
		if l := s.InForce; l != nil {
			fmt.Fprintf(r.stdout, "in force:     %d entries, hash %s\npublished at: %s (%s ago)\nloaded at:    %s\n",
				l.Size, l.Hash, formatTime(l.PublishedAt), s.Age.Round(time.Minute), formatTime(l.LoadedAt))
		} else {
			fmt.Fprintln(r.stdout, "in force:     no list")
		}
		if s.Refused != nil {
			fmt.Fprintf(r.stdout, "refused:      %s\n", refusal(s.Refused))
		}
		if p := s.Rescreening; p != nil {
			state := "completed"
			if p.Running {
				state = "running"
			}
			fmt.Fprintf(r.stdout, "re-screening: %s, %d contacts compared, %d new reports, since %s\n",
				state, p.Contacts, p.Reports, formatTime(p.StartedAt))
		}
		return nil
	})
}

func refusal(p *app.ListRefusal) string {
	if p.Hash == "" {
		return p.Reason
	}
	return p.Reason + " (hash " + p.Hash + ")"
}

type listsLoad struct {
	AcceptLoss string `help:"Accept the entries with this hash although they lack many of the entries in force, or are older." placeholder:"HASH"`
}

// Help returns the example shown by --help.
func (listsLoad) Help() string {
	return "Example:\n\n  gatehouse lists load\n\n" +
		"A running server does this by itself. Files that lack more than 10 % of the entries in force, or are older, are refused;\n" +
		"--accept-loss with the printed hash loads them anyway. Running servers use the new list at once."
}

// Run loads the list.
func (c listsLoad) Run(r *run) error {
	return app.WithDatabase(r, &r.root.Config, func(d *app.Database) error {
		refused, err := d.LoadLists(r, &r.root.Config, c.AcceptLoss, slog.New(slog.NewTextHandler(r.stderr, nil)))
		if err != nil {
			return err
		}
		if refused != nil {
			return fmt.Errorf("the list is refused: %s", refusal(refused))
		}
		s, err := d.ListStatus(r, &r.root.Config)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(r.stdout, "in force: %d entries, hash %s\n", s.InForce.Size, s.InForce.Hash)
		return err
	})
}
