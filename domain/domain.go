// Package domain holds the rules of Gatehouse: which records there are, which lives they lead, who may do what to
// them, and what is refused with which words. One file per subject; apply.go is the only road from one state to
// the next.
//
// It knows no GraphQL, no HTTP and no SQL. What it needs from outside stands below as ports of the Service, and
// everything outside turns a request into one call of a Service method, and the answer back.
package domain

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/recent"
)

// KnownClients caches verified client tokens: the id of the client by the hash of the token.
type KnownClients = recent.Cache[[sha256.Size]byte, string]

// Service is the rules with their ports. Every method takes the actor from its context.
type Service struct {
	Store     Store
	Directory Directory
	Limiter   Limiter
	Hasher    Hasher
	// Signer makes tokens.
	Signer Signer
	// Known remembers client tokens that were good; nil: each is looked at anew. Nothing ends one but a new key, which
	// takes a new start, and no client is ever removed.
	Known *KnownClients
	// KeyedHash is a keyed hash of several parts, different for each purpose: what must be recognised but never read.
	KeyedHash func(purpose string, parts ...string) []byte
	// Now is the one clock.
	Now func() time.Time
	// Verified says which users have passed identity verification; it has an entry for each. Nil: nobody has.
	Verified func(ctx context.Context, userIDs ...string) (map[string]bool, error)
	// Screening and Quizmaster are the providers of reports and quizzes.
	Screening  Screening
	Quizmaster Quizmaster
	// Attest signs the claims of a verification token, with a key of its own. Nil: there are no such tokens.
	Attest func(ctx context.Context, claims map[string]any) (string, error)
	// Live distributes new events to subscriptions. Nil: there are none.
	Live     *Live
	Settings Settings
}

// Settings are the choices of an institution.
type Settings struct {
	// PublicURL is the host of absolute links: scheme://host[:port], without a trailing slash.
	PublicURL string
	// InstitutionName appears in mails and on pages.
	InstitutionName string
	// AcceptURL is the link of an invitation mail, with the variables {invitationId} and {key}.
	AcceptURL string
	// InvitationTTL is how long an invitation may be accepted.
	InvitationTTL time.Duration
	// InvitationResendLimit is how often an invitation mail is sent again.
	InvitationResendLimit int
	// InvitationMaxFailed is the number of wrong secrets that locks an invitation; 0 = never.
	InvitationMaxFailed int
	// VerifyRate and VerifyBlock limit verifications per client address.
	VerifyRate  Rate
	VerifyBlock time.Duration
	// SessionIdleTimeout and SessionMaxLifetime end a session: without activity, and in any case.
	SessionIdleTimeout, SessionMaxLifetime time.Duration
	// SessionTokenTTL is the life of a session token.
	SessionTokenTTL time.Duration
	// EmailTokenTTL, PhoneCodeTTL, ChallengeTTL and TwoFactorTTL are how long each may be used.
	EmailTokenTTL, PhoneCodeTTL, ChallengeTTL, TwoFactorTTL time.Duration
	// CodeSendLimit bounds mails or texts with a code, per customer and per address or number.
	CodeSendLimit Rate
	// CodeTryLimit bounds wrong phone codes per customer, across re-sends; CodeRate wrong tokens and codes per client
	// address.
	CodeTryLimit, CodeRate Rate
	// CompleteRequiresVerification asks that the accepting user has passed identity verification.
	CompleteRequiresVerification bool
	// QuizTTL is the time for the answers of a quiz.
	QuizTTL time.Duration
	// QuizLimit is how many quizzes of one person are asked without one that is passed.
	QuizLimit Rate
}

// Rate is so many in so long.
type Rate struct {
	Limit int
	Per   time.Duration
}

// Errors of the Store that the rules react to.
var (
	// ErrMissing: there is no such row.
	ErrMissing = errors.New("domain: no such row")
	// ErrStale: the row is no longer of the version that was read.
	ErrStale = errors.New("domain: the row has changed since it was read")
	// ErrRemembered: the idempotency key of the unit is taken.
	ErrRemembered = errors.New("domain: the idempotency key is taken")
)

// Store keeps records. A unit is written whole or not at all.
type Store interface {
	// Commit writes a unit: changed rows, lifecycle events, messages, grants and the idempotency key. It changes no
	// record of the unit; what is stored differently is returned.
	// It fails with ErrStale or ErrRemembered, and then nothing is written.
	Commit(ctx context.Context, u *Unit) (Written, error)
	// Recall finds what an idempotency key stands for; ErrMissing where it is free or has run out.
	Recall(ctx context.Context, key []byte, now time.Time) (*IdempotencyRecord, error)

	Invitations() Shelf[Invitation]
	// InvitationOrDecoy finds an invitation; where there is none it does the work of one, and fails with ErrMissing.
	InvitationOrDecoy(ctx context.Context, id string) (*Invitation, error)
	Sessions() Shelf[Session]
	// SessionByHandle finds the id of the session whose foreign handle has this hash; ErrMissing where there is none.
	SessionByHandle(ctx context.Context, hash []byte) (id string, err error)
	// TouchSession records activity of a session with one guarded statement and returns the session as that statement
	// left it. Last activity and the idle timer never move backwards, the idle timer ends with the maximum lifetime, and
	// the version stays.
	// It fails with ErrStale where no row qualifies: there is no such session, the guard does not admit it, or it is not
	// live at the time. It fails with ErrRemembered where the idempotency key is taken.
	TouchSession(ctx context.Context, t Touch) (*Session, error)
	// Client finds a client; ErrMissing where there is none.
	Client(ctx context.Context, id string) (*Client, error)
	// Clients finds clients by id, in no particular order; those that are missing are left out.
	Clients(ctx context.Context, ids []string) ([]*Client, error)
	// JwtTemplate finds a template by name; ErrMissing where there is none.
	JwtTemplate(ctx context.Context, name string) (*JwtTemplate, error)
	JwtTemplates(ctx context.Context) ([]*JwtTemplate, error)
	// SaveJwtTemplate adds the template, or replaces the one of its name and keeps its creation; it gives what is stored.
	SaveJwtTemplate(ctx context.Context, t *JwtTemplate) (*JwtTemplate, error)
	// DeleteJwtTemplate removes a template; ErrMissing where there is none.
	DeleteJwtTemplate(ctx context.Context, name string) error
	Contacts() Shelf[Contact]
	FraudRiskReports() Shelf[FraudRiskReport]
	Quizzes() Shelf[Quiz]
	Approvals() Shelf[Approval]
	// Turn reads the turn of a key, for a unit that shall be stale where another one with the key was written since.
	Turn(ctx context.Context, key []byte) (Counter, error)
	Events() Shelf[LifecycleEvent]
	// Timelines gives a span of the journal of each record, by its id, with one statement for many. Who has no events is
	// left out.
	Timelines(ctx context.Context, subjectIDs []string, span Span) (map[string]*TimelineSpan, error)
	CodeStore
	// Feed returns at most limit events after a position, in the order of their commits; the zero position is the
	// beginning.
	Feed(ctx context.Context, after FeedPosition, limit int) ([]*LifecycleEvent, error)
	// FeedPart returns a part of the feed that a subscription has missed.
	FeedPart(ctx context.Context, part FeedPart) ([]*LifecycleEvent, error)
	// FeedEnd returns the position of the newest event in the feed; the zero position while there is none.
	FeedEnd(ctx context.Context) (FeedPosition, error)
	// FeedPending reports whether events after a position are committed but not in the feed yet, because an event that
	// precedes them may still be committed.
	FeedPending(ctx context.Context, after FeedPosition) (bool, error)
	// FeedHas reports whether there is an event at the position, in the feed or pending.
	FeedHas(ctx context.Context, at FeedPosition) (bool, error)
	// FeedWatch calls notify after each commit of events, at once for commits of this process and soon for others, until
	// the context ends. It may call it without new events. There must be one call at a time.
	FeedWatch(ctx context.Context, notify func())
}

// Shelf holds the records of one kind.
type Shelf[R any] interface {
	// Get finds one record; ErrMissing where there is none.
	Get(ctx context.Context, id string) (*R, error)
	// GetMany finds records by id, in no particular order; those that are missing are left out.
	GetMany(ctx context.Context, ids []string) ([]*R, error)
	// List selects, orders and pages.
	List(ctx context.Context, q listing.Query) (listing.Page[R], error)
	// Due lists ids of records whose clock transition is due at the time.
	Due(ctx context.Context, now time.Time, limit int) ([]string, error)
}

// Unit is what one transition writes, in one transaction.
type Unit struct {
	Changes  []Change
	Events   []*LifecycleEvent
	Messages []*Message
	Grants   []Grant
	// Seen are clients that the unit makes or moves, before the changes.
	Seen              []Sighting
	IdempotencyRecord *IdempotencyRecord
	// Counters make the unit stale where another unit with the same key was written since the turn was read.
	Counters []Counter
	// Decoy asks for the work of a real unit (a row changed, a row added, one commit) that leaves no trace a
	// caller can see: so that a refusal for an unknown record takes the time of one for a known record.
	Decoy bool
}

// Touch is activity of a session.
type Touch struct {
	SessionID string
	// Guard says whose sessions may be touched.
	Guard TouchGuard
	// At is the time of the activity; the session must be live then.
	At time.Time
	// Idle is how long the idle timer runs from then on.
	Idle time.Duration
	// Foremost makes the session the last active one of its client, and moves the client's updated_at.
	Foremost bool
	// Organization becomes the one the session acts for; empty: none, nil: unchanged.
	Organization      *string
	IdempotencyRecord *IdempotencyRecord
}

// TouchGuard admits a session that one of its members matches; the zero value admits none.
type TouchGuard struct {
	// Any admits every session.
	Any bool
	// UserID admits the sessions of a user, ClientID those on a client; empty: none.
	UserID, ClientID string
}

// Written is what the store has for the records of a unit where that differs from the unit.
type Written struct {
	// Activity is what each changed session has, by id: activity may have moved it since the session was read.
	Activity map[string]Activity
}

// Activity is the part of a session that activity moves.
type Activity struct {
	LastActiveAt, AbandonAt time.Time
	OrganizationID          *string
}

// Change is a row that a unit writes.
type Change struct {
	// Record is a pointer to a record, as it shall be.
	Record any
	// Was is the version that was read; 0 for a new row. What activity has moved meanwhile stays as it is and is part of
	// Written. A session whose idle time was over when it was updated is also stale where activity has moved its idle
	// timer past that.
	Was int
	// Erase removes the row, and the messages about it.
	Erase bool
	// Unchanged leaves the row as it is: what was decided on it is true only while it is of the version.
	Unchanged bool
}

// Grant gives a user a part in an account or an organisation.
type Grant struct {
	Kind   TargetKind
	ID     string
	UserID string
}

// Sighting says that a client was there: it is made if it is new. With a session, that becomes the one it touched
// last; with Gone, that is no longer so, if it was. With SoleOf, the unit is stale where, after its changes, that user
// has another session on the client that could still be used or resumed.
type Sighting struct {
	ClientID  string
	SessionID string
	Gone      bool
	SoleOf    string
	At        time.Time
}

// Counter is how many units of a key have been written.
type Counter struct {
	Key []byte
	Was int64
}

// IdempotencyRecord is what an idempotency key stands for. It holds no input and nothing secret.
type IdempotencyRecord struct {
	// Key is a keyed hash of caller and key, Fingerprint one of operation and input.
	Key, Fingerprint []byte
	Operation        string
	// SubjectID is the record that came out of the call; empty where none did.
	SubjectID string
	// Code, Detail, Path, Attributes and AvailableAt are the problem the caller heard; Code is empty where the call was done.
	Code        string
	Detail      string
	Path        []string
	Attributes  map[string]any
	AvailableAt time.Time
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Limiter counts calls that may be made only so often. Its counters are shared by all instances, and no roll-back
// of the caller's work gives a try back.
type Limiter interface {
	// Take counts one call of the key. Over the rate, the key is blocked for the block, or until the window ends
	// where block is 0; then ok is false and availableAt says until when.
	Take(ctx context.Context, key []byte, rate Rate, block time.Duration) (ok bool, availableAt time.Time, err error)
	// Peek says whether the rate leaves a call of the key, and else until when not. It counts nothing.
	Peek(ctx context.Context, key []byte, rate Rate) (ok bool, availableAt time.Time, err error)
}

// Hasher hashes secrets that people choose: slowly, with a salt.
type Hasher interface {
	// Hash gives a text that holds salt, parameters and hash.
	Hash(ctx context.Context, secret string) (string, error)
	// Verify compares in constant time.
	Verify(ctx context.Context, secret, hash string) (bool, error)
	// Burn does the work of Verify for a record that does not exist.
	Burn(ctx context.Context, secret string) error
}

// Meta is what every lifecycle record has.
type Meta struct {
	// ID is opaque, prefixed and time-ordered; an imported record keeps its own.
	ID string
	// Version grows by one with each transition.
	Version int
	// CreatedAt and UpdatedAt are UTC, cut to microseconds.
	CreatedAt, UpdatedAt time.Time
	// Unsettled is set where time has moved the record and the sweeper has not written that yet.
	Unsettled bool
}

// Record is any lifecycle record.
type Record interface {
	Node
	// Head gives the part that all records share.
	Head() *Meta
	// Kind names the machine.
	Kind() Kind
}

// Kind names a kind of lifecycle record: the name of its machine.
type Kind string

// Outcome is the result of a call: the record, and whether it is the answer to an earlier call with the same
// idempotency key. It is meaningful together with an error too.
type Outcome[R any] struct {
	Record *R
	// ID is the id of the record, also where the record has been erased since, or the caller may no longer see it. It is
	// empty where the call found or created no record that the caller may act on.
	ID       string
	Replayed bool
}

// Guard are the members that the input of every transition may carry.
type Guard struct {
	// ExpectedVersion is the version the caller decided on; nil = whatever it is. One that never was is simply stale.
	ExpectedVersion *int `json:"expectedVersion"`
	// IdempotencyKey makes repeats of the call harmless for 24 hours.
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
	// VersionRequired refuses a call that names no version (If-Match required by configuration).
	VersionRequired bool `json:"-"`
}

// now is the clock, as the databases keep it.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
