package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestPostgresUnavailable(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"57P01": true, "57P03": true, "53300": true, "53100": true, "08006": true, "25006": true, "57014": true, "40001": true,
		"23505": false, "23514": false, "42P01": false, "22021": false,
	} {
		err := fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code})
		if postgresUnavailable(err) != want {
			t.Errorf("%s: unavailable is %t", code, !want)
		}
		if again := postgresAgain(err); again != (code == "40001") {
			t.Errorf("%s: again is %t", code, again)
		}
	}
	if postgresUnavailable(errors.New("a bug")) {
		t.Error("every error is classified as unavailable")
	}
}
