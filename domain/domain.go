// Package domain has the rules of Gatehouse: the kinds of records, their state machines, the permissions and the
// refusals. It has one file per subject; only the code in the files road_*.go changes the state of a record.
//
// It must not depend on GraphQL, HTTP or SQL. Its dependencies are the ports of the Service. The packages of the APIs
// translate each request into one call of a Service method, and its result into the response.
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

// Service implements the rules on its ports. Every method takes the actor from its context.
type Service struct {
	Store     Store
	Directory Directory
	Limiter   Limiter
	Hasher    Hasher
	// Signer signs tokens.
	Signer Signer
	// Known caches accepted client tokens; nil: tokens are verified on every call. An accepted token becomes invalid only
	// with a new key, which requires a restart; clients are never removed.
	Known *KnownClients
	// KeyedHash returns a keyed hash of the parts, different for each purpose, of data to be compared but never read.
	KeyedHash func(purpose string, parts ...string) []byte
	// Now is the only clock.
	Now func() time.Time
	// Verified reports for each user whether they have passed identity verification. Nil: no user has.
	Verified func(ctx context.Context, userIDs ...string) (map[string]bool, error)
	// Screening and Quizmaster are the providers of reports and quizzes.
	Screening  Screening
	Quizmaster Quizmaster
	// Rescreener compares with new entries of the lists. Nil: the provider of reports has its own lists.
	Rescreener Rescreener
	// Attest signs the claims of a verification token with a separate key. Nil: there are no such tokens.
	Attest func(ctx context.Context, claims map[string]any) (string, error)
	// Live distributes new events to subscriptions. Nil: there are none.
	Live     *Live
	Settings Settings
}

// Settings are the settings of an institution.
type Settings struct {
	// PublicURL is the base of absolute links: scheme://host[:port], without a trailing slash.
	PublicURL string
	// InstitutionName appears in e-mails and on pages.
	InstitutionName string
	// AcceptURL is the link in an invitation e-mail, with the variables {invitationId} and {key}.
	AcceptURL string
	// InvitationTTL is the time within which an invitation may be accepted.
	InvitationTTL time.Duration
	// InvitationResendLimit is the maximum number of times that an invitation e-mail is sent again.
	InvitationResendLimit int
	// InvitationMaxFailed is the number of wrong secrets that fail an invitation; 0: no limit.
	InvitationMaxFailed int
	// VerifyRate and VerifyBlock limit verification attempts per client address.
	VerifyRate  Rate
	VerifyBlock time.Duration
	// SessionIdleTimeout ends a session without activity, SessionMaxLifetime any session.
	SessionIdleTimeout, SessionMaxLifetime time.Duration
	// SessionTokenTTL is the lifetime of a session token.
	SessionTokenTTL time.Duration
	// EmailTokenTTL, PhoneCodeTTL, ChallengeTTL and TwoFactorTTL are lifetimes.
	EmailTokenTTL, PhoneCodeTTL, ChallengeTTL, TwoFactorTTL time.Duration
	// CodeSendLimit limits e-mails and text messages with a code, per customer and per address or number.
	CodeSendLimit Rate
	// CodeTryLimit limits wrong phone codes per customer, across all codes; CodeRate limits wrong tokens and codes per
	// client address.
	CodeTryLimit, CodeRate Rate
	// CompleteRequiresVerification requires that the accepting user has passed identity verification.
	CompleteRequiresVerification bool
	// Policy decides when a contact is verified; without conditions the default one.
	Policy VerificationPolicy
	// ReportLimit limits reports, quizzes and requests for questions per caller, ReportPersonLimit per person for all
	// callers together. Neither limits the institution.
	ReportLimit, ReportPersonLimit Rate
	// QuizTTL is the time for the answers of a quiz.
	QuizTTL time.Duration
	// QuizLimit limits the quizzes of one person that are asked and not passed.
	QuizLimit Rate
}

// Rate is a limit of calls per period.
type Rate struct {
	Limit int
	Per   time.Duration
}

// Errors of the Store that the rules handle.
var (
	// ErrMissing: the row does not exist.
	ErrMissing = errors.New("domain: no such row")
	// ErrStale: the row no longer has the version that was read.
	ErrStale = errors.New("domain: the row has changed since it was read")
	// ErrRemembered: the idempotency key of the unit is already in use.
	ErrRemembered = errors.New("domain: the idempotency key is taken")
)

// Store stores records. Each unit is written atomically.
type Store interface {
	// Commit writes a unit: changed rows, lifecycle events, messages, grants and the idempotency key. It does
	// not modify the records of the unit; stored values that differ from them are returned.
	// It may fail with ErrStale or ErrRemembered; then nothing is written.
	Commit(ctx context.Context, u *Unit) (Written, error)
	// Recall returns the record of an idempotency key, or ErrMissing if the key is unused or has expired.
	Recall(ctx context.Context, key []byte, now time.Time) (*IdempotencyRecord, error)

	Invitations() Shelf[Invitation]
	// InvitationOrDecoy returns an invitation. If it does not exist, it does the same work and returns ErrMissing.
	InvitationOrDecoy(ctx context.Context, id string) (*Invitation, error)
	Sessions() Shelf[Session]
	// SessionByHandle returns the id of the session whose foreign handle has this hash, or ErrMissing.
	SessionByHandle(ctx context.Context, hash []byte) (id string, err error)
	// TouchSession records activity of a session with one guarded statement and returns the session as updated. Last
	// activity and the idle timer never move backwards, the idle timer ends with the maximum lifetime at the latest, and
	// the version does not change.
	// It fails with ErrStale if no row qualifies: the session does not exist, the guard does not admit it, or it is not
	// live at the time. It fails with ErrRemembered if the idempotency key is already in use.
	TouchSession(ctx context.Context, t Touch) (*Session, error)
	// Client returns a client, or ErrMissing.
	Client(ctx context.Context, id string) (*Client, error)
	// Clients returns clients by id, in no particular order, and omits missing ones.
	Clients(ctx context.Context, ids []string) ([]*Client, error)
	// JwtTemplate returns a template by name, or ErrMissing.
	JwtTemplate(ctx context.Context, name string) (*JwtTemplate, error)
	JwtTemplates(ctx context.Context) ([]*JwtTemplate, error)
	// SaveJwtTemplate adds the template, or replaces the one with its name except CreatedAt. It returns the stored one.
	SaveJwtTemplate(ctx context.Context, t *JwtTemplate) (*JwtTemplate, error)
	// DeleteJwtTemplate removes a template, or returns ErrMissing.
	DeleteJwtTemplate(ctx context.Context, name string) error
	Contacts() Shelf[Contact]
	FraudRiskReports() Shelf[FraudRiskReport]
	Quizzes() Shelf[Quiz]
	Approvals() Shelf[Approval]
	Reviews() Shelf[Review]
	Dismissals
	Rescreenings
	// Turn reads the counter of a key. A unit with it is stale if another unit with the key has been written since.
	Turn(ctx context.Context, key []byte) (Counter, error)
	Events() Shelf[LifecycleEvent]
	// Timelines returns a span of the journal of each record, by id, with one statement. It omits records without
	// events.
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

// Shelf stores the records of one kind.
type Shelf[R any] interface {
	// Get returns a record, or ErrMissing.
	Get(ctx context.Context, id string) (*R, error)
	// GetMany returns records by id, in no particular order, and omits missing ones.
	GetMany(ctx context.Context, ids []string) ([]*R, error)
	// List returns a page of the selected records in the requested order.
	List(ctx context.Context, q listing.Query) (listing.Page[R], error)
	// Due returns the ids of records whose clock transition is due at the time.
	Due(ctx context.Context, now time.Time, limit int) ([]string, error)
}

// Unit has everything that one transition writes, in one transaction.
type Unit struct {
	Changes  []Change
	Events   []*LifecycleEvent
	Messages []*Message
	Grants   []Grant
	// Seen has the clients that the unit creates or updates, before the changes.
	Seen              []Sighting
	IdempotencyRecord *IdempotencyRecord
	// Counters make the unit stale if another unit with the same key has been written since Turn.
	Counters []Counter
	// Decoy requests the work of a real unit (a row changed, a row added, one commit) without a visible effect, so that
	// refusals for unknown and for known records take the same time.
	Decoy bool
}

// Touch is activity of a session.
type Touch struct {
	SessionID string
	// Guard selects the sessions that may be touched.
	Guard TouchGuard
	// At is the time of the activity; the session must be live then.
	At time.Time
	// Idle is the duration of the idle timer from then on.
	Idle time.Duration
	// Foremost makes the session the last active one of its client, and updates the client's updated_at.
	Foremost bool
	// Organization is the organization that the session acts for from now on; empty: none, nil: unchanged.
	Organization      *string
	IdempotencyRecord *IdempotencyRecord
}

// TouchGuard admits a session if one of its members matches; the zero value admits none.
type TouchGuard struct {
	// Any admits every session.
	Any bool
	// UserID admits the sessions of a user, ClientID those of a client; empty: none.
	UserID, ClientID string
}

// Written has the stored values that differ from the records of a unit.
type Written struct {
	// Activity has the activity of each changed session, by id; it may have changed since the session was read.
	Activity map[string]Activity
}

// Activity is the part of a session that activity changes.
type Activity struct {
	LastActiveAt, AbandonAt time.Time
	OrganizationID          *string
}

// Change is one row of a unit.
type Change struct {
	// Record is a pointer to the new record.
	Record any
	// Was is the version that was read; 0 for a new row. Activity since then is kept, and returned in Written. If the
	// idle time of a session had ended when it was updated, the change is also stale if activity has since moved the
	// idle timer past that time.
	Was int
	// Erase removes the row, and the messages about it.
	Erase bool
	// Unchanged does not write the row, but requires that it still has the version.
	Unchanged bool
}

// Grant makes a user an owner of an account or a signer of an organisation.
type Grant struct {
	Kind   TargetKind
	ID     string
	UserID string
}

// Sighting records the use of a client, and creates a new one. SessionID becomes the client's last active session; with
// Gone it no longer is, if it was. With SoleOf, the unit is stale if that user has, after the changes, another session
// on the client that could still be used or resumed.
type Sighting struct {
	ClientID  string
	SessionID string
	Gone      bool
	SoleOf    string
	At        time.Time
}

// Counter counts the units that have been written with a key.
type Counter struct {
	Key []byte
	Was int64
}

// IdempotencyRecord is the outcome of the first call with an idempotency key. It holds no input and no secret.
type IdempotencyRecord struct {
	// Key is a keyed hash of caller and key, Fingerprint one of operation and input.
	Key, Fingerprint []byte
	Operation        string
	// SubjectID is the id of the record of the outcome; empty if there is none.
	SubjectID string
	// Code, Detail, Path, Attributes and AvailableAt are the returned problem; Code is empty if the call succeeded.
	Code        string
	Detail      string
	Path        []string
	Attributes  map[string]any
	AvailableAt time.Time
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Limiter counts rate-limited calls. All instances share its counters, and a roll-back of the caller's work does not undo
// the count.
type Limiter interface {
	// Take counts a call of the key. Above the rate it blocks the key for the duration block, or until the end of the
	// window if block is 0; then ok is false and availableAt is the end of the block.
	Take(ctx context.Context, key []byte, rate Rate, block time.Duration) (ok bool, availableAt time.Time, err error)
	// Peek reports, without counting, whether the rate permits a call of the key; if not, availableAt is when it does.
	Peek(ctx context.Context, key []byte, rate Rate) (ok bool, availableAt time.Time, err error)
}

// Hasher hashes secrets that people choose, with a slow salted hash.
type Hasher interface {
	// Hash returns a text with salt, parameters and hash.
	Hash(ctx context.Context, secret string) (string, error)
	// Verify compares in constant time.
	Verify(ctx context.Context, secret, hash string) (bool, error)
	// Burn does the work of Verify for a record that does not exist.
	Burn(ctx context.Context, secret string) error
}

// Meta has the members that every lifecycle record has.
type Meta struct {
	// ID is opaque, prefixed and time-ordered; an imported record keeps its id.
	ID string
	// Version increases by one with each transition.
	Version int
	// CreatedAt and UpdatedAt are UTC, truncated to microseconds.
	CreatedAt, UpdatedAt time.Time
	// Unsettled is set if a clock transition has been made that the sweeper has not written yet.
	Unsettled bool
}

// Record is any lifecycle record.
type Record interface {
	Node
	// Head returns the part that all records share.
	Head() *Meta
	// Kind names the machine.
	Kind() Kind
}

// Kind names a kind of lifecycle record: the name of its machine.
type Kind string

// Outcome is the result of a call: the record, and whether it replays an earlier call with the same idempotency key. It
// is also valid together with an error.
type Outcome[R any] struct {
	Record *R
	// ID is the id of the record, even if the record has since been erased or the caller may no longer see it. It is
	// empty if the call found or created no record that the caller may act on.
	ID       string
	Replayed bool
}

// Guard has the optional members of the input of every transition.
type Guard struct {
	// ExpectedVersion is the version that the caller has seen; nil: any. A version that never existed is stale.
	ExpectedVersion *int `json:"expectedVersion"`
	// IdempotencyKey makes repeats of the call safe for 24 hours.
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
	// VersionRequired refuses a call without a version (If-Match required by configuration).
	VersionRequired bool `json:"-"`
}

// now returns the current time in the precision of the databases.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
