package domain

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// TargetKind is what an invitation leads to.
type TargetKind string

// The targets.
const (
	TargetAccount      TargetKind = "account"
	TargetOrganization TargetKind = "organization"
)

// Directory is what the bank already knows: accounts, organisations and who has a part in them. The one that
// comes with Gatehouse is imported; a bank's own can stand behind the same methods.
type Directory interface {
	// Account finds an account; ErrMissing where there is none.
	Account(ctx context.Context, id string) (*Account, error)
	// Organization finds an organisation; ErrMissing where there is none.
	Organization(ctx context.Context, id string) (*Organization, error)
	// PartOf lists the ids of the accounts the user owns and of the organisations the user owns or signs for.
	PartOf(ctx context.Context, userID string) (accounts, organizations []string, err error)
	// Customer finds a customer by the subject of its tokens; ErrMissing where there is none.
	Customer(ctx context.Context, id string) (*Customer, error)
	Policies
}

// Customer is a person as the bank knows it. All of it is personal data.
type Customer struct {
	ID                           string
	Username, Email, Phone       string
	EmailVerified, PhoneVerified bool
	// PINHash and PasswordHash are slow hashes; empty where the customer has none.
	PINHash, PasswordHash string
	Jurisdiction          string
	CreatedAt, UpdatedAt  time.Time
}

// Account is a banking account.
type Account struct {
	ID                 string
	JointOwnersEnabled bool
	// MaxOwners is nil where there is no limit.
	MaxOwners *int
	Owners    []string
}

// Organization is a business customer.
type Organization struct {
	ID      string
	Owners  []string
	Signers []string
}

// Paths of the two collections (Invitations, validation on create).
const (
	accountsPath      = "/accounts/accounts/"
	organizationsPath = "/organizations/organizations/"
)

// relative turns an absolute URI of our own host into the path, and leaves everything else as it is.
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

// target reads the id out of a URI of a collection; empty where the URI is none of it.
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
