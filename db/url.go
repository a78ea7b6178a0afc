package db

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/gatehouse/gatehouse/db/engine"
)

// CheckURL reports what is wrong with a database URL, without the text of it, which may hold a password.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err == nil && u.Scheme == "sqlite":
		if u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("an embedded database is named by sqlite:// and an absolute path: sqlite:///var/lib/gatehouse.db")
		}
		return nil
	case err == nil && u.Scheme != "postgres" && u.Scheme != "postgresql",
		// pgx takes words like host=db too, which say nothing of the kind of database.
		err != nil && !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://"):
		return errors.New("a database URL begins with sqlite:/// or postgres://")
	}
	// Several hosts are beyond net/url; pgx has the last word.
	if !engine.CheckPostgresURL(text) {
		return errors.New("the database URL is malformed")
	}
	return nil
}
