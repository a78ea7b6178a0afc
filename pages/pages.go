// Package pages serves HTML for people: the pages that mails link to, and the playground for developers.
//
// It knows HTML, forms and the few methods of the rules that a form calls. It must not know the GraphQL schema, the
// REST dialects, the database or authentication: except for the playground, its pages work without scripts, cookies and
// tokens. No secret, key or address is written to a page or a log line.
package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// guard sets the headers of every page: nothing beyond the policy may be loaded, framed, cached, sniffed or sent as a
// referrer.
func guard(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
}

// source returns the CSP source of an inline style.
func source(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// allowMethods reports whether the page has the method, and responds 405 otherwise.
func allowMethods(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	return false
}
