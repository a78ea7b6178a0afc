-- Words in double braces are template values of the dialect (db/migrate.go). Times are microseconds since 1970, UTC.

CREATE TABLE keysets (
  id {{.Int}} NOT NULL PRIMARY KEY CHECK (id = 1),
  wrapped {{.Bytes}} NOT NULL,
  created_at {{.Int}} NOT NULL
);

--bun:split

CREATE TABLE api_keys (
  name {{.Text}} NOT NULL PRIMARY KEY,
  hash {{.Bytes}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  revoked_at {{.Int}}
);

--bun:split

CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);

--bun:split

CREATE TABLE accounts (
  id {{.Text}} NOT NULL PRIMARY KEY,
  joint_owners_enabled {{.Bool}} NOT NULL,
  max_owners {{.Int}}
);

--bun:split

CREATE TABLE account_owners (
  account_id {{.Text}} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  user_id {{.Text}} NOT NULL,
  granted {{.Bool}} NOT NULL DEFAULT FALSE,
  PRIMARY KEY (account_id, user_id)
);

--bun:split

CREATE INDEX account_owners_user ON account_owners (user_id, account_id);

--bun:split

CREATE TABLE organizations (
  id {{.Text}} NOT NULL PRIMARY KEY
);

--bun:split

CREATE TABLE organization_parts (
  organization_id {{.Text}} NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  user_id {{.Text}} NOT NULL,
  role {{.Text}} NOT NULL CHECK (role IN ('owner', 'signer')),
  granted {{.Bool}} NOT NULL DEFAULT FALSE,
  PRIMARY KEY (organization_id, user_id, role)
);

--bun:split

CREATE INDEX organization_parts_user ON organization_parts (user_id, organization_id);

--bun:split

CREATE TABLE invitations (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('sent', 'accepted', 'completed', 'failed', 'revoked', 'expired')),
  type {{.Text}} NOT NULL CHECK (type IN ('joint', 'authorizedSigner')),
  email_address {{.Bytes}} NOT NULL,
  email_address_index {{.Bytes}} NOT NULL,
  first_name {{.Bytes}},
  last_name {{.Bytes}},
  identification {{.Bytes}},
  inviter_full_name {{.Bytes}} NOT NULL,
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

CREATE INDEX invitations_created ON invitations (created_at, id);

--bun:split

CREATE INDEX invitations_state ON invitations (state, created_at, id);

--bun:split

CREATE INDEX invitations_due ON invitations (expires_at, id) WHERE state = 'sent';

--bun:split

CREATE INDEX invitations_created_by ON invitations (created_by, created_at, id);

--bun:split

CREATE INDEX invitations_accepted_by ON invitations (accepted_by) WHERE accepted_by IS NOT NULL;

--bun:split

CREATE INDEX invitations_account ON invitations (account_id) WHERE account_id IS NOT NULL;

--bun:split

CREATE INDEX invitations_organization ON invitations (organization_id) WHERE organization_id IS NOT NULL;

--bun:split

CREATE INDEX invitations_email_address ON invitations (email_address_index);

--bun:split

CREATE TABLE lifecycle_events (
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
  concerns {{.Text}} NOT NULL
);

--bun:split

CREATE UNIQUE INDEX lifecycle_events_id ON lifecycle_events (id);

--bun:split

CREATE INDEX lifecycle_events_feed ON lifecycle_events (tx, seq);

--bun:split

CREATE INDEX lifecycle_events_subject ON lifecycle_events (subject_id, seq);

--bun:split

CREATE TABLE idempotency_keys (
  key {{.Bytes}} NOT NULL PRIMARY KEY,
  fingerprint {{.Bytes}} NOT NULL,
  operation {{.Text}} NOT NULL,
  subject_id {{.Text}} NOT NULL,
  code {{.Text}} NOT NULL,
  detail {{.Text}} NOT NULL,
  path {{.Text}} NOT NULL,
  attributes {{.Text}} NOT NULL,
  available_at {{.Int}},
  created_at {{.Int}} NOT NULL,
  expires_at {{.Int}} NOT NULL
);

--bun:split

CREATE INDEX idempotency_keys_expires ON idempotency_keys (expires_at);

--bun:split

CREATE TABLE messages (
  id {{.Text}} NOT NULL PRIMARY KEY,
  channel {{.Text}} NOT NULL,
  template {{.Text}} NOT NULL,
  subject_id {{.Text}} NOT NULL,
  payload {{.Bytes}},
  created_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'dead')),
  attempts {{.Int}} NOT NULL,
  next_at {{.Int}} NOT NULL,
  lease_until {{.Int}},
  failure {{.Text}} NOT NULL,
  ended_at {{.Int}}
){{.Updated}};

--bun:split

CREATE INDEX messages_claim ON messages (next_at, id) WHERE state IN ('pending', 'sending');

--bun:split

CREATE INDEX messages_state ON messages (state, created_at, id);

--bun:split

CREATE INDEX messages_subject ON messages (subject_id);

--bun:split

CREATE TABLE limits (
  key {{.Bytes}} NOT NULL PRIMARY KEY,
  window_start {{.Int}} NOT NULL,
  count {{.Int}} NOT NULL,
  blocked_until {{.Int}} NOT NULL,
  keep_until {{.Int}} NOT NULL
){{.Updated}};

--bun:split

CREATE TABLE decoys (
  id {{.Int}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  content {{.Bytes}}
){{.Updated}};

--bun:split

-- 64 rows, so that concurrent refusals for unknown records do not wait for each other.
INSERT INTO decoys (id, version, updated_at)
  WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63)
  SELECT i, 1, 0 FROM n;

--bun:split

CREATE TABLE decoy_events (
  seq {{.Identity}},
  id {{.Text}} NOT NULL,
  decoy_id {{.Int}} NOT NULL,
  occurred_at {{.Int}} NOT NULL,
  content {{.Text}} NOT NULL
);

--bun:split

CREATE UNIQUE INDEX decoy_events_id ON decoy_events (id);

--bun:split

CREATE INDEX decoy_events_subject ON decoy_events (decoy_id, seq);
