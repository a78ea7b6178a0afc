package seal_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/seal"
)

var keyText = base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

func TestParseKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(path, []byte(keyText+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain, err := seal.ParseKey(keyText)
	if err != nil {
		t.Fatal(err)
	}
	if inFile, err := seal.ParseKey("file:" + path); err != nil || inFile != plain {
		t.Errorf("from a file: %v", err)
	}
	for claim, text := range map[string]string{
		"nothing":                "",
		"too short":              "c2VjcmV0",
		"not Base64":             "secret, secret, secret",
		"Base64 for URLs":        strings.Repeat("-_", 21) + "8=",
		"zeros":                  strings.Repeat("A", 43) + "=",
		"a file that is missing": "file:" + path + ".missing",
		"a file with another file's name in it": "file:" + func() string {
			p := path + ".nested"
			_ = os.WriteFile(p, []byte("file:"+path), 0o600)
			return p
		}(),
	} {
		t.Run(claim+" is refused", func(t *testing.T) {
			t.Parallel()
			_, err := seal.ParseKey(text)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.HasPrefix(text, "file:") && text != "" && strings.Contains(err.Error(), text) {
				t.Errorf("the error contains the text: %v", err)
			}
		})
	}
}

func TestKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	key, err := seal.ParseKey(keyText)
	if err != nil {
		t.Fatal(err)
	}
	inJSON, err := json.Marshal(map[string]any{"key": key, "pointer": &key})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s %x %d", key, key, key, key, key, key), fmt.Sprint(&key), string(inJSON)} {
		if strings.Contains(shown, "0123") || strings.Contains(shown, "30313233") || strings.Contains(shown, "48 49") || !strings.Contains(shown, "[key]") {
			t.Errorf("the output is %s", shown)
		}
	}
}

// Many processes start at once in an empty directory: all use one key, and the next start finds the same key.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "encryption.key")
	keys := make([]seal.Key, 32)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			k, err := seal.KeyFile(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = k
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] || k.IsZero() {
			t.Fatal("two processes have different keys")
		}
	}
	if later, err := seal.KeyFile(path); err != nil || later != keys[0] {
		t.Errorf("a later start: %v", err)
	}
	if named, err := seal.ParseKey("file:" + path); err != nil || named != keys[0] {
		t.Errorf("the file named in the configuration: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory contains %d files, %v", len(entries), err)
	}
	if _, err := seal.KeyFile(filepath.Join(dir, "missing", "encryption.key")); err == nil {
		t.Error("a directory was created")
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.KeyFile(path); err == nil {
		t.Error("a damaged key was replaced or used")
	}
}
