-- Contacts, fraud-risk reports, quizzes, approvals, and the input of reports and quizzes. Personal data is sealed;
-- lookups use keyed hashes.

CREATE TABLE contacts (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('active')),
  identity {{.Bytes}} NOT NULL,
  tax_id_index {{.Bytes}},
  email_index {{.Bytes}},
  user_id {{.Text}},
  created_by {{.Text}},
  fingerprint {{.Bytes}} NOT NULL
){{.Updated}};

--bun:split

CREATE INDEX contacts_created ON contacts (created_at, id);

--bun:split

CREATE INDEX contacts_user ON contacts (user_id, created_at, id) WHERE user_id IS NOT NULL;

--bun:split

CREATE INDEX contacts_tax_id ON contacts (tax_id_index) WHERE tax_id_index IS NOT NULL;

--bun:split

CREATE INDEX contacts_email ON contacts (email_index) WHERE email_index IS NOT NULL;

--bun:split

CREATE TABLE fraud_risk_reports (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  type {{.Text}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('passed', 'passedWithRiskFactors', 'failed')),
  identity {{.Bytes}} NOT NULL,
  categories {{.Bytes}} NOT NULL,
  created_by {{.Text}} NOT NULL,
  contact_id {{.Text}},
  contact_user_id {{.Text}},
  vouches {{.Bool}} NOT NULL,
  expires_at {{.Int}}
);

--bun:split

CREATE INDEX fraud_risk_reports_created ON fraud_risk_reports (created_at, id);

--bun:split

CREATE INDEX fraud_risk_reports_by ON fraud_risk_reports (created_by, created_at, id);

--bun:split

CREATE INDEX fraud_risk_reports_contact ON fraud_risk_reports (contact_id, created_at, id) WHERE contact_id IS NOT NULL;

--bun:split

CREATE TABLE quizzes (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  type {{.Text}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('pending', 'failedGetQuestions', 'asked', 'scoring', 'passed', 'failed', 'expired')),
  identity {{.Bytes}} NOT NULL,
  created_by {{.Text}} NOT NULL,
  contact_id {{.Text}},
  contact_user_id {{.Text}},
  vouches {{.Bool}} NOT NULL,
  person {{.Text}} NOT NULL,
  expires_at {{.Int}} NOT NULL,
  asked_at {{.Int}},
  questions {{.Bytes}},
  question_count {{.Int}} NOT NULL,
  answers {{.Bytes}},
  late {{.Bool}} NOT NULL
){{.Updated}};

--bun:split

CREATE INDEX quizzes_created ON quizzes (created_at, id);

--bun:split

CREATE INDEX quizzes_by ON quizzes (created_by, created_at, id);

--bun:split

CREATE INDEX quizzes_contact ON quizzes (contact_id, created_at, id) WHERE contact_id IS NOT NULL;

--bun:split

CREATE INDEX quizzes_person ON quizzes (person, asked_at);

--bun:split

-- Indexes for the sweeper and for records that wait for a provider.
CREATE INDEX quizzes_open ON quizzes (expires_at, id) WHERE state IN ('pending', 'asked');

--bun:split

CREATE INDEX quizzes_scoring ON quizzes (updated_at, id) WHERE state = 'scoring';

--bun:split

CREATE TABLE approvals (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('passed')),
  contact_id {{.Text}} NOT NULL,
  contact_user_id {{.Text}},
  method {{.Text}} CHECK (method IN ('fraudRiskReport', 'quiz', 'adminApproval')),
  reason {{.Bytes}},
  approved_by {{.Text}} NOT NULL
);

--bun:split

CREATE INDEX approvals_created ON approvals (created_at, id);

--bun:split

CREATE INDEX approvals_contact ON approvals (contact_id, created_at, id);

--bun:split

CREATE TABLE identity_records (
  id {{.Text}} NOT NULL PRIMARY KEY,
  tax_id_index {{.Bytes}} NOT NULL,
  content {{.Bytes}} NOT NULL,
  fingerprint {{.Bytes}} NOT NULL
);

--bun:split

CREATE INDEX identity_records_tax_id ON identity_records (tax_id_index, id);

--bun:split

CREATE TABLE list_entries (
  id {{.Text}} NOT NULL PRIMARY KEY,
  list {{.Text}} NOT NULL,
  content {{.Bytes}} NOT NULL,
  fingerprint {{.Bytes}} NOT NULL,
  seq {{.Int}} NOT NULL
);

--bun:split

CREATE INDEX list_entries_seq ON list_entries (seq, id);

--bun:split

-- The sequence number of the newest import with list entries. Concurrent imports wait for each other at this row, so
-- that numbers become visible in order.
CREATE TABLE list_imports (
  id {{.Int}} NOT NULL PRIMARY KEY CHECK (id = 1),
  seq {{.Int}} NOT NULL
);

--bun:split

INSERT INTO list_imports (id, seq) VALUES (1, 0);

--bun:split

-- The number of units written with a key, which serializes such units.
CREATE TABLE turns (
  key {{.Bytes}} NOT NULL PRIMARY KEY,
  taken {{.Int}} NOT NULL
);

--bun:split

-- The key that signs verification tokens; session keys are separate.
CREATE TABLE verification_keys (
  id {{.Int}} NOT NULL PRIMARY KEY CHECK (id = 1),
  private_key {{.Bytes}} NOT NULL,
  created_at {{.Int}} NOT NULL
);
