package domain

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/domain/risk"
)

// WatchList is a loaded version of the published list of people. The newest one is in force, for all instances.
type WatchList struct {
	// Seq orders the versions.
	Seq int64
	// Hash is a hexadecimal SHA-256 of the entries.
	Hash string
	// PublishedAt is the time of the newest file; LoadedAt is when the version was stored.
	PublishedAt, LoadedAt time.Time
	// Size is the number of entries.
	Size int
	// Entries are the entries; nil where only the description was read.
	Entries []risk.Entry
}

// WatchLists stores the last versions of the published list.
type WatchLists interface {
	// NewestWatchList describes the version in force, without its entries. It fails with ErrMissing if there is none.
	NewestWatchList(ctx context.Context) (*WatchList, error)
	// WatchListEntries returns the entries of a version. It fails with ErrMissing if the version is no longer stored.
	WatchListEntries(ctx context.Context, seq int64) ([]risk.Entry, error)
	// SaveWatchList stores a version, which is in force from then on, and returns it with its number.
	SaveWatchList(ctx context.Context, l *WatchList) (*WatchList, error)
}

// ListPosition identifies the content of all lists at a time.
type ListPosition struct {
	// Watch is the number of the version of the published list; 0 if there is none. Institution is the number of the newest
	// import of list entries.
	Watch, Institution int64
}

// Rescreener compares people with the entries that lists have gained.
type Rescreener interface {
	// Position returns the position of the lists in force.
	Position(ctx context.Context) (ListPosition, error)
	// Changes returns a function that finds the entries that a person matches, of those that are new or changed between
	// two positions.
	Changes(ctx context.Context, from, to ListPosition) (func(Identity) []risk.Evidence, error)
}

// Rescreening is the progress of the comparison of all contacts with the new entries of the lists.
type Rescreening struct {
	// From is the position that all contacts were compared with, To that of the comparison that is running, or ran last.
	From, To ListPosition
	Running  bool
	// After is the last contact that was compared.
	After string
	// Contacts and Reports count the compared contacts and the reports made.
	Contacts, Reports int
	// StartedAt is when the comparison began.
	StartedAt time.Time
	// ClaimedUntil is the time until which an instance works on it.
	ClaimedUntil time.Time
	// Version guards concurrent changes; 0 for one that is not stored.
	Version int
}

// ScreeningDue asks for the comparison of a contact whose address, phone or e-mail address has changed with the lists.
type ScreeningDue struct {
	ContactID   string
	RequestedAt time.Time
}

// Rescreenings stores the progress of re-screenings. Unit.Changes adds a ScreeningDue.
type Rescreenings interface {
	// Rescreening returns the progress, or ErrMissing.
	Rescreening(ctx context.Context) (*Rescreening, error)
	// SaveRescreening stores the progress and increments its version. It fails with ErrStale if the stored one has
	// another version.
	SaveRescreening(ctx context.Context, r *Rescreening) error
	// ScreeningsDue returns the oldest contacts to compare.
	ScreeningsDue(ctx context.Context, limit int) ([]ScreeningDue, error)
	// ScreeningDone removes a request, unless it was made again.
	ScreeningDone(ctx context.Context, d ScreeningDue) error
}
