package wire_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/rest/wire"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		said []string
		good bool
	}{
		"no header":                  {nil, true},
		"a key":                      {[]string{"5a8fce74 é"}, true},
		"the longest key":            {[]string{strings.Repeat("é", 255)}, true},
		"a key that is too long":     {[]string{strings.Repeat("x", 256)}, false},
		"an empty key":               {[]string{""}, false},
		"a key that is not readable": {[]string{"a\tb"}, false},
		"a key that is no text":      {[]string{"a\xff"}, false},
		"two headers":                {[]string{"a", "a"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := wire.IdempotencyKey(&http.Request{Header: http.Header{"Idempotency-Key": c.said}})
			switch {
			case !c.good:
				if !problem.Has(err, problem.InvalidParameter) || key != nil {
					t.Fatalf("got %v, %v", key, err)
				}
			case err != nil:
				t.Fatal(err)
			case len(c.said) == 0 && key != nil, len(c.said) == 1 && (key == nil || *key != c.said[0]):
				t.Fatalf("got %v", key)
			}
		})
	}
}
