package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/seal"
)

// sealJSON seals a value as JSON.
func (s *sealer) sealJSON(column string, v any) []byte {
	if s.err != nil {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		s.err = err
		return nil
	}
	out := string(text)
	return s.seal(column, &out)
}

// openJSON opens a value that was sealed as JSON; what is not there leaves the value as it is.
func (s *sealer) openJSON(column string, v []byte, into any) {
	text := s.open(column, v)
	if text == nil || s.err != nil {
		return
	}
	s.err = json.Unmarshal([]byte(*text), into)
}

// contactRow is a contact at rest: the identity sealed, with blind indexes of what it is found by.
type contactRow struct {
	bun.BaseModel `bun:"table:contacts"`

	ID         string  `bun:"id,pk"`
	Version    int     `bun:"version"`
	CreatedAt  int64   `bun:"created_at"`
	UpdatedAt  int64   `bun:"updated_at"`
	State      string  `bun:"state"`
	Identity   []byte  `bun:"identity"`
	TaxIDIndex []byte  `bun:"tax_id_index"`
	EmailIndex []byte  `bun:"email_index"`
	UserID     *string `bun:"user_id"`
	CreatedBy  *string `bun:"created_by"`
	// Fingerprint is a keyed hash of what was imported: the same again changes nothing.
	Fingerprint []byte `bun:"fingerprint"`
}

const contactsTable = "contacts"

func contactTaxIDIndex(keys *seal.Keyring, taxID string) []byte {
	return keys.Index(contactsTable, "tax_id", risk.FoldTaxID(taxID))
}

func contactEmailIndex(keys *seal.Keyring, email string) []byte {
	return keys.Index(contactsTable, "email", listing.Fold(email))
}

func indexOf(index func(*seal.Keyring, string) []byte, keys *seal.Keyring, v *string) []byte {
	if v == nil {
		return nil
	}
	return index(keys, *v)
}

// fingerprint is a keyed hash of values.
func fingerprint(keys *seal.Keyring, purpose string, v ...any) ([]byte, error) {
	text, err := json.Marshal(v)
	return keys.KeyedHash(purpose, text), err
}

func contactRowOf(keys *seal.Keyring, c *domain.Contact) (*contactRow, error) {
	s := sealer{keys: keys, table: contactsTable, id: c.ID}
	row := &contactRow{
		ID: c.ID, Version: c.Version, CreatedAt: micros(c.CreatedAt), UpdatedAt: micros(c.UpdatedAt), State: string(c.State),
		Identity: s.sealJSON("identity", c.Of), TaxIDIndex: indexOf(contactTaxIDIndex, keys, c.Of.TaxID), EmailIndex: indexOf(contactEmailIndex, keys, c.Of.Email),
		UserID: c.UserID, CreatedBy: unlessEmpty(c.CreatedBy),
	}
	var err error
	row.Fingerprint, err = fingerprint(keys, "contact", c.Of, c.UserID)
	return row, errors.Join(s.err, err)
}

func contactRecord(keys *seal.Keyring, row *contactRow) (*domain.Contact, error) {
	s := sealer{keys: keys, table: contactsTable, id: row.ID}
	c := &domain.Contact{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.ContactState(row.State), UserID: row.UserID, CreatedBy: orEmpty(row.CreatedBy),
	}
	s.openJSON("identity", row.Identity, &c.Of)
	return c, s.err
}

// Contacts is the shelf of contacts.
func (d *DB) Contacts() domain.Shelf[domain.Contact] {
	return &shelf[domain.Contact, contactRow]{
		db: d, table: tableOf[contactRow](d), schema: domain.ContactSchema, read: domain.ContactValue,
		record: contactRecord, columns: contactColumns,
	}
}

var contactColumns = map[string]column{
	"_id":       {name: "id"},
	"userId":    {name: "user_id", null: true},
	"createdBy": {name: "created_by", null: true},
	"createdAt": {name: "created_at"},
	"updatedAt": {name: "updated_at"},
	"taxId":     {name: "tax_id_index", null: true, index: contactTaxIDIndex},
	"email":     {name: "email_index", null: true, index: contactEmailIndex},
}

// reportRow is a fraud-risk report at rest.
type reportRow struct {
	bun.BaseModel `bun:"table:fraud_risk_reports"`

	ID            string  `bun:"id,pk"`
	Version       int     `bun:"version"`
	CreatedAt     int64   `bun:"created_at"`
	UpdatedAt     int64   `bun:"updated_at"`
	Type          string  `bun:"type"`
	State         string  `bun:"state"`
	Identity      []byte  `bun:"identity"`
	Categories    []byte  `bun:"categories"`
	CreatedBy     string  `bun:"created_by"`
	ContactID     *string `bun:"contact_id"`
	ContactUserID *string `bun:"contact_user_id"`
	Vouches       bool    `bun:"vouches"`
	ExpiresAt     *int64  `bun:"expires_at"`
}

const reportsTable = "fraud_risk_reports"

func reportRowOf(keys *seal.Keyring, r *domain.FraudRiskReport) (*reportRow, error) {
	s := sealer{keys: keys, table: reportsTable, id: r.ID}
	return &reportRow{
		ID: r.ID, Version: r.Version, CreatedAt: micros(r.CreatedAt), UpdatedAt: micros(r.UpdatedAt), Type: string(domain.VerifiedByReport), State: string(r.State),
		Identity: s.sealJSON("identity", r.Inputs), Categories: s.sealJSON("categories", r.Categories), CreatedBy: r.CreatedBy,
		ContactID: r.ContactID, ContactUserID: r.ContactUserID, Vouches: r.Vouches,
	}, s.err
}

func reportRecord(keys *seal.Keyring, row *reportRow) (*domain.FraudRiskReport, error) {
	s := sealer{keys: keys, table: reportsTable, id: row.ID}
	r := &domain.FraudRiskReport{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.FraudRiskReportState(row.State), CreatedBy: row.CreatedBy, ContactID: row.ContactID, ContactUserID: row.ContactUserID, Vouches: row.Vouches,
	}
	s.openJSON("identity", row.Identity, &r.Inputs)
	s.openJSON("categories", row.Categories, &r.Categories)
	return r, s.err
}

// FraudRiskReports is the shelf of reports.
func (d *DB) FraudRiskReports() domain.Shelf[domain.FraudRiskReport] {
	return &shelf[domain.FraudRiskReport, reportRow]{
		db: d, table: tableOf[reportRow](d), schema: domain.FraudRiskReportSchema, read: domain.FraudRiskReportValue,
		record: reportRecord, columns: verificationColumns,
	}
}

// verificationColumns are those of reports and quizzes.
var verificationColumns = map[string]column{
	"_id":           {name: "id"},
	"type":          {name: "type"},
	"createdAt":     {name: "created_at"},
	"updatedAt":     {name: "updated_at"},
	"expiresAt":     {name: "expires_at", null: true},
	"outputs.state": {name: "state"},
	"createdBy":     {name: "created_by"},
	"contactId":     {name: "contact_id", null: true},
	"vouches":       {name: "vouches"},
	"askedAt":       {name: "asked_at", null: true},
	"person":        {name: "person"},
}

// quizRow is a quiz at rest: person, questions and answers sealed.
type quizRow struct {
	bun.BaseModel `bun:"table:quizzes"`

	ID            string  `bun:"id,pk"`
	Version       int     `bun:"version"`
	CreatedAt     int64   `bun:"created_at"`
	UpdatedAt     int64   `bun:"updated_at"`
	Type          string  `bun:"type"`
	State         string  `bun:"state"`
	Identity      []byte  `bun:"identity"`
	CreatedBy     string  `bun:"created_by"`
	ContactID     *string `bun:"contact_id"`
	ContactUserID *string `bun:"contact_user_id"`
	Vouches       bool    `bun:"vouches"`
	Person        string  `bun:"person"`
	ExpiresAt     int64   `bun:"expires_at"`
	AskedAt       *int64  `bun:"asked_at"`
	Questions     []byte  `bun:"questions"`
	QuestionCount int     `bun:"question_count"`
	Answers       []byte  `bun:"answers"`
	Late          bool    `bun:"late"`
}

const quizzesTable = "quizzes"

func quizRowOf(keys *seal.Keyring, q *domain.Quiz) (*quizRow, error) {
	s := sealer{keys: keys, table: quizzesTable, id: q.ID}
	row := &quizRow{
		ID: q.ID, Version: q.Version, CreatedAt: micros(q.CreatedAt), UpdatedAt: micros(q.UpdatedAt), Type: string(domain.VerifiedByQuiz), State: string(q.State),
		Identity: s.sealJSON("identity", q.Inputs), CreatedBy: q.CreatedBy, ContactID: q.ContactID, ContactUserID: q.ContactUserID, Vouches: q.Vouches,
		Person: domain.PersonWord(q.Person), ExpiresAt: micros(q.ExpiresAt), QuestionCount: q.QuestionCount, Late: q.Late,
	}
	if q.AskedAt != nil {
		row.AskedAt = maybeMicros(*q.AskedAt)
	}
	if q.Questions != nil {
		row.Questions = s.sealJSON("questions", q.Questions)
	}
	if q.Answers != nil {
		row.Answers = s.sealJSON("answers", q.Answers)
	}
	return row, s.err
}

func quizRecord(keys *seal.Keyring, row *quizRow) (*domain.Quiz, error) {
	s := sealer{keys: keys, table: quizzesTable, id: row.ID}
	q := &domain.Quiz{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.QuizState(row.State), CreatedBy: row.CreatedBy, ContactID: row.ContactID, ContactUserID: row.ContactUserID, Vouches: row.Vouches,
		ExpiresAt: instant(row.ExpiresAt), QuestionCount: row.QuestionCount, Late: row.Late,
	}
	if row.AskedAt != nil {
		at := instant(*row.AskedAt)
		q.AskedAt = &at
	}
	if _, err := fmt.Sscanf(row.Person, "%x", &q.Person); err != nil && row.Person != "" {
		return nil, err
	}
	s.openJSON("identity", row.Identity, &q.Inputs)
	s.openJSON("questions", row.Questions, &q.Questions)
	s.openJSON("answers", row.Answers, &q.Answers)
	return q, s.err
}

// Quizzes is the shelf of quizzes.
func (d *DB) Quizzes() domain.Shelf[domain.Quiz] {
	return &shelf[domain.Quiz, quizRow]{
		db: d, table: tableOf[quizRow](d), schema: domain.QuizSchema, read: domain.QuizValue,
		record: quizRecord, columns: verificationColumns,
		due: []deadline{{at: "expires_at", where: "state IN ('pending', 'asked')", index: "quizzes_open"}},
	}
}

// approvalRow is an approval at rest.
type approvalRow struct {
	bun.BaseModel `bun:"table:approvals"`

	ID            string  `bun:"id,pk"`
	Version       int     `bun:"version"`
	CreatedAt     int64   `bun:"created_at"`
	UpdatedAt     int64   `bun:"updated_at"`
	State         string  `bun:"state"`
	ContactID     string  `bun:"contact_id"`
	ContactUserID *string `bun:"contact_user_id"`
	Method        *string `bun:"method"`
	Reason        []byte  `bun:"reason"`
	ApprovedBy    string  `bun:"approved_by"`
}

const approvalsTable = "approvals"

func approvalRowOf(keys *seal.Keyring, a *domain.Approval) (*approvalRow, error) {
	s := sealer{keys: keys, table: approvalsTable, id: a.ID}
	row := &approvalRow{
		ID: a.ID, Version: a.Version, CreatedAt: micros(a.CreatedAt), UpdatedAt: micros(a.UpdatedAt), State: string(a.State),
		ContactID: a.ContactID, ContactUserID: a.ContactUserID, Reason: s.seal("reason", a.Reason), ApprovedBy: a.ApprovedBy,
	}
	if a.Method != nil {
		row.Method = unlessEmpty(string(*a.Method))
	}
	return row, s.err
}

func approvalRecord(keys *seal.Keyring, row *approvalRow) (*domain.Approval, error) {
	s := sealer{keys: keys, table: approvalsTable, id: row.ID}
	a := &domain.Approval{
		Meta:  domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State: domain.ApprovalState(row.State), ContactID: row.ContactID, ContactUserID: row.ContactUserID,
		Reason: s.open("reason", row.Reason), ApprovedBy: row.ApprovedBy,
	}
	if row.Method != nil {
		method := domain.VerificationType(*row.Method)
		a.Method = &method
	}
	return a, s.err
}

// Approvals is the shelf of approvals.
func (d *DB) Approvals() domain.Shelf[domain.Approval] {
	return &shelf[domain.Approval, approvalRow]{
		db: d, table: tableOf[approvalRow](d), schema: domain.ApprovalSchema, read: domain.ApprovalValue,
		record: approvalRecord, columns: map[string]column{
			"_id":        {name: "id"},
			"method":     {name: "method", null: true},
			"approvedBy": {name: "approved_by"},
			"contactId":  {name: "contact_id"},
			"createdAt":  {name: "created_at"},
		},
	}
}

// changeIdentity writes one row of this file; ok is false for records of other files.
func (d *DB) changeIdentity(keys *seal.Keyring, c domain.Change) (steps []step, ok bool, err error) {
	switch r := c.Record.(type) {
	case *domain.Contact:
		row, err := contactRowOf(keys, r)
		return changing(tableOf[contactRow](d), row, r.ID, c), true, err
	case *domain.FraudRiskReport:
		row, err := reportRowOf(keys, r)
		return changing(tableOf[reportRow](d), row, r.ID, c), true, err
	case *domain.Quiz:
		row, err := quizRowOf(keys, r)
		return changing(tableOf[quizRow](d), row, r.ID, c), true, err
	case *domain.Approval:
		row, err := approvalRowOf(keys, r)
		return changing(tableOf[approvalRow](d), row, r.ID, c), true, err
	}
	return nil, false, nil
}

// Turn reads how many units of a key were written.
func (d *DB) Turn(ctx context.Context, key []byte) (domain.Counter, error) {
	var taken []int64
	err := d.query(ctx, &taken, "SELECT taken FROM turns WHERE key = ?", key)
	t := domain.Counter{Key: key}
	if len(taken) > 0 {
		t.Was = taken[0]
	}
	return t, err
}

// turning takes a turn, unless another unit has.
func turning(t domain.Counter) step {
	return step{
		text: "INSERT INTO turns AS t (key, taken) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET taken = excluded.taken WHERE t.taken = ?",
		args: []any{t.Key, t.Was + 1, t.Was}, miss: domain.ErrStale,
	}
}

// recordRow is what the bank knows of a person, at rest.
type recordRow struct {
	bun.BaseModel `bun:"table:identity_records"`

	ID          string `bun:"id,pk"`
	TaxIDIndex  []byte `bun:"tax_id_index"`
	Content     []byte `bun:"content"`
	Fingerprint []byte `bun:"fingerprint"`
}

const recordsTable = "identity_records"

func recordTaxIDIndex(keys *seal.Keyring, taxID string) []byte {
	return keys.Index(recordsTable, "tax_id", risk.FoldTaxID(taxID))
}

// maxRecords bounds how many records of one tax id are looked at.
const maxRecords = 20

// IdentityRecords finds the records of a tax id.
func (d *DB) IdentityRecords(ctx context.Context, taxID string) ([]*domain.IdentityRecord, error) {
	keys, err := d.keys(ctx)
	if err != nil || risk.FoldTaxID(taxID) == "" {
		return nil, err
	}
	var rows []recordRow
	err = d.query(ctx, &rows, fmt.Sprintf("SELECT id, tax_id_index, content, fingerprint FROM identity_records WHERE tax_id_index = ? ORDER BY id LIMIT %d", maxRecords), recordTaxIDIndex(keys, taxID))
	if err != nil {
		return nil, err
	}
	out := make([]*domain.IdentityRecord, 0, len(rows))
	for _, row := range rows {
		s := sealer{keys: keys, table: recordsTable, id: row.ID}
		r := &domain.IdentityRecord{}
		s.openJSON("content", row.Content, r)
		if s.err != nil {
			return nil, s.err
		}
		r.ID = row.ID
		out = append(out, r)
	}
	return out, nil
}

// entryRow is a line of a list, at rest: even that somebody is on a list is somebody's.
type entryRow struct {
	bun.BaseModel `bun:"table:list_entries"`

	ID          string `bun:"id,pk"`
	List        string `bun:"list"`
	Content     []byte `bun:"content"`
	Fingerprint []byte `bun:"fingerprint"`
	Seq         int64  `bun:"seq"`
}

const entriesTable = "list_entries"

// entryContent is what is sealed of a line.
type entryContent struct {
	Value  string   `json:"value"`
	Births []string `json:"births,omitempty"`
}

// ListSeq is the number of the newest import that had entries of lists.
func (d *DB) ListSeq(ctx context.Context) (int64, error) {
	var seq int64
	err := d.query(ctx, &seq, "SELECT seq FROM list_imports WHERE id = 1")
	return seq, err
}

// ListEntries gives entries in the order of their imports and ids, after a place in that order.
func (d *DB) ListEntries(ctx context.Context, afterSeq int64, afterID string, limit int) ([]*domain.ListEntry, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	var rows []entryRow
	err = d.query(ctx, &rows, "SELECT id, list, content, fingerprint, seq FROM list_entries WHERE (seq, id) > (?, ?) ORDER BY seq, id LIMIT ?", afterSeq, afterID, limit)
	if err != nil {
		return nil, err
	}
	out := make([]*domain.ListEntry, 0, len(rows))
	for _, row := range rows {
		s := sealer{keys: keys, table: entriesTable, id: row.ID}
		var content entryContent
		s.openJSON("content", row.Content, &content)
		if s.err != nil {
			return nil, s.err
		}
		out = append(out, &domain.ListEntry{
			Entry: risk.Entry{ID: row.ID, List: risk.List(row.List), Value: content.Value, Births: content.Births}, Seq: row.Seq,
		})
	}
	return out, nil
}

const (
	importContactText = `INSERT INTO contacts AS c (id, version, created_at, updated_at, state, identity, tax_id_index, email_index, user_id, created_by, fingerprint)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET version = c.version + 1, updated_at = excluded.updated_at, identity = excluded.identity, tax_id_index = excluded.tax_id_index,
    email_index = excluded.email_index, user_id = excluded.user_id, fingerprint = excluded.fingerprint
  WHERE c.fingerprint <> excluded.fingerprint`
	importRecordText = `INSERT INTO identity_records AS r (id, tax_id_index, content, fingerprint) VALUES (?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET tax_id_index = excluded.tax_id_index, content = excluded.content, fingerprint = excluded.fingerprint
  WHERE r.fingerprint <> excluded.fingerprint`
	importSeqText   = `UPDATE list_imports SET seq = seq + 1 WHERE id = 1`
	importEntryText = `INSERT INTO list_entries AS e (id, list, content, fingerprint, seq)
  SELECT CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, seq FROM list_imports WHERE id = 1
  ON CONFLICT (id) DO UPDATE SET list = excluded.list, content = excluded.content, fingerprint = excluded.fingerprint, seq = excluded.seq
  WHERE e.fingerprint <> excluded.fingerprint`
)

// importIdentity writes what was imported of this file; ok is false for records of other files. What is there already
// as it is stays untouched.
func importIdentity(keys *seal.Keyring, record any) (steps []step, ok bool, err error) {
	switch r := record.(type) {
	case *domain.Contact:
		row, err := contactRowOf(keys, r)
		if err != nil {
			return nil, true, err
		}
		return []step{{text: importContactText, args: []any{
			row.ID, row.Version, row.CreatedAt, row.UpdatedAt, row.State, row.Identity, bytesOrNil(row.TaxIDIndex), bytesOrNil(row.EmailIndex),
			nullable(row.UserID), nullable(row.CreatedBy), row.Fingerprint,
		}}}, true, nil
	case *domain.IdentityRecord:
		s := sealer{keys: keys, table: recordsTable, id: r.ID}
		print, err := fingerprint(keys, "identity record", r)
		content := s.sealJSON("content", r)
		if err = errors.Join(s.err, err); err != nil {
			return nil, true, err
		}
		return []step{{text: importRecordText, args: []any{r.ID, recordTaxIDIndex(keys, orEmpty(r.TaxID)), content, print}}}, true, nil
	case *domain.ListEntry:
		s := sealer{keys: keys, table: entriesTable, id: r.ID}
		content := entryContent{Value: r.Value, Births: r.Births}
		print, err := fingerprint(keys, "list entry", r.List, content)
		sealed := s.sealJSON("content", content)
		if err = errors.Join(s.err, err); err != nil {
			return nil, true, err
		}
		return []step{{text: importEntryText, args: []any{r.ID, string(r.List), sealed, print}}}, true, nil
	}
	return nil, false, nil
}

// bytesOrNil is an argument that may be missing.
func bytesOrNil(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// VerificationKey gives the private key that signs verification tokens; the first one who asks brings it.
func (d *DB) VerificationKey(ctx context.Context, fresh []byte) ([]byte, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, err
	}
	const table, column = "verification_keys", "private_key"
	sealed, err := keys.Seal(fresh, table, "1", column)
	if err != nil {
		return nil, err
	}
	err = d.run(ctx, []step{{
		text: "INSERT INTO verification_keys (id, private_key, created_at) VALUES (1, ?, ?) ON CONFLICT DO NOTHING",
		args: []any{sealed, micros(d.options.Now())},
	}})
	if err != nil {
		return nil, err
	}
	var kept [][]byte
	if err := d.query(ctx, &kept, "SELECT private_key FROM verification_keys WHERE id = 1"); err != nil {
		return nil, err
	}
	if len(kept) != 1 {
		return nil, errors.New("db: the key of the verifications is missing")
	}
	return keys.Open(kept[0], table, "1", column)
}
