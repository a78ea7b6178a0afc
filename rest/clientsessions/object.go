package clientsessions

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
)

// enveloped is the envelope of responses with a session or a client.
type enveloped struct {
	Response any     `json:"response"`
	Client   *client `json:"client"`
}

// session is the object of that name. Every member is always present, because clients break without some of them.
type session struct {
	Object                   string          `json:"object"`
	ID                       string          `json:"id"`
	Status                   string          `json:"status"`
	ExpireAt                 int64           `json:"expire_at"`
	AbandonAt                int64           `json:"abandon_at"`
	LastActiveAt             int64           `json:"last_active_at"`
	LastActiveToken          *token          `json:"last_active_token"`
	Actor                    *struct{}       `json:"actor"`
	Tasks                    []task          `json:"tasks"`
	LastActiveOrganizationID *string         `json:"last_active_organization_id"`
	User                     *user           `json:"user,omitempty"`
	LatestActivity           *activity       `json:"latest_activity,omitempty"`
	PublicUserData           *publicUserData `json:"public_user_data"`
	FactorVerificationAge    []int           `json:"factor_verification_age"`
	CreatedAt                int64           `json:"created_at"`
	UpdatedAt                int64           `json:"updated_at"`
}

type token struct {
	Object string `json:"object"`
	JWT    string `json:"jwt"`
}

type task struct {
	Key string `json:"key"`
}

// activity is the device and address of a sign-in; the list of a customer's own sessions contains it.
type activity struct {
	Object         string  `json:"object"`
	ID             string  `json:"id"`
	DeviceType     *string `json:"device_type"`
	IsMobile       bool    `json:"is_mobile"`
	BrowserName    *string `json:"browser_name"`
	BrowserVersion *string `json:"browser_version"`
	IPAddress      *string `json:"ip_address"`
	City           *string `json:"city"`
	Country        *string `json:"country"`
}

type publicUserData struct {
	FirstName       *string `json:"first_name"`
	LastName        *string `json:"last_name"`
	ImageURL        *string `json:"image_url"`
	HasImage        bool    `json:"has_image"`
	Identifier      string  `json:"identifier"`
	UserID          *string `json:"user_id"`
	Username        *string `json:"username"`
	ProfileImageURL *string `json:"profile_image_url"`
	Banned          bool    `json:"banned"`
	Deprovisioned   bool    `json:"deprovisioned"`
}

type user struct {
	Object                        string           `json:"object"`
	ID                            string           `json:"id"`
	Username                      *string          `json:"username"`
	FirstName                     *string          `json:"first_name"`
	LastName                      *string          `json:"last_name"`
	ImageURL                      string           `json:"image_url"`
	HasImage                      bool             `json:"has_image"`
	PrimaryEmailAddressID         *string          `json:"primary_email_address_id"`
	PrimaryPhoneNumberID          *string          `json:"primary_phone_number_id"`
	PrimaryWeb3WalletID           *string          `json:"primary_web3_wallet_id"`
	PasswordEnabled               bool             `json:"password_enabled"`
	TwoFactorEnabled              bool             `json:"two_factor_enabled"`
	TOTPEnabled                   bool             `json:"totp_enabled"`
	BackupCodeEnabled             bool             `json:"backup_code_enabled"`
	EmailAddresses                []identification `json:"email_addresses"`
	PhoneNumbers                  []identification `json:"phone_numbers"`
	Web3Wallets                   []struct{}       `json:"web3_wallets"`
	Passkeys                      []struct{}       `json:"passkeys"`
	ExternalAccounts              []struct{}       `json:"external_accounts"`
	SAMLAccounts                  []struct{}       `json:"saml_accounts"`
	EnterpriseAccounts            []struct{}       `json:"enterprise_accounts"`
	OrganizationMemberships       []struct{}       `json:"organization_memberships"`
	PublicMetadata                struct{}         `json:"public_metadata"`
	UnsafeMetadata                struct{}         `json:"unsafe_metadata"`
	ExternalID                    *string          `json:"external_id"`
	LastSignInAt                  *int64           `json:"last_sign_in_at"`
	Banned                        bool             `json:"banned"`
	Locked                        bool             `json:"locked"`
	LockoutExpiresInSeconds       *int             `json:"lockout_expires_in_seconds"`
	VerificationAttemptsRemaining *int             `json:"verification_attempts_remaining"`
	CreatedAt                     int64            `json:"created_at"`
	UpdatedAt                     int64            `json:"updated_at"`
	DeleteSelfEnabled             bool             `json:"delete_self_enabled"`
	CreateOrganizationEnabled     bool             `json:"create_organization_enabled"`
	CreateOrganizationsLimit      int              `json:"create_organizations_limit"`
	LastActiveAt                  *int64           `json:"last_active_at"`
	MFAEnabledAt                  *int64           `json:"mfa_enabled_at"`
	MFADisabledAt                 *int64           `json:"mfa_disabled_at"`
	PasswordLastUpdatedAt         *int64           `json:"password_last_updated_at"`
	LegalAcceptedAt               *int64           `json:"legal_accepted_at"`
}

// identification is an e-mail address or a phone number.
type identification struct {
	ID                      string       `json:"id"`
	Object                  string       `json:"object"`
	EmailAddress            string       `json:"email_address,omitempty"`
	PhoneNumber             string       `json:"phone_number,omitempty"`
	Reserved                bool         `json:"reserved"`
	ReservedForSecondFactor *bool        `json:"reserved_for_second_factor,omitempty"`
	DefaultSecondFactor     *bool        `json:"default_second_factor,omitempty"`
	Verification            verification `json:"verification"`
	LinkedTo                []struct{}   `json:"linked_to"`
	BackupCodes             *[]string    `json:"backup_codes,omitempty"`
	CreatedAt               int64        `json:"created_at"`
	UpdatedAt               int64        `json:"updated_at"`
}

// verification is the verification of an address. It is never null: clients read the status of every address.
type verification struct {
	Status   string `json:"status"`
	Strategy string `json:"strategy"`
	Attempts *int   `json:"attempts"`
	ExpireAt *int64 `json:"expire_at"`
}

type client struct {
	Object                     string    `json:"object"`
	ID                         string    `json:"id"`
	Sessions                   []session `json:"sessions"`
	SignIn                     *struct{} `json:"sign_in"`
	SignUp                     *struct{} `json:"sign_up"`
	LastActiveSessionID        *string   `json:"last_active_session_id"`
	LastAuthenticationStrategy *string   `json:"last_authentication_strategy"`
	CookieExpiresAt            *int64    `json:"cookie_expires_at"`
	CaptchaBypass              bool      `json:"captcha_bypass"`
	CreatedAt                  int64     `json:"created_at"`
	UpdatedAt                  int64     `json:"updated_at"`
}

// about returns a session with the current client. After a touch the session and its copy in the client
// carry the same new token.
func (a *api) about(c *call, r *domain.Session, fresh bool) (enveloped, error) {
	if fresh {
		if _, err := a.tokens.of(c.Context(), r, c.caller.origin, true); err != nil {
			return enveloped{}, err
		}
	}
	shown, err := a.session(c, r, true)
	if err != nil {
		return enveloped{}, err
	}
	client, err := a.client(c)
	return enveloped{Response: shown, Client: client}, err
}

// client returns the calling client with the sessions that it lists.
func (a *api) client(c *call) (*client, error) {
	record, listed, err := a.Service.ClientSessions(c.Context(), c.clientID())
	if err != nil {
		return nil, err
	}
	out := &client{
		Object: "client", ID: record.ID, Sessions: make([]session, 0, len(listed)), LastActiveSessionID: record.LastActiveSessionID,
		CreatedAt: record.CreatedAt.UnixMilli(), UpdatedAt: record.UpdatedAt.UnixMilli(),
	}
	for _, r := range listed {
		one, err := a.session(c, r, true)
		if err != nil {
			return nil, err
		}
		out.Sessions = append(out.Sessions, *one)
	}
	return out, nil
}

// session returns the object of a session. A live session of the calling client (own) has a token; one of another
// client has none, because its token belongs to that client.
func (a *api) session(c *call, r *domain.Session, own bool) (*session, error) {
	customer, err := a.customer(c, r.UserID)
	if err != nil {
		return nil, err
	}
	updated := r.UpdatedAt
	if r.LastActiveAt.After(updated) {
		updated = r.LastActiveAt
	}
	out := &session{
		Object: "session", ID: r.ID, Status: string(r.State),
		ExpireAt: r.ExpireAt.UnixMilli(), AbandonAt: r.AbandonAt.UnixMilli(), LastActiveAt: r.LastActiveAt.UnixMilli(),
		LastActiveOrganizationID: r.OrganizationID, PublicUserData: publicUserDataOf(r.UserID, customer),
		FactorVerificationAge: r.FactorAge(a.Now()), CreatedAt: r.CreatedAt.UnixMilli(), UpdatedAt: updated.UnixMilli(),
	}
	if r.State == domain.SessionPending {
		for _, key := range r.Tasks {
			out.Tasks = append(out.Tasks, task{key})
		}
	}
	if !own {
		out.LatestActivity = activityOf(r)
		return out, nil
	}
	out.User = a.user(r, customer)
	if r.State.Live() {
		jwt, err := a.tokens.of(c.Context(), r, c.caller.origin, false)
		if err != nil {
			return nil, err
		}
		out.LastActiveToken = &token{"token", jwt}
	}
	return out, nil
}

// customer reads a customer from the directory, once per request; nil if there is none.
func (a *api) customer(c *call, id string) (*domain.Customer, error) {
	if known, ok := c.people[id]; ok {
		return known, nil
	}
	known, err := a.Service.Directory.Customer(c.Context(), id)
	if errors.Is(err, domain.ErrMissing) {
		known, err = nil, nil
	}
	if err == nil {
		c.people[id] = known
	}
	return known, err
}

func publicUserDataOf(id string, c *domain.Customer) *publicUserData {
	out := &publicUserData{Identifier: id, UserID: &id}
	if c == nil {
		return out
	}
	out.Username = some(c.Username)
	for _, name := range []string{c.Phone, c.Username, c.Email} {
		if name != "" {
			out.Identifier = name // the last one is the most familiar to the customer
		}
	}
	return out
}

// user returns the customer with the data of the directory. All other members are null or empty.
func (a *api) user(r *domain.Session, c *domain.Customer) *user {
	made := r.CreatedAt.UnixMilli()
	out := &user{
		Object: "user", ID: r.UserID, EmailAddresses: []identification{}, PhoneNumbers: []identification{},
		Web3Wallets: []struct{}{}, Passkeys: []struct{}{}, ExternalAccounts: []struct{}{}, SAMLAccounts: []struct{}{},
		EnterpriseAccounts: []struct{}{}, OrganizationMemberships: []struct{}{}, CreatedAt: made, UpdatedAt: made,
	}
	if c == nil {
		return out
	}
	out.Username, out.PasswordEnabled = some(c.Username), c.PasswordHash != ""
	out.CreatedAt, out.UpdatedAt = c.CreatedAt.UnixMilli(), c.UpdatedAt.UnixMilli()
	if c.Email != "" {
		one := a.identification(c, "email_address", c.Email, c.EmailVerified)
		one.EmailAddress = c.Email
		out.EmailAddresses, out.PrimaryEmailAddressID = []identification{one}, &one.ID
	}
	if c.Phone != "" {
		no := false
		one := a.identification(c, "phone_number", c.Phone, c.PhoneVerified)
		one.PhoneNumber, one.ReservedForSecondFactor, one.DefaultSecondFactor, one.BackupCodes = c.Phone, &no, &no, &[]string{}
		out.PhoneNumbers, out.PrimaryPhoneNumberID = []identification{one}, &one.ID
	}
	return out
}

// identification returns an address with an id that is the same for the same address.
func (a *api) identification(c *domain.Customer, object, address string, verified bool) identification {
	const size = 15
	sum := a.Service.KeyedHash("identification id", c.ID, object, address)
	out := identification{
		ID: "idn_" + hex.EncodeToString(sum[:min(size, len(sum))]), Object: object, LinkedTo: []struct{}{},
		Verification: verification{Status: "unverified", Strategy: "admin"},
		CreatedAt:    c.CreatedAt.UnixMilli(), UpdatedAt: c.UpdatedAt.UnixMilli(),
	}
	if verified {
		out.Verification.Status = "verified"
	}
	return out
}

// activityOf returns the data of the login that can be derived from its user agent.
func activityOf(r *domain.Session) *activity {
	out := &activity{Object: "session_activity", ID: strings.Replace(r.ID, "sess_", "sess_activity_", 1), IPAddress: r.IPAddress}
	if device := r.Device(); device != nil {
		browser, system, both := strings.Cut(*device, " on ")
		out.BrowserName = &browser
		if both {
			out.DeviceType = &system
			out.IsMobile = system == "iPhone" || system == "iPad" || system == "Android"
		}
	}
	return out
}

func some(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
