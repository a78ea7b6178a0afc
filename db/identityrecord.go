package db

import (
	"context"
	"errors"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/seal"
)

// recordRow is the stored form of an identity record of the bank.
type recordRow struct {
	bun.BaseModel `bun:"table:identity_records"`

	ID          string `bun:"id,pk"`
	TaxIDIndex  []byte `bun:"tax_id_index"`
	Content     []byte `bun:"content"`
	Fingerprint []byte `bun:"fingerprint"`
}

const recordsTable = "identity_records"

// recordImportRow contains the sequence number of the newest import of identity records.
type recordImportRow struct {
	bun.BaseModel `bun:"table:record_imports"`

	ID  int64 `bun:"id,pk"`
	Seq int64 `bun:"seq"`
}

// choicesRow has the choices of a person's quiz questions, sealed.
type choicesRow struct {
	bun.BaseModel `bun:"table:quiz_choices"`

	Person  []byte `bun:"person,pk"`
	Version int64  `bun:"version"`
	Content []byte `bun:"content"`
}

const choicesTable = "quiz_choices"

func recordTaxIDIndex(keys *seal.Keyring, taxID string) []byte {
	return keys.Index(recordsTable, "tax_id", risk.FoldTaxID(taxID))
}

// maxRecords limits the number of records read for one tax id.
const maxRecords = 20

var (
	recordsByTaxID = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*recordRow)(nil)).Where("tax_id_index = ?", b.arg("tax_id")).OrderExpr("id").Limit(maxRecords)
	})
	// recordsAfter reads the records in the order of the keyed hash of the tax id, which is a random one.
	recordsAfter = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*recordRow)(nil)).Where("(tax_id_index, id) > (?, ?)", b.arg("tax_id"), b.arg("id")).
			OrderExpr("tax_id_index, id LIMIT ?", b.arg("limit"))
	})
	readRecordSeq = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*recordImportRow)(nil)).Column("seq").Where("id = 1")
	})
	countRecordImport = fixed(func(b *builder) schema.QueryAppender {
		return b.NewUpdate().Model((*recordImportRow)(nil)).Set("seq = seq + 1").Where("id = 1")
	})
	readChoices = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*choicesRow)(nil)).Where("person = ?", b.arg("person"))
	})
	// saveChoices replaces the choices of a person, unless they have another version.
	saveChoices = fixed(func(b *builder) schema.QueryAppender {
		return replace(newRow(b, (*choicesRow)(nil)).On("CONFLICT (person) DO UPDATE"), "version", "content").
			Where("?TableAlias.version = ?", b.arg("was"))
	})
	// importRecord adds a record, or replaces the one with its id if the data differs.
	importRecord = fixed(func(b *builder) schema.QueryAppender {
		return replace(newRow(b, (*recordRow)(nil)).On("CONFLICT (id) DO UPDATE"), "tax_id_index", "content", "fingerprint").
			Where("?TableAlias.fingerprint <> excluded.fingerprint")
	})
)

// IdentityRecords returns the records with a tax id.
func (d *DB) IdentityRecords(ctx context.Context, taxID string) ([]*domain.IdentityRecord, error) {
	keys, err := d.keys(ctx)
	if err != nil || risk.FoldTaxID(taxID) == "" {
		return nil, err
	}
	rows, err := query[recordRow](ctx, d, recordsByTaxID, with("tax_id", recordTaxIDIndex(keys, taxID)))
	if err != nil {
		return nil, err
	}
	out := make([]*domain.IdentityRecord, 0, len(rows))
	for _, row := range rows {
		r, err := identityRecord(keys, &row)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func identityRecord(keys *seal.Keyring, row *recordRow) (*domain.IdentityRecord, error) {
	s := sealer{keys: keys, table: recordsTable, id: row.ID}
	r := &domain.IdentityRecord{}
	s.openJSON("content", row.Content, r)
	r.ID = row.ID
	return r, s.err
}

// recordBatch is the number of records read at once.
const recordBatch = 1000

// RecordSeq returns the sequence number of the newest import that contained identity records.
func (d *DB) RecordSeq(ctx context.Context) (int64, error) {
	seq, _, err := queryOne[int64](ctx, d, readRecordSeq)
	return seq, err
}

// SampleIdentityRecords passes records to a function, at most limit of them. If there are more, the selection is random,
// because the records are read in the order of a keyed hash.
func (d *DB) SampleIdentityRecords(ctx context.Context, limit int, each func(*domain.IdentityRecord)) error {
	keys, err := d.keys(ctx)
	if err != nil {
		return err
	}
	after, id := []byte{0}, ""
	for left := limit; left > 0; {
		batch := min(left, recordBatch)
		rows, err := query[recordRow](ctx, d, recordsAfter, with("tax_id", after), with("id", id), with("limit", batch))
		if err != nil {
			return err
		}
		for _, row := range rows {
			r, err := identityRecord(keys, &row)
			if err != nil {
				return err
			}
			each(r)
			after, id = row.TaxIDIndex, row.ID
		}
		if left -= len(rows); len(rows) < batch {
			return nil
		}
	}
	return nil
}

// QuizChoices returns the choices of a person's quiz questions by fact, and the version of the set; 0 if there is none.
func (d *DB) QuizChoices(ctx context.Context, person []byte) (map[string][]string, int64, error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return nil, 0, err
	}
	row, found, err := queryOne[choicesRow](ctx, d, readChoices, with("person", person))
	if err != nil || !found {
		return nil, 0, err
	}
	s := sealer{keys: keys, table: choicesTable, id: domain.PersonWord(person)}
	var out map[string][]string
	s.openJSON("content", row.Content, &out)
	return out, row.Version, s.err
}

// SaveQuizChoices replaces the choices of a person. ok is false if they have another version.
func (d *DB) SaveQuizChoices(ctx context.Context, person []byte, version int64, choices map[string][]string) (ok bool, err error) {
	keys, err := d.keys(ctx)
	if err != nil {
		return false, err
	}
	s := sealer{keys: keys, table: choicesTable, id: domain.PersonWord(person)}
	row := &choicesRow{Person: person, Version: version + 1, Content: s.sealJSON("content", choices)}
	if s.err != nil {
		return false, s.err
	}
	result, err := d.writeRow(ctx, saveChoices, row, nil, with("was", version))
	return result.Changed == 1, err
}

func identityRecordRowOf(keys *seal.Keyring, r *domain.IdentityRecord) (*recordRow, error) {
	s := sealer{keys: keys, table: recordsTable, id: r.ID}
	print, err := fingerprint(keys, "identity record", r)
	row := &recordRow{ID: r.ID, TaxIDIndex: recordTaxIDIndex(keys, orEmpty(r.TaxID)), Content: s.sealJSON("content", r), Fingerprint: print}
	return row, errors.Join(s.err, err)
}
