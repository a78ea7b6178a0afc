package auth

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/seal"
)

const (
	// apiKeyPrefix makes a leaked key easy to find by a scanner.
	apiKeyPrefix = "gh_"
	// apiKeyBits is so many that the plain SHA-256 of a key is as good as a slow hash of it.
	apiKeyBits = 256
	// apiKeyLimit bounds what is hashed and looked up: a key of ours has 46 characters.
	apiKeyLimit = 128
)

// NewAPIKey makes an API key and the hash by which Keys finds it. The key is shown once; only the hash is stored.
func NewAPIKey() (key string, hash []byte) {
	key = apiKeyPrefix + seal.Token(apiKeyBits)
	return key, hashAPIKey(key)
}

func hashAPIKey(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// client gives the name of the client whose key came; empty where none did, an unknown one, or more than one.
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

// BearerKey gives the name of the client whose API key came as the bearer token; empty where none that is known did.
// Only doors that servers call take a key there.
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
