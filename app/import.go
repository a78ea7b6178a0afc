package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/domain"
)

// importBatch is how many lines one transaction holds.
const importBatch = 500

// maxImportLine bounds a line: an account with some ten thousand owners.
const maxImportLine = 1 << 20

// Imported counts what an import did.
type Imported struct{ Loaded, Bad int }

// importer writes records; the database is one.
type importer interface {
	ImportBatch(ctx context.Context, records []any) error
}

// Import loads NDJSON, one transaction a batch. A bad line is reported and left out, the others are loaded. To load
// a file again, after an interruption or as it is, changes nothing that is already there.
func Import(ctx context.Context, to importer, r io.Reader, report func(line int, reason string)) (Imported, error) {
	var done Imported
	var batch []any
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		if err := to.ImportBatch(ctx, batch); err != nil {
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
			record, err = importRecord(text)
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

// importRecord reads one line. Its errors are for the operator who wrote the file; they name members, not values.
func importRecord(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("is not UTF-8")
	}
	var head struct {
		Kind *string `json:"kind"`
		ID   *string `json:"id"`
	}
	if err := decodeObject(text, &head); err != nil {
		return nil, err
	}
	if head.Kind == nil {
		return nil, errors.New("kind is missing")
	}
	if head.ID == nil {
		return nil, errors.New("id is missing")
	}
	if err := goodID("id", *head.ID); err != nil {
		return nil, err
	}
	switch *head.Kind {
	case "account":
		var in struct {
			JointOwnersEnabled *bool    `json:"jointOwnersEnabled"`
			MaxOwners          *int     `json:"maxOwners"`
			Owners             []string `json:"owners"`
		}
		if err := decodeObject(text, &in); err != nil {
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
			Owners  []string `json:"owners"`
			Signers []string `json:"signers"`
		}
		if err := decodeObject(text, &in); err != nil {
			return nil, err
		}
		o := &domain.Organization{ID: *head.ID, Owners: in.Owners, Signers: in.Signers}
		return o, errors.Join(goodIDs("owners", o.Owners), goodIDs("signers", o.Signers))
	}
	return nil, fmt.Errorf("kind %q is not known", clip(*head.Kind))
}

func decodeObject(text []byte, into any) error {
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		return errors.New("is not one JSON object")
	}
	err := json.Unmarshal(text, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("%s has the wrong type", wrong.Field)
	case err != nil:
		return errors.New("is not one JSON object")
	}
	return nil
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
