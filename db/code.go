package db

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// emailVerificationRow is a verification of an address at rest. The address is sealed; of the token there is a hash.
type emailVerificationRow struct {
	bun.BaseModel `bun:"table:email_verifications"`

	ID         string `bun:"id,pk"`
	Version    int    `bun:"version"`
	CreatedAt  int64  `bun:"created_at"`
	UpdatedAt  int64  `bun:"updated_at"`
	State      string `bun:"state"`
	CustomerID string `bun:"customer_id"`
	Address    []byte `bun:"address"`
	TokenHash  string `bun:"token_hash"`
	ExpiresAt  int64  `bun:"expires_at"`
	VerifiedAt *int64 `bun:"verified_at"`
}

const emailVerificationsTable = "email_verifications"

func emailVerificationRowOf(keys *seal.Keyring, r *domain.EmailVerification) (*emailVerificationRow, error) {
	s := sealer{keys: keys, table: emailVerificationsTable, id: r.ID}
	row := &emailVerificationRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		CustomerID: r.CustomerID, Address: s.seal("address", &r.Address), TokenHash: r.TokenHash,
		ExpiresAt: micros(r.ExpiresAt), VerifiedAt: microsOf(r.VerifiedAt),
	}
	return row, s.err
}

func emailVerificationRecord(keys *seal.Keyring, row *emailVerificationRow) (*domain.EmailVerification, error) {
	s := sealer{keys: keys, table: emailVerificationsTable, id: row.ID}
	r := &domain.EmailVerification{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.EmailVerificationState(row.State), CustomerID: row.CustomerID, Address: s.text("address", row.Address),
		TokenHash: row.TokenHash, ExpiresAt: instant(row.ExpiresAt), VerifiedAt: instantOf(row.VerifiedAt),
	}
	return r, s.err
}

// EmailVerifications is the shelf of verifications of addresses.
func (d *DB) EmailVerifications() domain.Shelf[domain.EmailVerification] {
	return &shelf[domain.EmailVerification, emailVerificationRow]{
		db: d, table: tableOf[emailVerificationRow](d), schema: domain.EmailVerificationSchema, read: domain.EmailVerificationValue,
		record: emailVerificationRecord, due: []deadline{{at: "expires_at", where: "state = 'pending'", index: "email_verifications_due"}},
		columns: map[string]column{
			"_id": {name: "id"}, "state": {name: "state"}, "customerId": {name: "customer_id"}, "tokenHash": {name: "token_hash"},
			"createdAt": {name: "created_at"},
		},
	}
}

// phoneVerificationRow is a verification of a number at rest. The number is sealed; of the code there is a hash.
type phoneVerificationRow struct {
	bun.BaseModel `bun:"table:phone_verifications"`

	ID         string `bun:"id,pk"`
	Version    int    `bun:"version"`
	CreatedAt  int64  `bun:"created_at"`
	UpdatedAt  int64  `bun:"updated_at"`
	State      string `bun:"state"`
	CustomerID string `bun:"customer_id"`
	Number     []byte `bun:"number"`
	CodeHash   string `bun:"code_hash"`
	Attempts   int    `bun:"attempts"`
	ExpiresAt  int64  `bun:"expires_at"`
	VerifiedAt *int64 `bun:"verified_at"`
}

const phoneVerificationsTable = "phone_verifications"

func phoneVerificationRowOf(keys *seal.Keyring, r *domain.PhoneVerification) (*phoneVerificationRow, error) {
	s := sealer{keys: keys, table: phoneVerificationsTable, id: r.ID}
	row := &phoneVerificationRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		CustomerID: r.CustomerID, Number: s.seal("number", &r.Number), CodeHash: r.CodeHash, Attempts: r.Attempts,
		ExpiresAt: micros(r.ExpiresAt), VerifiedAt: microsOf(r.VerifiedAt),
	}
	return row, s.err
}

func phoneVerificationRecord(keys *seal.Keyring, row *phoneVerificationRow) (*domain.PhoneVerification, error) {
	s := sealer{keys: keys, table: phoneVerificationsTable, id: row.ID}
	r := &domain.PhoneVerification{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.PhoneVerificationState(row.State), CustomerID: row.CustomerID, Number: s.text("number", row.Number),
		CodeHash: row.CodeHash, Attempts: row.Attempts, ExpiresAt: instant(row.ExpiresAt), VerifiedAt: instantOf(row.VerifiedAt),
	}
	return r, s.err
}

// PhoneVerifications is the shelf of verifications of numbers.
func (d *DB) PhoneVerifications() domain.Shelf[domain.PhoneVerification] {
	return &shelf[domain.PhoneVerification, phoneVerificationRow]{
		db: d, table: tableOf[phoneVerificationRow](d), schema: domain.PhoneVerificationSchema, read: domain.PhoneVerificationValue,
		record: phoneVerificationRecord, due: []deadline{{at: "expires_at", where: "state = 'pending'", index: "phone_verifications_due"}},
		columns: map[string]column{
			"_id": {name: "id"}, "state": {name: "state"}, "customerId": {name: "customer_id"}, "createdAt": {name: "created_at"},
		},
	}
}

// deviceRow is a device at rest. Its name is sealed.
type deviceRow struct {
	bun.BaseModel `bun:"table:devices"`

	ID          string `bun:"id,pk"`
	Version     int    `bun:"version"`
	CreatedAt   int64  `bun:"created_at"`
	UpdatedAt   int64  `bun:"updated_at"`
	State       string `bun:"state"`
	CustomerID  string `bun:"customer_id"`
	Name        []byte `bun:"name"`
	PublicKey   []byte `bun:"public_key"`
	Fingerprint string `bun:"fingerprint"`
	Algorithm   string `bun:"algorithm"`
	RevokedAt   *int64 `bun:"revoked_at"`
}

const devicesTable = "devices"

func deviceRowOf(keys *seal.Keyring, r *domain.Device) (*deviceRow, error) {
	s := sealer{keys: keys, table: devicesTable, id: r.ID}
	row := &deviceRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		CustomerID: r.CustomerID, Name: s.seal("name", r.Name), PublicKey: r.PublicKey, Fingerprint: r.Fingerprint,
		Algorithm: string(r.Algorithm), RevokedAt: microsOf(r.RevokedAt),
	}
	return row, s.err
}

func deviceRecord(keys *seal.Keyring, row *deviceRow) (*domain.Device, error) {
	s := sealer{keys: keys, table: devicesTable, id: row.ID}
	r := &domain.Device{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.DeviceState(row.State), CustomerID: row.CustomerID, Name: s.open("name", row.Name), PublicKey: row.PublicKey,
		Fingerprint: row.Fingerprint, Algorithm: domain.KeyAlgorithm(row.Algorithm), RevokedAt: instantOf(row.RevokedAt),
	}
	return r, s.err
}

// Devices is the shelf of devices.
func (d *DB) Devices() domain.Shelf[domain.Device] {
	return &shelf[domain.Device, deviceRow]{
		db: d, table: tableOf[deviceRow](d), schema: domain.DeviceSchema, read: domain.DeviceValue, record: deviceRecord,
		columns: map[string]column{
			"_id": {name: "id"}, "state": {name: "state"}, "customerId": {name: "customer_id"}, "fingerprint": {name: "fingerprint"},
			"createdAt": {name: "created_at"},
		},
	}
}

// importDevice adds a device, or replaces the one of its id. One that was revoked stays so, and no customer gets one
// key twice.
func (d *DB) importDevice(keys *seal.Keyring, r *domain.Device) ([]step, error) {
	row, err := deviceRowOf(keys, r)
	return []step{
		{
			text: "UPDATE devices SET customer_id = ?, public_key = ?, fingerprint = ?, algorithm = ?, version = version + 1, updated_at = ? " +
				"WHERE id = ? AND state = 'registered' AND (customer_id <> ? OR fingerprint <> ?) AND NOT EXISTS " +
				"(SELECT 1 FROM devices AS o WHERE o.customer_id = ? AND o.fingerprint = ? AND o.state = 'registered')",
			args: []any{
				row.CustomerID, row.PublicKey, row.Fingerprint, row.Algorithm, row.UpdatedAt, row.ID, row.CustomerID, row.Fingerprint,
				row.CustomerID, row.Fingerprint,
			},
		},
		tableOf[deviceRow](d).inserting(row, nil),
	}, err
}

// twoFactorRequestRow is a request at rest. The statement is sealed.
type twoFactorRequestRow struct {
	bun.BaseModel `bun:"table:two_factor_requests"`

	ID              string  `bun:"id,pk"`
	Version         int     `bun:"version"`
	CreatedAt       int64   `bun:"created_at"`
	UpdatedAt       int64   `bun:"updated_at"`
	State           string  `bun:"state"`
	CustomerID      string  `bun:"customer_id"`
	ClientID        string  `bun:"client_id"`
	Statement       []byte  `bun:"statement"`
	StatementSigned bool    `bun:"statement_signed"`
	ExpiresAt       int64   `bun:"expires_at"`
	DecidedAt       *int64  `bun:"decided_at"`
	DecidedBy       *string `bun:"decided_by"`
}

const twoFactorRequestsTable = "two_factor_requests"

func twoFactorRequestRowOf(keys *seal.Keyring, r *domain.TwoFactorRequest) (*twoFactorRequestRow, error) {
	s := sealer{keys: keys, table: twoFactorRequestsTable, id: r.ID}
	row := &twoFactorRequestRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), State: string(r.State),
		CustomerID: r.CustomerID, ClientID: r.ClientID, Statement: s.seal("statement", &r.Statement), StatementSigned: r.StatementSigned,
		ExpiresAt: micros(r.ExpiresAt), DecidedAt: microsOf(r.DecidedAt), DecidedBy: r.DecidedBy,
	}
	return row, s.err
}

func twoFactorRequestRecord(keys *seal.Keyring, row *twoFactorRequestRow) (*domain.TwoFactorRequest, error) {
	s := sealer{keys: keys, table: twoFactorRequestsTable, id: row.ID}
	r := &domain.TwoFactorRequest{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.TwoFactorRequestState(row.State), CustomerID: row.CustomerID, ClientID: row.ClientID,
		Statement: s.text("statement", row.Statement), StatementSigned: row.StatementSigned, ExpiresAt: instant(row.ExpiresAt),
		DecidedAt: instantOf(row.DecidedAt), DecidedBy: row.DecidedBy,
	}
	return r, s.err
}

// TwoFactorRequests is the shelf of two-factor requests.
func (d *DB) TwoFactorRequests() domain.Shelf[domain.TwoFactorRequest] {
	return &shelf[domain.TwoFactorRequest, twoFactorRequestRow]{
		db: d, table: tableOf[twoFactorRequestRow](d), schema: domain.TwoFactorRequestSchema, read: domain.TwoFactorRequestValue,
		record: twoFactorRequestRecord, due: []deadline{{at: "expires_at", where: "state = 'pending'", index: "two_factor_requests_due"}},
		columns: map[string]column{
			"_id": {name: "id"}, "state": {name: "state"}, "customerId": {name: "customer_id"}, "clientId": {name: "client_id"},
			"createdAt": {name: "created_at"}, "updatedAt": {name: "updated_at"}, "expiresAt": {name: "expires_at"},
		},
	}
}

// codeChange writes a row of what proves addresses, numbers and devices.
func (d *DB) codeChange(keys *seal.Keyring, c domain.Change) ([]step, error) {
	switch r := c.Record.(type) {
	case *domain.EmailVerification:
		row, err := emailVerificationRowOf(keys, r)
		return changing(tableOf[emailVerificationRow](d), row, r.ID, c), err
	case *domain.PhoneVerification:
		row, err := phoneVerificationRowOf(keys, r)
		return changing(tableOf[phoneVerificationRow](d), row, r.ID, c), err
	case *domain.Device:
		row, err := deviceRowOf(keys, r)
		return changing(tableOf[deviceRow](d), row, r.ID, c), err
	case *domain.TwoFactorRequest:
		row, err := twoFactorRequestRowOf(keys, r)
		return changing(tableOf[twoFactorRequestRow](d), row, r.ID, c), err
	case *domain.DeviceChallenge:
		return d.newChallenge(r), nil
	}
	return nil, fmt.Errorf("db: records of type %T have no table", c.Record)
}

// challengeRow is a challenge at rest.
type challengeRow struct {
	bun.BaseModel `bun:"table:device_challenges"`

	ID           string `bun:"id,pk"`
	CreatedAt    int64  `bun:"created_at"`
	CustomerID   string `bun:"customer_id"`
	DeviceID     string `bun:"device_id"`
	UsernameHash []byte `bun:"username_hash"`
	ExpiresAt    int64  `bun:"expires_at"`
	UsedAt       *int64 `bun:"used_at"`
	UsedBy       []byte `bun:"used_by"`
}

func (row *challengeRow) record() *domain.DeviceChallenge {
	return &domain.DeviceChallenge{
		ID: row.ID, CustomerID: row.CustomerID, DeviceID: row.DeviceID, UsernameHash: row.UsernameHash,
		CreatedAt: instant(row.CreatedAt), ExpiresAt: instant(row.ExpiresAt), UsedAt: instantOf(row.UsedAt),
	}
}

// dropText ends the oldest open challenges of a device beyond so many, the new one not counted.
const dropText = `DELETE FROM device_challenges WHERE device_id = ? AND used_at IS NULL AND id <> ? AND id NOT IN (
  SELECT id FROM device_challenges WHERE device_id = ? AND used_at IS NULL AND expires_at > ? AND id <> ? ORDER BY created_at DESC, id DESC LIMIT ?)`

// newChallenge adds a challenge. The device's row is locked first, so that two at once do not make one too many, and
// none is made for a device that is being revoked.
func (d *DB) newChallenge(r *domain.DeviceChallenge) []step {
	row := &challengeRow{
		ID: r.ID, CreatedAt: micros(r.CreatedAt), CustomerID: r.CustomerID, DeviceID: r.DeviceID, UsernameHash: r.UsernameHash,
		ExpiresAt: micros(r.ExpiresAt),
	}
	return []step{
		{text: "UPDATE devices SET version = version WHERE id = ? AND state = 'registered'", args: []any{r.DeviceID}, miss: domain.ErrStale},
		tableOf[challengeRow](d).inserting(row, domain.ErrStale),
		{text: dropText, args: []any{r.DeviceID, r.ID, r.DeviceID, micros(r.CreatedAt), r.ID, r.OpenChallenges() - 1}},
	}
}

// Challenge finds a challenge.
func (d *DB) Challenge(ctx context.Context, id string) (*domain.DeviceChallenge, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	var rows []challengeRow
	if err := d.query(ctx, &rows, "SELECT "+tableOf[challengeRow](d).columns+" FROM device_challenges WHERE id = ?", id); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, domain.ErrMissing
	}
	return rows[0].record(), nil
}

// UseChallenge marks a challenge as used. The same call, known by its idempotency key and input, may use it again.
func (d *DB) UseChallenge(ctx context.Context, use domain.ChallengeUse) (*domain.DeviceChallenge, error) {
	if !storable(use.ID) {
		return nil, domain.ErrMissing
	}
	by := use.By
	if by == nil {
		by = []byte{} // equal to none that is stored
	}
	var rows []challengeRow
	err := d.writeOne(ctx, &rows, "UPDATE device_challenges SET used_at = COALESCE(used_at, ?), used_by = COALESCE(used_by, ?) "+
		"WHERE id = ? AND customer_id = ? AND username_hash = ? AND expires_at > ? AND (used_at IS NULL OR used_by = ? AND length(used_by) > 0) "+
		"RETURNING "+tableOf[challengeRow](d).columns,
		micros(use.At), by, use.ID, use.CustomerID, use.UsernameHash, micros(use.At), by)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, domain.ErrMissing
	}
	return rows[0].record(), nil
}

// Delivery finds how the newest message about each of the records goes.
func (d *DB) Delivery(ctx context.Context, subjectIDs []string) (map[string]domain.MessageState, error) {
	out := map[string]domain.MessageState{}
	for _, some := range chunks(subjectIDs) {
		var rows []struct {
			SubjectID string `bun:"subject_id"`
			State     string `bun:"state"`
		}
		text := fmt.Sprintf("SELECT subject_id, state FROM messages WHERE subject_id IN (%s) ORDER BY created_at, id", marks(len(some)))
		if err := d.search(ctx, &rows, text, anys(some)...); err != nil {
			return nil, err
		}
		for _, r := range rows {
			out[r.SubjectID] = domain.MessageState(r.State)
		}
	}
	return out, nil
}

// Application finds an application.
func (d *DB) Application(ctx context.Context, id string) (*domain.Application, error) {
	factors, err := d.secondFactors(ctx, "SELECT second_factors FROM applications WHERE id = ?", id)
	if err != nil {
		return nil, err
	}
	return &domain.Application{ID: id, SecondFactors: factors}, nil
}

// Jurisdiction finds a jurisdiction.
func (d *DB) Jurisdiction(ctx context.Context, id string) (*domain.Jurisdiction, error) {
	factors, err := d.secondFactors(ctx, "SELECT second_factors FROM jurisdictions WHERE id = ?", id)
	if err != nil {
		return nil, err
	}
	return &domain.Jurisdiction{ID: id, SecondFactors: factors}, nil
}

func (d *DB) secondFactors(ctx context.Context, text, id string) ([]domain.SecondFactor, error) {
	if !storable(id) {
		return nil, domain.ErrMissing
	}
	var rows []struct {
		SecondFactors *string `bun:"second_factors"`
	}
	if err := d.query(ctx, &rows, text, id); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, domain.ErrMissing
	}
	if rows[0].SecondFactors == nil {
		return nil, nil
	}
	out := []domain.SecondFactor{} // an empty policy is a policy
	for _, f := range strings.Fields(*rows[0].SecondFactors) {
		out = append(out, domain.SecondFactor(f))
	}
	return out, nil
}

// importPolicy adds the policy of an application or a jurisdiction, or replaces it.
func importPolicy(table, id string, factors []domain.SecondFactor) step {
	var words any
	if factors != nil {
		texts := make([]string, len(factors))
		for i, f := range factors {
			texts[i] = string(f)
		}
		slices.Sort(texts)
		words = strings.Join(texts, " ")
	}
	return step{
		text: "INSERT INTO " + table + " (id, second_factors) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET second_factors = excluded.second_factors",
		args: []any{id, words},
	}
}

// importCode writes a device or a policy.
func (d *DB) importCode(keys *seal.Keyring, record any) ([]step, error) {
	switch r := record.(type) {
	case *domain.Device:
		return d.importDevice(keys, r)
	case *domain.Application:
		return []step{importPolicy("applications", r.ID, r.SecondFactors)}, nil
	case *domain.Jurisdiction:
		return []step{importPolicy("jurisdictions", r.ID, r.SecondFactors)}, nil
	}
	return nil, fmt.Errorf("db: records of type %T are not imported", record)
}

// microsOf is micros of a time that may be missing.
func microsOf(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	us := micros(*t)
	return &us
}

// instantOf is instant of a time that may be missing.
func instantOf(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	t := instant(*us)
	return &t
}

// peekText reads what takeText has counted.
const peekText = "SELECT window_start, count, blocked_until FROM limits WHERE key = ?"

// Peek says whether the rate leaves a call of the key. It counts nothing.
func (d *DB) Peek(ctx context.Context, key []byte, rate domain.Rate) (bool, time.Time, error) {
	now := d.options.Now().UTC().Truncate(time.Microsecond)
	var rows []struct {
		WindowStart  int64 `bun:"window_start"`
		Count        int   `bun:"count"`
		BlockedUntil int64 `bun:"blocked_until"`
	}
	if err := d.query(ctx, &rows, peekText, key); err != nil {
		return false, time.Time{}, err
	}
	if len(rows) == 0 {
		return rate.Limit > 0, now.Add(rate.Per), nil
	}
	if until := instant(rows[0].BlockedUntil); until.After(now) {
		return false, until, nil
	}
	if until := instant(rows[0].WindowStart).Add(rate.Per); rows[0].Count >= rate.Limit && until.After(now) {
		return false, until, nil
	}
	return true, time.Time{}, nil
}
