// Package notify hands over what the rules ask to be told: mails and text messages, through SMTP or, in
// development, as files in a folder.
//
// It knows templates, SMTP, files, and the outbox as domain describes it. It does not know which transition asked
// for a message, nor how the outbox is stored, and it decides nothing about a record. No address, no content and
// no credential reaches a log line or a stored failure.
package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"github.com/gatehouse/gatehouse/domain"
)

// Sender hands one message to the other side. A nil error means that the other side has taken it. It may be called
// again with the same message where it is open whether the other side took it, and then hands over the same bytes
// under the same name. It is safe for use by many workers at once.
type Sender interface {
	// Send hands over m. IsPermanent tells a refusal that will not change from one that may pass.
	Send(ctx context.Context, m *domain.Message) error
}

// Failure says at which stage a hand-over ended and what the other side answered, and nothing else: it is stored
// with the message and logged, so it holds no address, no content and no text of the other side.
type Failure struct {
	// Stage is the step that failed: a word of this package.
	Stage string
	// Code is the reply code of SMTP; 0 where there was no reply.
	Code int
	// Enhanced is the enhanced status code (RFC 3463), such as 5.1.1; empty where there was none.
	Enhanced string
	// Reason is a few words of this package or of the operating system; empty where Code says enough.
	Reason string
	// Permanent says that a repeat would be refused again.
	Permanent bool
}

// Error is the text that is stored.
func (f *Failure) Error() string {
	text := f.Stage
	if f.Code != 0 {
		text += " " + strconv.Itoa(f.Code)
	}
	if f.Enhanced != "" {
		text += " " + f.Enhanced
	}
	if f.Reason != "" {
		text += ": " + f.Reason
	}
	return text
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error as one that a repeat would meet again.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether a repeat would meet the error again. Everything that is not known to be permanent
// may pass.
func IsPermanent(err error) bool {
	var p permanent
	if errors.As(err, &p) {
		return true
	}
	var f *Failure
	return errors.As(err, &f) && f.Permanent
}

// failureText is what may be stored and logged of an error: a Failure's words, and nothing of any other error,
// whose text might hold an address.
func failureText(err error) string {
	var f *Failure
	if errors.As(err, &f) {
		return f.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "send: timed out"
	}
	return fmt.Sprintf("send: %T", err)
}

// reasonOf names what went wrong underneath in the words of the operating system, which hold no address.
func reasonOf(err error) string {
	var no syscall.Errno
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &no):
		return no.Error()
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	}
	return "no answer"
}
