package domain

import (
	"context"
	"time"
)

// Channel is how a message travels.
type Channel string

// The channels.
const (
	ChannelEmail Channel = "email"
	ChannelSMS   Channel = "sms"
)

// MessageState is where a message stands on its way out.
type MessageState string

// The states of a message.
const (
	// MessagePending: written with its transition, or put back after a passing failure; handed over next.
	MessagePending MessageState = "pending"
	// MessageSending: a worker has it until its lease ends; after that anyone may hand it over again.
	MessageSending MessageState = "sending"
	// MessageSent: the other side took it. Its content is erased.
	MessageSent MessageState = "sent"
	// MessageDead: refused for good, or tried too often. It stays, with its content, until an operator retries it.
	MessageDead MessageState = "dead"
)

// Message is a mail or a text that a transition asks for. It is written in the transition's unit and handed over
// after the commit, once, under the same ID however often delivery has to be repeated.
type Message struct {
	// ID is msg_…; it becomes the Message-ID.
	ID      string
	Channel Channel
	// Template names the words.
	Template string
	// To is an address or a number: personal data, sealed at rest.
	To string
	// Values fill the template; sealed at rest.
	Values map[string]string
	// SubjectID is the record it is about.
	SubjectID string
	CreatedAt time.Time
	// State, Attempts, NextAt and Failure tell how delivery goes. Failure holds no address and no content.
	State    MessageState
	Attempts int
	NextAt   time.Time
	Failure  string
}

// Outbox is the store's side of delivery: workers take messages out of it, any number of them on any number of
// instances.
type Outbox interface {
	// Claim takes messages that are pending and due, or whose worker's lease is over, for a lease. It counts the
	// attempt. What it gives is in state sending.
	Claim(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*Message, error)
	// Sent, Retry and Bury end an attempt, if the message is still the worker's: taken by the other side, to be
	// tried again at a time, or given up.
	Sent(ctx context.Context, m *Message, at time.Time) error
	Retry(ctx context.Context, m *Message, at time.Time, failure string) error
	Bury(ctx context.Context, m *Message, at time.Time, failure string) error
	// Messages lists the newest messages in a state, without addresses and contents.
	Messages(ctx context.Context, state MessageState, limit int) ([]*Message, error)
	// Revive puts a dead message back; ErrMissing where there is no dead message of that id.
	Revive(ctx context.Context, id string, at time.Time) error
	// Tally counts the messages in each state.
	Tally(ctx context.Context) (map[MessageState]int, error)
	// Woken is signalled after a commit of this process that wrote messages.
	Woken() <-chan struct{}
}
