package auth

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/seal"
)

const (
	// apiKeyPrefix makes a leaked key easy to find for secret scanners.
	apiKeyPrefix = "gh_"
	// apiKeyBits is large enough that a plain SHA-256 of a key is as secure as a slow hash.
	apiKeyBits = 256
	// apiKeyLimit limits what is hashed and looked up; an API key has 46 characters.
	apiKeyLimit = 128
)

// NewAPIKey returns a random API key and the hash under which Keys finds it. The key is displayed once; only the hash
// is stored.
func NewAPIKey() (key string, hash []byte) {
	key = apiKeyPrefix + seal.Token(apiKeyBits)
	return key, hashAPIKey(key)
}

func hashAPIKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// client returns the name of the client that owns the presented key. It returns "" if there is no key, an unknown key,
// or more than one.
func (a *Authenticator) client(ctx context.Context, presented []string) (string, error) {
	if a.keys == nil || len(presented) != 1 {
		return "", nil
	}
	key := strings.TrimSpace(presented[0])
	if !strings.HasPrefix(key, apiKeyPrefix) || len(key) > apiKeyLimit {
		return "", nil
	}
	name, found, err := a.keys.APIKey(ctx, hashAPIKey(key))
	if err != nil || !found {
		return "", err
	}
	return name, nil
}

// BearerKey returns the name of the client whose API key was sent as the bearer token, or "" if there is no such
// client. Only endpoints that are called by servers accept a key there.
func (a *Authenticator) BearerKey(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", nil
	}
	key, ok := bearer(values[0])
	if !ok {
		return "", nil
	}
	return a.client(r.Context(), []string{key})
}
