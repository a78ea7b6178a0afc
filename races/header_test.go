package races

import (
	"net/http"
	"strings"
	"testing"
)

// TestHeadersOfAnswers: browsers are told to do nothing with what is no page, to come by https where the bank does, and
// to keep no credential where a script reads it.
func TestHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"", "https://id.bank.example"} {
		env := []string{"GATEHOUSE_PUBLIC_URL=" + public}
		b := openBank(t, "sqlite", nil, env...)
		for _, path := range []string{"/healthz", "/invitations/", "/identity/quizzes", "/system/apiDoc", "/v1/client", "/sessions/version", "/graphql", "/.well-known/jwks.json", "/invite", "/verify-email", "/nowhere"} {
			a, err := b.send(0, http.MethodGet, path, "")
			if err != nil {
				t.Fatal(err)
			}
			h := a.header
			if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Server") != "" || h.Get("X-Powered-By") != "" {
				t.Errorf("%s: %v", path, h)
			}
			policy := h.Get("Content-Security-Policy")
			if path != "/nowhere" && (!strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe-")) {
				t.Errorf("%s has the policy %q", path, policy)
			}
			if hsts := h.Get("Strict-Transport-Security"); (hsts == "max-age=31536000; includeSubDomains") != (public != "") {
				t.Errorf("%s at %q: HSTS %q", path, public, hsts)
			}
			if a.body != "" && a.status == http.StatusOK && h.Get("Content-Type") == "" {
				t.Errorf("%s has no media type", path)
			}
		}
		origin := public
		if origin == "" {
			origin = b.urls[0]
		}
		a, err := b.send(0, http.MethodPut, "/v1/client", "", "Origin: "+origin)
		cookie := a.header.Get("Set-Cookie")
		if err != nil || !strings.Contains(cookie, "; HttpOnly") || !strings.Contains(cookie, "; SameSite=Lax") || strings.Contains(cookie, "; Secure") != (public != "") || strings.Contains(cookie, "Domain=") {
			t.Errorf("the cookie %q %v", cookie, err)
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("a credential may be kept: %v", a.header)
		}
		if a, err := b.send(0, "TRACE", "/graphql", ""); err != nil || a.status < 400 {
			t.Errorf("TRACE: %d %v", a.status, err)
		}
	}
}
