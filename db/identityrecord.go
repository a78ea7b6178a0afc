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

func recordTaxIDIndex(keys *seal.Keyring, taxID string) []byte {
	return keys.Index(recordsTable, "tax_id", risk.FoldTaxID(taxID))
}

// maxRecords limits the number of records read for one tax id.
const maxRecords = 20

var (
	recordsByTaxID = fixed(func(b *builder) schema.QueryAppender {
		return b.NewSelect().Model((*recordRow)(nil)).Where("tax_id_index = ?", b.arg("tax_id")).OrderExpr("id").Limit(maxRecords)
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

func identityRecordRowOf(keys *seal.Keyring, r *domain.IdentityRecord) (*recordRow, error) {
	s := sealer{keys: keys, table: recordsTable, id: r.ID}
	print, err := fingerprint(keys, "identity record", r)
	row := &recordRow{ID: r.ID, TaxIDIndex: recordTaxIDIndex(keys, orEmpty(r.TaxID)), Content: s.sealJSON("content", r), Fingerprint: print}
	return row, errors.Join(s.err, err)
}
