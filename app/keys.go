package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/seal"
)

// keyStore adapts the table of signing keys to the signer.
type keyStore struct{ *db.DB }

func (k keyStore) SigningKeys(ctx context.Context) ([]auth.StoredKey, error) {
	rows, err := k.DB.SigningKeys(ctx)
	out := make([]auth.StoredKey, 0, len(rows))
	for _, r := range rows {
		out = append(out, auth.StoredKey(r))
	}
	return out, err
}

func (k keyStore) ChangeSigningKeys(ctx context.Context, c auth.KeyChange) error {
	change := db.SigningKeyChange{Drop: c.Drop, Retire: c.Retire, Promote: c.Promote, At: c.At, Forget: c.Forget}
	for _, key := range c.Add {
		change.Add = append(change.Add, db.SigningKey(key))
	}
	return k.DB.ChangeSigningKeys(ctx, change)
}

func newSigner(c *Config, store *db.DB, log *slog.Logger) *auth.Signer {
	return auth.NewSigner(
		auth.SignerConfig{Store: keyStore{store}, KeyedHash: store.KeyedHash, Algorithm: c.SessionTokenAlg, Now: c.now, Log: log},
	)
}

// jwksAge is how long clients may cache the public keys.
const jwksAge = 60 * time.Second

// publicKeys serves the JWKS without authentication.
func publicKeys(signer *auth.Signer, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { writeKeys(w, r, signer, log, "public") })
}

// serverKeys serves the JWKS in the way the vendor's server kits request it: with the secret key, which here is an API
// key, as the bearer token (client session API, verifiers to satisfy). It also accepts the header API-Key and an
// administrator's access token.
func serverKeys(authenticator *auth.Authenticator, signer *auth.Signer, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor := domain.ActorFrom(r.Context())
		if permitted := actor.APIKey != "" || actor.Known() && actor.SeesAll(); !permitted {
			name, err := authenticator.BearerKey(r)
			if refusal := actor.Refused; err == nil && refusal != nil && refusal.Definition == problem.ServiceUnavailable {
				err = refusal
			}
			switch {
			case err != nil:
				log.ErrorContext(r.Context(), "the caller of the key set cannot be identified", "error", err)
				keysProblem(w, http.StatusServiceUnavailable, "service_unavailable", "Service unavailable", "Try again later.")
				return
			case name == "":
				w.Header().Set("WWW-Authenticate", `Bearer realm="jwks"`)
				keysProblem(w, http.StatusUnauthorized, "authentication_invalid", "Invalid authentication", "Send an API key as the bearer token.")
				return
			}
		}
		writeKeys(w, r, signer, log, "private")
	})
}

func writeKeys(w http.ResponseWriter, r *http.Request, signer *auth.Signer, log *slog.Logger, purpose string) {
	document, err := signer.JWKS(r.Context())
	if err != nil {
		log.ErrorContext(r.Context(), "the signing keys cannot be read", "error", err)
		keysProblem(w, http.StatusServiceUnavailable, "service_unavailable", "Service unavailable", "Try again later.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", fmt.Sprintf("%s, max-age=%d", purpose, int(jwksAge/time.Second)))
	_, _ = w.Write(document)
}

// keysProblem writes an error in the format of the client session API.
func keysProblem(w http.ResponseWriter, status int, code, message, long string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"message":%q,"long_message":%q,"code":%q}]}`+"\n", message, long, code)
}

// SigningKey is a key of session tokens as the commands display it.
type SigningKey = auth.StoredKey

// ErrRotated is returned if the keys were changed concurrently.
var ErrRotated = auth.ErrRotated

// verifierCache is how long verifiers cache a JWKS (client session API, verifiers to satisfy: up to an hour).
const verifierCache = time.Hour

// SigningKeys returns the published keys.
func (d *Database) SigningKeys(ctx context.Context, c *Config) ([]SigningKey, error) {
	return newSigner(c, d.DB, nil).Keys(ctx)
}

// RotateSigningKeys makes the next key the current one. It writes a warning to stdout if the key was published so
// recently that verifiers may not have it yet.
func (d *Database) RotateSigningKeys(ctx context.Context, c *Config, stdout io.Writer) (SigningKey, error) {
	key, err := newSigner(c, d.DB, nil).Rotate(ctx)
	if age := c.now().Sub(key.CreatedAt); err == nil && age < verifierCache {
		fmt.Fprintf(
			stdout,
			"note: this key was published %s ago; a verifier that caches keys for longer, and does not fetch unknown keys, refuses its tokens until then\n",
			age.Round(time.Second),
		)
	}
	return key, err
}

// ClientToken returns a token of a client, a browser or device, and creates the client if it does not exist. It
// requires neither a running server nor an issuer, because the service signs these tokens itself.
func (d *Database) ClientToken(ctx context.Context, c *Config, clientID string) (string, error) {
	service := newService(c, d.DB, seal.NewHasher(seal.CostLow), newSigner(c, d.DB, nil), "")
	_, token, err := service.IssueClientToken(ctx, clientID)
	return token, err
}
