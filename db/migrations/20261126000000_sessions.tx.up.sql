-- Sessions, their clients, JWT templates, and the customers of the bank's directory.

CREATE TABLE clients (
  id {{.Text}} NOT NULL PRIMARY KEY,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  last_active_session_id {{.Text}}
){{.Updated}};

--bun:split

CREATE TABLE sessions (
  id {{.Text}} NOT NULL PRIMARY KEY,
  version {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  state {{.Text}} NOT NULL CHECK (state IN ('active', 'pending', 'abandoned', 'expired', 'ended', 'removed', 'revoked', 'replaced')),
  user_id {{.Text}} NOT NULL,
  client_id {{.Text}} REFERENCES clients (id),
  handle_hash {{.Bytes}},
  tasks {{.Text}} NOT NULL,
  last_active_at {{.Int}} NOT NULL,
  abandon_at {{.Int}} NOT NULL,
  expire_at {{.Int}} NOT NULL,
  ended_at {{.Int}},
  end_reason {{.Text}},
  ended_by {{.Text}},
  organization_id {{.Text}},
  ip_address {{.Bytes}},
  user_agent {{.Bytes}}
){{.Updated}};

--bun:split

CREATE UNIQUE INDEX sessions_handle ON sessions (handle_hash) WHERE handle_hash IS NOT NULL;

--bun:split

CREATE INDEX sessions_created ON sessions (created_at, id);

--bun:split

CREATE INDEX sessions_user ON sessions (user_id, created_at, id);

--bun:split

CREATE INDEX sessions_client ON sessions (client_id, created_at, id) WHERE client_id IS NOT NULL;

--bun:split

-- Indexes for the sweeper. A live session is abandoned at the latest when it expires.
CREATE INDEX sessions_idle ON sessions (abandon_at, id) WHERE state IN ('active', 'pending');

--bun:split

CREATE INDEX sessions_old ON sessions (expire_at, id) WHERE state = 'abandoned';

--bun:split

CREATE TABLE jwt_templates (
  name {{.Text}} NOT NULL PRIMARY KEY,
  claims {{.Text}} NOT NULL,
  lifetime {{.Int}} NOT NULL,
  allowed_clock_skew {{.Int}} NOT NULL,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL
);

--bun:split

CREATE TABLE customers (
  id {{.Text}} NOT NULL PRIMARY KEY,
  created_at {{.Int}} NOT NULL,
  updated_at {{.Int}} NOT NULL,
  username {{.Bytes}},
  username_index {{.Bytes}},
  email {{.Bytes}},
  email_index {{.Bytes}},
  email_verified {{.Bool}} NOT NULL,
  phone {{.Bytes}},
  phone_index {{.Bytes}},
  phone_verified {{.Bool}} NOT NULL,
  pin_hash {{.Text}},
  password_hash {{.Text}},
  jurisdiction {{.Bytes}}
){{.Updated}};

--bun:split

CREATE INDEX customers_username ON customers (username_index) WHERE username_index IS NOT NULL;

--bun:split

CREATE INDEX customers_email ON customers (email_index) WHERE email_index IS NOT NULL;

--bun:split

CREATE INDEX customers_phone ON customers (phone_index) WHERE phone_index IS NOT NULL;
