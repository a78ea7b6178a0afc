package db

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

const (
	decoysTable      = "decoys"
	decoyEventsTable = "decoy_events"
	// decoys is the number of rows that the migration creates.
	decoys = 64
)

// decoyEventRow has the columns of a decoy's event that Purge needs.
type decoyEventRow struct {
	bun.BaseModel `bun:"table:decoy_events"`

	Seq        int64 `bun:"seq,pk"`
	OccurredAt int64 `bun:"occurred_at"`
}

var (
	changeDecoy = fixed(func(b *builder) schema.QueryAppender {
		return update(b, (*invitationRow)(nil)).ModelTableExpr("? AS ?TableAlias", bun.Ident(decoysTable))
	}).locking(decoysTable, "id").alone()
	addDecoyEvent = fixed(func(b *builder) schema.QueryAppender {
		return insertion(b, (*eventRow)(nil)).ModelTableExpr("? AS ?TableAlias", bun.Ident(decoyEventsTable))
	}).locking(decoyEventsTable, "")
)

// decoySecretHash has the length of a real hash.
var decoySecretHash = "$argon2id$v=19$m=19456,t=2,p=1$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43)

func decoyID() string { return "decoy_" + strconv.Itoa(rand.IntN(decoys)) }

// decoy changes one row and adds another; neither is ever read. This is the work that a wrong secret causes for a real
// record. The tables have the columns and indexes of the real tables, and the same statements write them; as in a real
// row, indexed columns never change. The steps have lock orders like the real ones, because otherwise the duration of
// the unit would reveal that the id is unknown.
func (w *unit) decoy(keys *seal.Keyring) error {
	now := w.db.options.Now()
	id := decoyID()
	account := "nobodys"
	uri := "/accounts/accounts/" + account
	row, err := invitationRowOf(keys, &domain.Invitation{
		Meta: domain.Meta{ID: id, Version: 1, UpdatedAt: now}, State: domain.InvitationSent, Type: domain.InvitationJoint,
		EmailAddress: "nobody@example.com", InviterFullName: "Nobody at all", AccountURI: &uri, AccountID: account,
		SecretHash: decoySecretHash, MailKeyHash: make([]byte, 32), ExpiresAt: time.Unix(0, 0), CreatedBy: "nobody",
	})
	if err != nil {
		return err
	}
	event, err := eventRowOf(&domain.LifecycleEvent{
		ID: domain.NewID("evt", now), Name: "verifyInvitation", From: row.State, To: row.State, OccurredAt: now, ActorID: "nobody",
		SubjectKind: domain.KindInvitation, SubjectID: id, Version: 1, Concerns: []string{"nobody"},
	})
	if err != nil {
		return err
	}
	w.addRow(changeDecoy, row, nil, with("id", id), with("version", row.Version))
	w.addRow(addDecoyEvent, event, nil)
	return nil
}
