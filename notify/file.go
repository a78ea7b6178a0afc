package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"

	"github.com/gatehouse/gatehouse/domain"
)

// Files is the development outbox: it writes each message as one file in a directory. It serves all channels.
type Files struct {
	dir     string
	compose *Composer
	log     *slog.Logger
}

// NewFiles returns an outbox in the directory dir, which it creates with mode 0700 if it does not exist.
func NewFiles(dir string, c *Composer, log *slog.Logger) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("development outbox: %w", err)
	}
	// Remove the temporary files of killed processes. If another process is writing at this moment, its write fails and
	// is retried.
	stale, _ := filepath.Glob(filepath.Join(dir, ".*.tmp"))
	for _, name := range stale {
		_ = os.Remove(name)
	}
	return &Files{dir: dir, compose: c, log: log}, nil
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Send writes a message to the file <time>-<id>.eml or <time>-<id>.sms.json. Both parts come from the message, so
// sending it again replaces the same file.
func (f *Files) Send(_ context.Context, m *domain.Message) error {
	if !plainID.MatchString(m.ID) {
		return &Failure{Stage: "file", Reason: "the id is not a valid file name", Permanent: true}
	}
	name := m.CreatedAt.UTC().Format("20060102T150405.000000Z") + "-" + m.ID
	var content []byte
	switch m.Channel {
	case domain.ChannelEmail:
		mail, err := f.compose.mail(m)
		if err != nil {
			return err
		}
		name, content = name+".eml", mail.bytes
	case domain.ChannelSMS:
		text, err := f.compose.templates.sms(m)
		if err != nil {
			return err
		}
		content, err = json.MarshalIndent(struct {
			To   string `json:"to"`
			Text string `json:"text"`
		}{m.To, text}, "", "  ")
		if err != nil {
			return &Failure{Stage: "compose", Permanent: true}
		}
		name, content = name+".sms.json", append(content, '\n')
	default:
		return &Failure{Stage: "file", Reason: "unsupported channel"}
	}
	if err := writeFile(f.dir, name, content); err != nil {
		return &Failure{Stage: "file", Reason: reasonOf(err)}
	}
	f.log.Info("message written", "file", filepath.Join(f.dir, name))
	return nil
}

// writeFile creates or replaces the file atomically and durably: it appears complete or not at all, even after a crash.
func writeFile(dir, name string, content []byte) (err error) {
	t, err := os.CreateTemp(dir, "."+name+".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(t.Name())
		}
	}()
	_, err = t.Write(content)
	if err = errors.Join(err, t.Sync(), t.Close()); err != nil {
		return err
	}
	if err = os.Rename(t.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync() // some systems cannot sync a directory
	return d.Close()
}
