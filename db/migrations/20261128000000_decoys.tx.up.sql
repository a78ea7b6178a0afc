-- A decoy has the same cost as a real record: the same columns and indexes. Decoys are never read.

DROP TABLE decoy_events;

--bun:split

DROP TABLE decoys;

--bun:split

CREATE TABLE decoys (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('sent', 'accepted', 'completed', 'failed', 'revoked', 'expired')),
  type {{.Text}} NOT NULL CHECK (type IN ('joint', 'authorizedSigner')),
  email_address {{.Bytes}},
  email_address_index {{.Bytes}},
  first_name {{.Bytes}},
  last_name {{.Bytes}},
  identification {{.Bytes}},
  inviter_full_name {{.Bytes}},
  account_uri {{.Text}},
  organization_uri {{.Text}},
  organization_role {{.Text}},
  secret_hash {{.Text}} NOT NULL,
  mail_key_hash {{.Bytes}},
  verification_count {{.Int}} NOT NULL,
  failed_count {{.Int}} NOT NULL,
  resend_count {{.Int}} NOT NULL,
  expires_at {{.Int}} NOT NULL,
  created_by {{.Text}} NOT NULL,
  customer_id {{.Text}},
  customer_group {{.Text}},
  accepted_by {{.Text}},
  account_id {{.Text}},
  organization_id {{.Text}}
){{.Updated}};

--bun:split

CREATE INDEX decoys_created ON decoys (created_at, id);

--bun:split

CREATE INDEX decoys_state ON decoys (state, created_at, id);

--bun:split

CREATE INDEX decoys_due ON decoys (expires_at, id) WHERE state = 'sent';

--bun:split

CREATE INDEX decoys_created_by ON decoys (created_by, created_at, id);

--bun:split

CREATE INDEX decoys_accepted_by ON decoys (accepted_by) WHERE accepted_by IS NOT NULL;

--bun:split

CREATE INDEX decoys_account ON decoys (account_id) WHERE account_id IS NOT NULL;

--bun:split

CREATE INDEX decoys_organization ON decoys (organization_id) WHERE organization_id IS NOT NULL;

--bun:split

CREATE INDEX decoys_email_address ON decoys (email_address_index);

--bun:split

-- 64 rows, so that concurrent refusals for unknown records do not wait for each other.
INSERT INTO decoys (id, version, created_at, updated_at, state, type, secret_hash, verification_count, failed_count, resend_count, expires_at, created_by)
  WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63)
  SELECT 'decoy_' || CAST(i AS TEXT), 1, 0, 0, 'sent', 'joint', '', 0, 0, 0, 0, 'nobody' FROM n;

--bun:split

CREATE TABLE decoy_events (
  seq {{.Identity}},
  tx {{.Int}} NOT NULL DEFAULT {{.Transaction}},
  id {{.Text}} NOT NULL,
  name {{.Text}} NOT NULL,
  from_state {{.Text}} NOT NULL,
  to_state {{.Text}} NOT NULL,
  occurred_at {{.Int}} NOT NULL,
  actor_id {{.Text}} NOT NULL,
  subject_kind {{.Text}} NOT NULL,
  subject_id {{.Text}} NOT NULL,
  version {{.Int}} NOT NULL,
  reason {{.Text}} NOT NULL,
  concerns {{.Text}} NOT NULL,
  first_user {{.Text}},
  second_user {{.Text}}
);

--bun:split

CREATE UNIQUE INDEX decoy_events_id ON decoy_events (id);

--bun:split

CREATE INDEX decoy_events_feed ON decoy_events (tx, seq);

--bun:split

CREATE INDEX decoy_events_subject ON decoy_events (subject_id, seq);

--bun:split

CREATE INDEX decoy_events_first_user ON decoy_events (first_user, tx, seq) WHERE first_user IS NOT NULL;

--bun:split

CREATE INDEX decoy_events_second_user ON decoy_events (second_user, tx, seq) WHERE second_user IS NOT NULL;
