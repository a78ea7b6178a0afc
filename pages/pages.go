// Package pages serves HTML for people: the page an invitation mail links to, and the playground of a developer.
//
// It knows HTML, forms and the few methods of the rules that a form calls. It does not know GraphQL's schema, the
// REST dialects, the database or how anybody signs in: its pages work without scripts (the playground aside),
// cookies and tokens. No secret, key or address is written into a page or a log line.
package pages

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
)

// guard sets the headers that every page has: nothing is loaded, framed, stored, guessed or told to others, beyond
// what the policy allows.
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

// source is the CSP source of an inline style.
func source(style string) string {
	sum := sha256.Sum256([]byte(style))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// allowed answers a method that a page does not have with 405, and reports whether it has it.
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
