package db

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/gatehouse/gatehouse/db/engine"
)

// CheckURL returns an error if a database URL is invalid. The error does not contain the URL, which may contain a
// password.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err == nil && u.Scheme == "sqlite":
		if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("the URL of an embedded database is sqlite:// and an absolute path, such as sqlite:///var/lib/gatehouse.db")
		}
		return nil
	case err == nil && u.Scheme != "postgres" && u.Scheme != "postgresql",
		// pgx also accepts keyword strings such as host=db, which do not identify the kind of database.
		err != nil && !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://"):
		return errors.New("a database URL must begin with sqlite:/// or postgres://")
	}
	// net/url does not support several hosts; pgx decides.
	if !engine.CheckPostgresURL(text) {
		return errors.New("the database URL is malformed")
	}
	return nil
}
