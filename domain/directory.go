package domain

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// TargetKind is the kind of target of an invitation.
type TargetKind string

// The targets.
const (
	TargetAccount      TargetKind = "account"
	TargetOrganization TargetKind = "organization"
)

// Directory reads the bank's accounts, organisations and customers, and the users' parts in them. The built-in directory
// is filled by imports; a bank may implement the same methods on its own system.
type Directory interface {
	// Account returns an account, or ErrMissing.
	Account(ctx context.Context, id string) (*Account, error)
	// Accounts returns accounts, in no particular order, and omits missing ones.
	Accounts(ctx context.Context, ids []string) ([]*Account, error)
	// Organization returns an organisation, or ErrMissing.
	Organization(ctx context.Context, id string) (*Organization, error)
	// PartOf returns the ids of the accounts that the user owns and of the organisations that the user owns or signs for.
	PartOf(ctx context.Context, userID string) (accounts, organizations []string, err error)
	// Customer returns a customer by the subject of the customer's tokens, or ErrMissing.
	Customer(ctx context.Context, id string) (*Customer, error)
	Policies
}

// Customer is a customer of the bank. All fields are personal data.
type Customer struct {
	ID                           string
	Username, Email, Phone       string
	EmailVerified, PhoneVerified bool
	// PINHash and PasswordHash are slow hashes; empty if the customer has no PIN or password.
	PINHash, PasswordHash string
	Jurisdiction          string
	CreatedAt, UpdatedAt  time.Time
}

// Account is a banking account.
type Account struct {
	ID                 string
	JointOwnersEnabled bool
	// MaxOwners is nil if there is no limit.
	MaxOwners *int
	Owners    []string
}

// Organization is a business customer.
type Organization struct {
	ID      string
	Owners  []string
	Signers []string
}

// The paths of the two collections (Invitations, validation on create).
const (
	accountsPath      = "/accounts/accounts/"
	organizationsPath = "/organizations/organizations/"
)

// relative returns the path of an absolute URI on the server's own host, and any other text unchanged.
func (s *Service) relative(uri string) string {
	if strings.HasPrefix(uri, "/") {
		return uri
	}
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" {
		return uri
	}
	own, err := url.Parse(s.Settings.PublicURL)
	if err != nil || !strings.EqualFold(u.Host, own.Host) || !strings.EqualFold(u.Scheme, own.Scheme) ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return uri
	}
	return u.EscapedPath()
}

// target returns the id from a URI of a collection, or the empty string if the URI is not in the collection.
func (s *Service) target(uri, collection string) string {
	id, ok := strings.CutPrefix(s.relative(uri), collection)
	if !ok || id == "" || len(id) > 128 || strings.ContainsAny(id, "/?#%") {
		return ""
	}
	for _, c := range id {
		if c <= ' ' || c == 0x7f {
			return ""
		}
	}
	return id
}
