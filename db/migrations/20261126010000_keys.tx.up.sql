-- Keys that sign session and template tokens. The private half of an old key is NULL.

CREATE TABLE signing_keys (
  id {{.Text}} NOT NULL PRIMARY KEY,
  algorithm {{.Text}} NOT NULL CHECK (algorithm IN ('RS256', 'ES256', 'EdDSA')),
  role {{.Text}} NOT NULL CHECK (role IN ('next', 'current', 'old')),
  public_key {{.Text}} NOT NULL,
  private_key {{.Bytes}},
  created_at {{.Int}} NOT NULL,
  signs_from {{.Int}},
  retired_at {{.Int}},
  last_expiry {{.Int}},
  CHECK ((role = 'old') = (private_key IS NULL))
);

--bun:split

-- If several instances create or change keys at the same time, one succeeds.
CREATE UNIQUE INDEX signing_keys_role ON signing_keys (role) WHERE role <> 'old';
