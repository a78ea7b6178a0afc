package seal

import (
	"errors"
	"strings"
	"testing"
)

func FuzzStoredHash(f *testing.F) {
	for _, seed := range []string{
		"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAA$AAAA", "", "$$$$$", "$argon2i$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePHC(text)
		if err != nil {
			if !errors.Is(err, ErrBadHash) || len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Fatal(err)
			}
			return
		}
		if p.String() != text || p.cost.Memory > maxMemory {
			t.Fatalf("%q is parsed as %q", text, p)
		}
	})
}

func FuzzEncryptionKey(f *testing.F) {
	for _, seed := range []string{"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", "", "c2hvcnQ=", " AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n", "file:", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "file:") {
			return
		}
		key, err := ParseKey(text)
		if err != nil {
			if len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Fatalf("the error contains the key: %v", err)
			}
			return
		}
		if key.IsZero() {
			t.Fatalf("%q is accepted as a key of zeros", text)
		}
	})
}
