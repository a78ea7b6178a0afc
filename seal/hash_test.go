package seal_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/seal"
)

func TestHasher(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	h := seal.NewHasher(seal.CostLow)
	hash, err := h.Hash(ctx, "Café 1")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`).MatchString(hash) {
		t.Errorf("hash %s", hash)
	}
	if again, err := h.Hash(ctx, "Café 1"); err != nil || again == hash {
		t.Errorf("two hashes of one secret are equal, %v", err)
	}
	for _, c := range []struct {
		claim, secret string
		want          bool
	}{
		{"the secret itself is found", "Café 1", true},
		{"the same letters in another Unicode form are found", "Cafe\u0301 1", true},
		{"case counts", "café 1", false},
		{"a space before it counts", " Café 1", false},
		{"a space behind it counts", "Café 1 ", false},
		{"nothing is another secret", "", false},
	} {
		t.Run(c.claim, func(t *testing.T) {
			t.Parallel()
			if got, err := h.Verify(ctx, c.secret, hash); err != nil || got != c.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestHasherDefaultCost(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cost, err := seal.ParseCost("default")
	if err != nil {
		t.Fatal(err)
	}
	hash, err := seal.NewHasher(cost).Hash(ctx, "1234")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%s, %v", hash, err)
	}
	// A hasher of another cost verifies it too.
	if ok, err := seal.NewHasher(seal.CostLow).Verify(ctx, "1234", hash); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if low, err := seal.ParseCost("low"); err != nil || low != seal.CostLow {
		t.Errorf("low is %v, %v", low, err)
	}
	if _, err := seal.ParseCost("none"); err == nil {
		t.Error("an unknown cost was accepted")
	}
}

func TestHasherRefusesForeignHashes(t *testing.T) {
	t.Parallel()
	h := seal.NewHasher(seal.CostLow)
	const salt, sum = "AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, text := range []string{
		"", "secret", "$2a$10$abcdefghijklmnopqrstuv",
		"$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt,
		"$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + sum,
		"$argon2id$v=19$m=1,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=4294967295,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1,x=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$",
		"$argon2id$v=19$m=64,t=1,p=1$!$" + sum,
	} {
		if ok, err := h.Verify(context.Background(), "secret", text); ok || !errors.Is(err, seal.ErrBadHash) {
			t.Errorf("%q: %v, %v", text, ok, err)
		}
	}
}

// With more callers than processors every caller gets a result, a cancelled caller gets none, and Burn does not return
// an error that distinguishes a missing record.
func TestHasherWaits(t *testing.T) {
	t.Parallel()
	h := seal.NewHasher(seal.CostLow)
	hash, err := h.Hash(context.Background(), "1234")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if ok, err := h.Verify(context.Background(), "1234", hash); !ok || err != nil {
				t.Errorf("got %v, %v", ok, err)
			}
		})
	}
	wg.Wait()
	if err := h.Burn(context.Background(), "1234"); err != nil {
		t.Errorf("an unknown caller: %v", err)
	}
	gone, leave := context.WithCancel(context.Background())
	leave()
	if _, err := h.Hash(gone, "1234"); !errors.Is(err, context.Canceled) {
		t.Errorf("hash for a cancelled caller: %v", err)
	}
	if _, err := h.Verify(gone, "1234", hash); !errors.Is(err, context.Canceled) {
		t.Errorf("verify for a cancelled caller: %v", err)
	}
	if err := h.Burn(gone, "1234"); !errors.Is(err, context.Canceled) {
		t.Errorf("burn for a cancelled caller: %v", err)
	}
}

func TestRandom(t *testing.T) {
	t.Parallel()
	if a, b := seal.Token(160), seal.Token(160); a == b || len(a) != 27 {
		t.Errorf("tokens %s, %s", a, b)
	}
}
