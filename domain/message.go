package domain

import (
	"context"
	"time"
)

// Channel is the delivery channel of a message.
type Channel string

// The channels.
const (
	ChannelEmail Channel = "email"
	ChannelSMS   Channel = "sms"
)

// MessageState is the delivery state of a message.
type MessageState string

// The states of a message.
const (
	// MessagePending: written with its transition, or waiting for a retry after a temporary failure; sent next.
	MessagePending MessageState = "pending"
	// MessageSending: a worker holds a lease on it; after the lease ends any worker may send it again.
	MessageSending MessageState = "sending"
	// MessageSent: the receiving server accepted it. Its content is erased.
	MessageSent MessageState = "sent"
	// MessageDead: permanently refused, or out of attempts. It stays, with its content, until an operator retries it.
	MessageDead MessageState = "dead"
)

// Message is an e-mail or a text message that a transition causes. It is written in the transition's unit and sent after
// the commit; every delivery attempt has the same ID.
type Message struct {
	// ID is msg_…; it becomes the Message-ID.
	ID      string
	Channel Channel
	// Template is the name of the text.
	Template string
	// To is an address or a number: personal data, sealed at rest.
	To string
	// Values fill the template; sealed at rest.
	Values map[string]string
	// SubjectID is the id of the record that the message is about.
	SubjectID string
	CreatedAt time.Time
	// State, Attempts, NextAt and Failure describe the delivery. Failure holds no address and no content.
	State    MessageState
	Attempts int
	NextAt   time.Time
	Failure  string
}

// Outbox is the queue of messages in the store. Any number of workers on any number of instances may read from it.
type Outbox interface {
	// Claim leases messages that are pending and due, or whose lease has expired. It counts the attempt and returns the
	// messages in state sending.
	Claim(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*Message, error)
	// Sent, Retry and Bury end an attempt if the worker still holds the lease: the message was accepted, is to be sent
	// again at a time, or is given up.
	Sent(ctx context.Context, m *Message, at time.Time) error
	Retry(ctx context.Context, m *Message, at time.Time, failure string) error
	Bury(ctx context.Context, m *Message, at time.Time, failure string) error
	// Messages lists the newest messages in a state, without address and content.
	Messages(ctx context.Context, state MessageState, limit int) ([]*Message, error)
	// Revive makes a dead message pending again. It returns ErrMissing if there is no dead message with that id.
	Revive(ctx context.Context, id string, at time.Time) error
	// Tally counts the messages in each state.
	Tally(ctx context.Context) (map[MessageState]int, error)
	// Woken receives a signal after a commit of this process that wrote messages.
	Woken() <-chan struct{}
}
