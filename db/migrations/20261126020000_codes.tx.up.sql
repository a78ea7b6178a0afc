-- Verifications of customers' addresses, numbers and devices, and the policies of applications and jurisdictions.

CREATE TABLE email_verifications (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('pending', 'verified', 'expired', 'replaced')),
  customer_id {{.Text}} NOT NULL,
  address {{.Bytes}} NOT NULL,
  token_hash {{.Text}} NOT NULL,
  expires_at {{.Int}} NOT NULL,
  verified_at {{.Int}}
){{.Updated}};

--bun:split

CREATE UNIQUE INDEX email_verifications_token ON email_verifications (token_hash);

--bun:split

-- At most one token of a customer is valid: of two concurrent requests, one fails.
CREATE UNIQUE INDEX email_verifications_pending ON email_verifications (customer_id) WHERE state = 'pending';

--bun:split

CREATE INDEX email_verifications_customer ON email_verifications (customer_id, created_at, id);

--bun:split

CREATE INDEX email_verifications_due ON email_verifications (expires_at, id) WHERE state = 'pending';

--bun:split

CREATE TABLE phone_verifications (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('pending', 'verified', 'expired', 'locked', 'replaced')),
  customer_id {{.Text}} NOT NULL,
  number {{.Bytes}} NOT NULL,
  code_hash {{.Text}} NOT NULL,
  attempts {{.Int}} NOT NULL,
  expires_at {{.Int}} NOT NULL,
  verified_at {{.Int}}
){{.Updated}};

--bun:split

-- At most one code of a customer is valid.
CREATE UNIQUE INDEX phone_verifications_pending ON phone_verifications (customer_id) WHERE state = 'pending';

--bun:split

CREATE INDEX phone_verifications_customer ON phone_verifications (customer_id, created_at, id);

--bun:split

CREATE INDEX phone_verifications_due ON phone_verifications (expires_at, id) WHERE state = 'pending';

--bun:split

CREATE TABLE devices (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('registered', 'revoked')),
  customer_id {{.Text}} NOT NULL,
  name {{.Bytes}},
  public_key {{.Bytes}} NOT NULL,
  fingerprint {{.Text}} NOT NULL,
  algorithm {{.Text}} NOT NULL CHECK (algorithm IN ('rsa', 'ecdsaP256', 'ed25519')),
  revoked_at {{.Int}}
){{.Updated}};

--bun:split

CREATE UNIQUE INDEX devices_key ON devices (customer_id, fingerprint) WHERE state = 'registered';

--bun:split

CREATE INDEX devices_customer ON devices (customer_id, created_at, id);

--bun:split

CREATE INDEX devices_created ON devices (created_at, id);

--bun:split

CREATE TABLE device_challenges (
  id {{.Text}} NOT NULL PRIMARY KEY,
  created_at {{.Int}} NOT NULL,
  customer_id {{.Text}} NOT NULL,
  device_id {{.Text}} NOT NULL,
  username_hash {{.Bytes}} NOT NULL,
  expires_at {{.Int}} NOT NULL,
  used_at {{.Int}},
  used_by {{.Bytes}}
){{.Updated}};

--bun:split

CREATE INDEX device_challenges_open ON device_challenges (device_id, created_at, id) WHERE used_at IS NULL;

--bun:split

CREATE INDEX device_challenges_old ON device_challenges (expires_at);

--bun:split

CREATE TABLE two_factor_requests (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('pending', 'approved', 'rejected', 'expired')),
  customer_id {{.Text}} NOT NULL,
  client_id {{.Text}} NOT NULL,
  statement {{.Bytes}} NOT NULL,
  statement_signed {{.Bool}} NOT NULL,
  expires_at {{.Int}} NOT NULL,
  decided_at {{.Int}},
  decided_by {{.Text}}
){{.Updated}};

--bun:split

CREATE INDEX two_factor_requests_created ON two_factor_requests (created_at, id);

--bun:split

CREATE INDEX two_factor_requests_customer ON two_factor_requests (customer_id, created_at, id);

--bun:split

CREATE INDEX two_factor_requests_due ON two_factor_requests (expires_at, id) WHERE state = 'pending';

--bun:split

CREATE TABLE applications (
  id {{.Text}} NOT NULL PRIMARY KEY,
  second_factors {{.Text}}
);

--bun:split

CREATE TABLE jurisdictions (
  id {{.Text}} NOT NULL PRIMARY KEY,
  second_factors {{.Text}}
);
