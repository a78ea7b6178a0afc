package db

import (
	"fmt"

	"github.com/uptrace/bun"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/seal"
)

// quizRow is the stored form of a quiz. Person, questions and answers are sealed.
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
	Fingerprint   []byte  `bun:"fingerprint"`
	Institutional *bool   `bun:"institutional"`
}

const quizzesTable = "quizzes"

func quizRowOf(keys *seal.Keyring, q *domain.Quiz) (*quizRow, error) {
	s := sealer{keys: keys, table: quizzesTable, id: q.ID}
	row := &quizRow{
		ID:            q.ID,
		Version:       q.Version,
		CreatedAt:     micros(q.CreatedAt),
		UpdatedAt:     micros(q.UpdatedAt),
		Type:          string(domain.VerifiedByQuiz),
		State:         string(q.State),
		Identity:      s.sealJSON("identity", q.Inputs),
		CreatedBy:     q.CreatedBy,
		ContactID:     q.ContactID,
		ContactUserID: q.ContactUserID,
		Vouches:       q.Vouches,
		Person:        domain.PersonWord(q.Person),
		ExpiresAt:     micros(q.ExpiresAt),
		QuestionCount: q.QuestionCount,
		Late:          q.Late,
		Fingerprint:   fingerprintBytes(q.Fingerprint),
		Institutional: &q.Institutional,
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
		Meta:          domain.Meta{ID: row.ID, Version: row.Version, CreatedAt: instant(row.CreatedAt), UpdatedAt: instant(row.UpdatedAt)},
		State:         domain.QuizState(row.State),
		CreatedBy:     row.CreatedBy,
		ContactID:     row.ContactID,
		ContactUserID: row.ContactUserID,
		Vouches:       row.Vouches,
		ExpiresAt:     instant(row.ExpiresAt),
		QuestionCount: row.QuestionCount,
		Late:          row.Late,
		Fingerprint:   domain.FingerprintFrom(row.Fingerprint),
		Institutional: orderedByInstitution(row.Institutional, row.CreatedBy, row.ContactUserID),
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

// Quizzes returns the store of quizzes.
func (d *DB) Quizzes() domain.Shelf[domain.Quiz] { return quizzes.on(d) }

var quizzes = recordsOf(&kind[domain.Quiz, quizRow]{
	table:  versionedOf[quizRow](quizzesTable),
	schema: domain.QuizSchema,
	read:   domain.QuizValue,
	record: quizRecord, row: quizRowOf,
	columns: verificationColumns,
	due: []*deadline{
		deadlineOf[quizRow](quizzesTable, deadline{at: "expires_at", where: "state IN ('pending', 'asked')", index: "quizzes_open"}),
	},
})
