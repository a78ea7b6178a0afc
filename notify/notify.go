// Package notify delivers the messages that the rules request: mails through SMTP, text messages through a provider,
// and both, in development, as files in a directory.
//
// It knows templates, SMTP, the provider's API, files, and the outbox interface of package domain. It must not know
// which transition requested a message or how the outbox is stored, and it does not decide anything about a record. No
// address, content or credential appears in a log line or a stored failure.
package notify

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"github.com/gatehouse/gatehouse/domain"
)

// Sender transfers one message to a server. A nil error means that the server has accepted it. Send may be called again
// with the same message if it is unknown whether the server accepted it; it must then transfer the same bytes under the
// same id. A Sender must be safe for concurrent use.
type Sender interface {
	// Send transfers m. Its error is permanent, as reported by IsPermanent, if a retry would fail as well.
	Send(ctx context.Context, m *domain.Message) error
}

// Failure describes the stage at which a send failed and the server's reply code. It is stored with the message and
// logged, so it must not hold an address, content or any text from the server.
type Failure struct {
	// Stage is the step that failed: a fixed word of this package.
	Stage string
	// Code is the SMTP or HTTP reply code; 0 if there was no reply.
	Code int
	// Enhanced is the enhanced status code (RFC 3463), such as 5.1.1, or the provider's error code; empty if there was
	// none.
	Enhanced string
	// Reason is a short text of this package or of the operating system; empty if Code is sufficient.
	Reason string
	// Permanent is true if a retry would fail as well.
	Permanent bool
}

// Error returns the text that is stored.
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

// IsPermanent reports whether a retry would fail with the same error. An error not known to be permanent is temporary.
func IsPermanent(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.Permanent
}

// failureText returns the text of err that may be stored and logged: that of a Failure, and only the type of any other
// error, whose text might contain an address.
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

// reasonOf describes the underlying error in the words of the operating system, which do not contain an address.
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
	return "no response"
}
