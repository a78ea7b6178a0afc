package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/seal"
)

// importBatch is the number of lines of one transaction: on SQLite a concurrently running server waits that long.
const importBatch = 100

// maxImportLine is the maximum length of a line: an account with some ten thousand owners.
const maxImportLine = 1 << 20

// ImportResult counts the lines of an import.
type ImportResult struct{ Loaded, Rejected int }

// importStore stores imported records; the database implements it.
type importStore interface {
	// ImportBatch writes records in one transaction.
	ImportBatch(ctx context.Context, records []any) error
	// Yield lets other writers proceed after a transaction of the given duration.
	Yield(ctx context.Context, took time.Duration) error
	// Customers returns those customers that exist.
	Customers(ctx context.Context, ids []string) ([]*domain.Customer, error)
}

// Importer loads directory data.
type Importer struct {
	// Rules validates lines and hashes their secrets.
	Rules *domain.Service
	Store importStore
}

// NewImporter returns an importer for a migrated database.
func NewImporter(c *Config, d *db.DB) (*Importer, error) {
	cost, err := seal.ParseCost(c.HashCost)
	if err != nil {
		return nil, err
	}
	return &Importer{Store: d, Rules: &domain.Service{
		Store: d, Directory: d, Limiter: d, Hasher: seal.NewHasher(cost), KeyedHash: d.KeyedHash, Now: c.now,
		Settings: domain.Settings{SessionIdleTimeout: c.SessionIdleTimeout, SessionMaxLifetime: c.SessionMaxLifetime},
	}}, nil
}

// Import loads NDJSON with one transaction per batch. It reports and skips invalid lines. Loading a file again, after
// an interruption or unchanged, does not change existing data.
func (im *Importer) Import(ctx context.Context, r io.Reader, report func(line int, reason string)) (ImportResult, error) {
	var done ImportResult
	var batch []any
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		records, err := im.finish(ctx, batch)
		if err != nil {
			return err
		}
		began := im.Rules.Now()
		if err := im.Store.ImportBatch(ctx, records); err != nil {
			return err
		}
		if err := im.Store.Yield(ctx, im.Rules.Now().Sub(began)); err != nil {
			return err
		}
		done.Loaded += len(batch)
		batch = batch[:0]
		return nil
	}
	in := bufio.NewReaderSize(r, 64<<10)
	for number := 1; ; number++ {
		text, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return done, flush()
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return done, errors.Join(flush(), err)
		}
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		if err == nil && len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var record any
		if err == nil {
			record, err = im.record(text, true)
		}
		var unknown unknownMember
		if errors.As(err, &unknown) { // misspelt, or for another program: reported, but not a reason to reject the line
			report(number, err.Error()+"; it was ignored")
			record, err = im.record(text, false)
		}
		if err != nil {
			done.Rejected++
			report(number, err.Error())
			continue
		}
		if batch = append(batch, record); len(batch) == importBatch {
			if err := flush(); err != nil {
				return done, err
			}
		}
		if err := ctx.Err(); err != nil {
			return done, err
		}
	}
}

var errLongLine = fmt.Errorf("the line is longer than %d bytes", maxImportLine)

// readLine returns one line without its terminator. It skips and refuses a line that is too long.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxImportLine {
			long, line = true, nil
		}
		if !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && (len(line) > 0 || long):
			err = nil
		}
		if err == nil && long {
			err = errLongLine
		}
		return bytes.TrimRight(line, "\r\n"), err
	}
}

// finish does the slow work before the transaction: it builds customers from the lines about them.
func (im *Importer) finish(ctx context.Context, batch []any) ([]any, error) {
	var ids []string
	for _, record := range batch {
		if in, ok := record.(domain.ImportCustomerInput); ok {
			ids = append(ids, in.ID)
		}
	}
	if len(ids) == 0 {
		return batch, nil
	}
	stored, err := im.Store.Customers(ctx, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*domain.Customer, len(stored))
	for _, c := range stored {
		byID[c.ID] = c
	}
	// The lines of one customer are processed in order, because the last one counts.
	lines := map[string][]int{}
	for i, record := range batch {
		if in, ok := record.(domain.ImportCustomerInput); ok {
			lines[in.ID] = append(lines[in.ID], i)
		}
	}
	records := slices.Clone(batch)
	var hashing sync.WaitGroup
	failed := make(chan error, len(lines))
	for id, at := range lines {
		hashing.Go(func() {
			previous := byID[id]
			for _, i := range at {
				c, err := im.Rules.ImportedCustomer(ctx, batch[i].(domain.ImportCustomerInput), previous)
				if err != nil {
					failed <- err
					return
				}
				records[i], previous = c, c
			}
		})
	}
	hashing.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return records, nil
	}
}

// line holds the members that every line has.
type line struct {
	Kind *string `json:"kind"`
	ID   *string `json:"id"`
}

// record decodes one line. Its errors are for the operator who wrote the file; they name members, not values.
func (im *Importer) record(text []byte, strict bool) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not UTF-8")
	}
	var head line
	if err := decodeObject(text, &head, false); err != nil {
		return nil, err
	}
	switch {
	case head.Kind == nil:
		return nil, errors.New("kind is missing")
	case *head.Kind == "session":
		return im.session(text, strict)
	case *head.Kind == "jwtTemplate":
		return im.template(text, strict)
	case head.ID == nil:
		return nil, errors.New("id is missing")
	}
	if err := goodID("id", *head.ID); err != nil {
		return nil, err
	}
	switch *head.Kind {
	case "account":
		var in struct {
			line
			JointOwnersEnabled *bool    `json:"jointOwnersEnabled"`
			MaxOwners          *int     `json:"maxOwners"`
			Owners             []string `json:"owners"`
		}
		if err := decodeObject(text, &in, strict); err != nil {
			return nil, err
		}
		if in.MaxOwners != nil && *in.MaxOwners < 1 {
			return nil, errors.New("maxOwners must be at least 1")
		}
		a := &domain.Account{ID: *head.ID, JointOwnersEnabled: true, MaxOwners: in.MaxOwners, Owners: in.Owners}
		if in.JointOwnersEnabled != nil {
			a.JointOwnersEnabled = *in.JointOwnersEnabled
		}
		return a, goodIDs("owners", a.Owners)
	case "organization":
		var in struct {
			line
			Owners  []string `json:"owners"`
			Signers []string `json:"signers"`
		}
		if err := decodeObject(text, &in, strict); err != nil {
			return nil, err
		}
		o := &domain.Organization{ID: *head.ID, Owners: in.Owners, Signers: in.Signers}
		return o, errors.Join(goodIDs("owners", o.Owners), goodIDs("signers", o.Signers))
	case "customer":
		var in struct {
			Kind *string `json:"kind"`
			domain.ImportCustomerInput
		}
		if err := decodeObject(text, &in, strict); err != nil {
			return nil, err
		}
		return in.ImportCustomerInput, problemText(in.Check())
	case "device", "application", "jurisdiction":
		return im.code(*head.Kind, *head.ID, text)
	}
	if record, ok, err := im.identityKind(*head.Kind, *head.ID, text); ok {
		return record, err
	}
	return nil, fmt.Errorf("kind %q is unknown", clip(*head.Kind))
}

func (im *Importer) session(text []byte, strict bool) (any, error) {
	var in struct {
		line
		UserID       string  `json:"userId"`
		ClientID     *string `json:"clientId"`
		CreatedAt    *string `json:"createdAt"`
		LastActiveAt *string `json:"lastActiveAt"`
		UserAgent    *string `json:"userAgent"`
		IPAddress    *string `json:"ipAddress"`
	}
	if err := decodeObject(text, &in, strict); err != nil {
		return nil, err
	}
	createdAt, err1 := parseTime("createdAt", in.CreatedAt)
	lastActiveAt, err2 := parseTime("lastActiveAt", in.LastActiveAt)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	r, err := im.Rules.ImportedSession(domain.ImportSessionInput{
		ID: in.ID, UserID: in.UserID, ClientID: in.ClientID, CreatedAt: createdAt, LastActiveAt: lastActiveAt,
		UserAgent: in.UserAgent, IPAddress: in.IPAddress,
	})
	return r, problemText(err)
}

func (im *Importer) template(text []byte, strict bool) (any, error) {
	var in struct {
		line
		domain.SaveJwtTemplateInput
	}
	if err := decodeObject(text, &in, strict); err != nil {
		return nil, err
	}
	if in.ID != nil && *in.ID != in.Name {
		return nil, errors.New("id: a jwtTemplate is identified by its name")
	}
	t, err := domain.NewJwtTemplate(in.SaveJwtTemplateInput, im.Rules.Now())
	return t, problemText(err)
}

// problemText returns a refusal of the rules in one line.
func problemText(err error) error {
	if err == nil {
		return nil
	}
	p := problem.Of(err)
	if p.Kind == problem.Internal {
		return err
	}
	of := p.Causes
	if len(of) == 0 {
		of = append(of, p)
	}
	var out []string
	for _, p := range of {
		out = append(out, strings.TrimSuffix(p.Text(), "."))
	}
	return errors.New(strings.Join(out, "; "))
}

// decodeObject decodes one JSON object; numbers without a type keep their text. If strict, unknown members are refused,
// because a misspelt one must not be ignored silently (unknownMember).
func decodeObject(text []byte, into any, strict bool) error {
	notOne := errors.New("must be one JSON object")
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return notOne
	}
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	if strict {
		in.DisallowUnknownFields()
	}
	err := in.Decode(into)
	if err == nil && len(bytes.TrimSpace(text[in.InputOffset():])) > 0 {
		return notOne
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		member := wrong.Field
		if embedded, name, ok := strings.Cut(member, "."); ok && unicode.IsUpper(rune(embedded[0])) {
			member = name
		}
		return fmt.Errorf("%s has the wrong type", member)
	}
	if err == nil {
		return nil
	}
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return unknownMember(clip(name))
	}
	return notOne
}

// unknownMember is the name of a member that no record of the kind has.
type unknownMember string

func (u unknownMember) Error() string { return "unknown field " + string(u) }

// parseTime parses a time; nil for nil.
func parseTime(member string, text *string) (*time.Time, error) {
	if text == nil {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return nil, fmt.Errorf("%s must be an RFC 3339 date-time", member)
	}
	return &at, nil
}

func goodIDs(member string, ids []string) error {
	for _, id := range ids {
		if err := goodID(member, id); err != nil {
			return err
		}
	}
	return nil
}

func goodID(member, id string) error {
	if id == "" || utf8.RuneCountInString(id) > 128 ||
		strings.ContainsFunc(id, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return fmt.Errorf("%s: an id must have 1 to 128 characters, without white space and control characters", member)
	}
	return nil
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
