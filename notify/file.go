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

// Files is the development outbox: each message becomes one file of a folder. It serves all channels.
type Files struct {
	dir     string
	compose *Composer
	log     *slog.Logger
}

// NewFiles makes the outbox in a folder, which it creates (0700).
func NewFiles(dir string, c *Composer, log *slog.Logger) (*Files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("development outbox: %w", err)
	}
	// What a killed process left half-written. If another process is writing right now, it fails and tries again.
	stale, _ := filepath.Glob(filepath.Join(dir, ".*.tmp"))
	for _, name := range stale {
		_ = os.Remove(name)
	}
	return &Files{dir: dir, compose: c, log: log}, nil
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Send writes the file of a message: <time>-<id>.eml, or .sms.json. Both parts are the message's own, so a message
// handed over again is the same file.
func (f *Files) Send(_ context.Context, m *domain.Message) error {
	if !plainID.MatchString(m.ID) {
		return &Failure{Stage: "file", Reason: "the id is no file name", Permanent: true}
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
		text, err := f.compose.words.sms(m)
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
		return &Failure{Stage: "file", Reason: "no such channel"}
	}
	if err := write(f.dir, name, content); err != nil {
		return &Failure{Stage: "file", Reason: reasonOf(err)}
	}
	f.log.Info("message written", "file", filepath.Join(f.dir, name))
	return nil
}

// write makes a file appear whole or not at all, even if the machine stops.
func write(dir, name string, content []byte) (err error) {
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
	_ = d.Sync() // some systems cannot sync a folder
	return d.Close()
}
