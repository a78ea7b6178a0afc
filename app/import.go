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

// importBatch is how many lines one transaction holds: on SQLite a server that works beside it waits for as long.
const importBatch = 100

// maxImportLine bounds a line: an account with some ten thousand owners.
const maxImportLine = 1 << 20

// Imported counts what an import did.
type Imported struct{ Loaded, Bad int }

// importStore keeps what was imported; the database is one.
type importStore interface {
	// ImportBatch writes records in one transaction.
	ImportBatch(ctx context.Context, records []any) error
	// Yield lets others write, after a transaction that took so long.
	Yield(ctx context.Context, took time.Duration) error
	// Customers finds those that are there already.
	Customers(ctx context.Context, ids []string) ([]*domain.Customer, error)
}

// Importer loads directory data.
type Importer struct {
	// Rules say what a line may hold, and hash its secrets.
	Rules *domain.Service
	Store importStore
}

// NewImporter gives an importer into a database that is ready.
func NewImporter(c *Config, d *db.DB) (*Importer, error) {
	cost, err := seal.ParseCost(c.HashCost)
	if err != nil {
		return nil, err
	}
	return &Importer{Store: d, Rules: &domain.Service{
		Store: d, Directory: d, Limiter: d, Hasher: seal.NewHasher(cost), KeyedHash: d.KeyedHash, Now: now,
		Settings: domain.Settings{SessionIdleTimeout: c.SessionIdleTimeout, SessionMaxLifetime: c.SessionMaxLifetime},
	}}, nil
}

// Import loads NDJSON, one transaction a batch. A bad line is reported and left out, the others are loaded. To load
// a file again, after an interruption or as it is, changes nothing that is already there.
func (im *Importer) Import(ctx context.Context, r io.Reader, report func(line int, reason string)) (Imported, error) {
	var done Imported
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
		if errors.As(err, &unknown) { // misspelt, or somebody else's: told, and no reason to lose the rest
			report(number, err.Error()+"; it was ignored")
			record, err = im.record(text, false)
		}
		if err != nil {
			done.Bad++
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

// readLine gives one line without its end. A line that is too long is read past, and refused.
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

// finish does the slow work before the transaction: it makes customers of what was read about them.
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
	known := make(map[string]*domain.Customer, len(stored))
	for _, c := range stored {
		known[c.ID] = c
	}
	// The lines of one customer are worked on one after the other, for the last one counts.
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
			was := known[id]
			for _, i := range at {
				c, err := im.Rules.ImportedCustomer(ctx, batch[i].(domain.ImportCustomerInput), was)
				if err != nil {
					failed <- err
					return
				}
				records[i], was = c, c
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

// line is what every line has.
type line struct {
	Kind *string `json:"kind"`
	ID   *string `json:"id"`
}

// record reads one line. Its errors are for the operator who wrote the file; they name members, not values.
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
			return nil, errors.New("maxOwners is less than 1")
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
		return in.ImportCustomerInput, inWords(in.Check())
	case "device", "application", "jurisdiction":
		return im.code(*head.Kind, *head.ID, text)
	}
	if record, ok, err := im.identityKind(*head.Kind, *head.ID, text); ok {
		return record, err
	}
	return nil, fmt.Errorf("kind %q is not known", clip(*head.Kind))
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
	createdAt, err1 := goodTime("createdAt", in.CreatedAt)
	lastActiveAt, err2 := goodTime("lastActiveAt", in.LastActiveAt)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	r, err := im.Rules.ImportedSession(domain.ImportSessionInput{
		ID: in.ID, UserID: in.UserID, ClientID: in.ClientID, CreatedAt: createdAt, LastActiveAt: lastActiveAt,
		UserAgent: in.UserAgent, IPAddress: in.IPAddress,
	})
	return r, inWords(err)
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
		return nil, errors.New("id: a jwtTemplate is known by its name")
	}
	t, err := domain.NewJwtTemplate(in.SaveJwtTemplateInput, im.Rules.Now())
	return t, inWords(err)
}

// inWords says in one line what the rules refuse.
func inWords(err error) error {
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

// decodeObject reads one JSON object; numbers of no certain type stay as they are written. A strict one has no
// members but those that are asked for: one that is misspelt must not be lost in silence (unknownMember).
func decodeObject(text []byte, into any, strict bool) error {
	notOne := errors.New("is not one JSON object")
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

// unknownMember is a member that no record of the kind has.
type unknownMember string

func (u unknownMember) Error() string { return "there is no member " + string(u) }

// goodTime reads a time; nil where there is none.
func goodTime(member string, text *string) (*time.Time, error) {
	if text == nil {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339Nano, *text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a time in the form of RFC 3339", member)
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
	if id == "" || utf8.RuneCountInString(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return fmt.Errorf("%s: an id has 1 to 128 characters, no white space and no control characters", member)
	}
	return nil
}

func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
