package auth_test

import (
	"context"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/gatehouse/gatehouse/auth"
)

type oneKey struct{ kept []byte }

func (k *oneKey) VerificationKey(_ context.Context, fresh []byte) ([]byte, error) {
	if k.kept == nil {
		k.kept = fresh
	}
	return k.kept, nil
}

func TestVerificationTokensVerifyWithThePublishedKey(t *testing.T) {
	t.Parallel()
	keys := &oneKey{}
	here, there := auth.NewAttester(keys), auth.NewAttester(keys)
	claims := map[string]any{"sub": "contact_1", "state": "passed"}
	token, err := here.Attest(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := there.Attest(t.Context(), claims); err != nil || again != token {
		t.Errorf("the same claims yield another token: %v", err)
	}
	document, err := there.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(document), `"d"`) {
		t.Error("the private key is published")
	}
	set, err := jwk.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := jws.Verify([]byte(token), jws.WithKeySet(set))
	if err != nil || !strings.Contains(string(payload), `"contact_1"`) {
		t.Errorf("got %s, %v", payload, err)
	}
	message, err := jws.ParseString(token)
	if err != nil {
		t.Fatal(err)
	}
	if typ, _ := message.Signatures()[0].ProtectedHeaders().Type(); typ != "verification+jwt" {
		t.Errorf("the type is %s", typ)
	}
	if _, err := jws.Verify([]byte(token[:len(token)-3]+"AAA"), jws.WithKeySet(set)); err == nil {
		t.Error("a forged token is accepted")
	}
}
