package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refreshInterval is the maximum time for which a withdrawn key is trusted while the issuer is available.
	refreshInterval = 10 * time.Minute
	// unknownKeyInterval limits the requests to the issuer that forged key ids can cause. It is also the maximum time
	// for which a new key may remain unknown.
	unknownKeyInterval = 30 * time.Second
	// initialInterval replaces unknownKeyInterval until the first keys arrive, because every token has to wait for
	// them.
	initialInterval = 2 * time.Second
	// retryFirst and retryLimit are the shortest and the longest pause after a failed refresh.
	retryFirst, retryLimit = time.Second, 30 * time.Second
	// fetchDeadline and fetchLimit are the time limit and the size limit for one document of the issuer.
	fetchDeadline, fetchLimit = 5 * time.Second, 1 << 20
	// redirectLimit is more than any issuer needs.
	redirectLimit = 3
	// keyLimit limits the work that a token without a key id can cause.
	keyLimit = 100
	// externalLeeway is the permitted difference between the issuer's clock and the local clock.
	externalLeeway = 30 * time.Second
)

// ExternalConfig configures an external issuer.
type ExternalConfig struct {
	// Issuer is the issuer's URL exactly as in its tokens and in its discovery document.
	Issuer string
	// Audience is the required value in aud; if empty, any audience is accepted.
	Audience string
	// Now returns the current time.
	Now func() time.Time
	// Log receives failures to reach the issuer; if nil, they are discarded.
	Log *slog.Logger
	// Transport sends the requests to the issuer; if nil, http.DefaultTransport is used.
	Transport http.RoundTripper
}

// ExternalIssuer verifies the access tokens of an OpenID Connect issuer. It fetches the issuer's keys by discovery and
// keeps them in memory: while the issuer is unavailable or returns invalid documents, the last valid keys remain in
// use.
type ExternalIssuer struct {
	rules  rules
	client *http.Client
	log    *slog.Logger
	// keys is nil until the first key set arrives.
	keys atomic.Pointer[keySet]

	mu sync.Mutex
	// flight is the refresh in progress, or nil.
	flight *flight
	// lastRequest is the time of the last refresh caused by a token, indexed by whether keys were present.
	lastRequest map[bool]time.Time
}

type flight struct {
	done chan struct{}
	err  error
}

// NewExternalIssuer validates the configuration. It does not fetch anything: Run does, and so does the first token
// verified before Run.
func NewExternalIssuer(c ExternalConfig) (*ExternalIssuer, error) {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the issuer must be a URL without user, query and fragment")
	}
	if !confidential(u) {
		return nil, errors.New("the issuer must use https, or http on a loopback host")
	}
	e := &ExternalIssuer{
		rules: rules{
			issuer: c.Issuer, audience: c.Audience, leeway: externalLeeway, now: c.Now,
			// RFC 9068 requires at+jwt, but many issuers write JWT or omit typ.
			types: []string{accessTokenType, "application/" + accessTokenType, "jwt", ""},
		},
		client:      &http.Client{Transport: c.Transport, CheckRedirect: redirect},
		log:         c.Log,
		lastRequest: map[bool]time.Time{},
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	return e, nil
}

// Run refreshes the keys until ctx ends: immediately, every ten minutes, and sooner after a failure.
func (e *ExternalIssuer) Run(ctx context.Context) {
	retry := retryFirst
	for {
		wait := refreshInterval
		if err := e.Refresh(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			e.log.WarnContext(ctx, "issuer keys not refreshed", "issuer", e.rules.issuer, "error", err, "retry", retry)
			wait, retry = retry, min(2*retry, retryLimit)
		} else {
			retry = retryFirst
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Verify verifies an access token of the issuer. It returns ErrUnavailable if the issuer's keys have never been
// received.
func (e *ExternalIssuer) Verify(ctx context.Context, raw string) (Claims, error) {
	digest := fingerprint(sha256.Sum256([]byte(raw)))
	keys := e.keys.Load()
	if keys != nil {
		if claims, ok := keys.verified.Get(digest); ok {
			return checkCached(e.rules, keys, digest, claims)
		}
	}
	t, err := parse(raw)
	if err != nil {
		return Claims{}, err
	}
	// Checked before the key lookup, so that a token from another issuer does not cause a request to this one.
	claims, err := e.rules.read(t)
	if err != nil {
		return Claims{}, err
	}
	if keys, err = e.signer(ctx, keys, t); err != nil {
		return Claims{}, err
	}
	if err := e.rules.checkTime(claims); err != nil {
		return Claims{}, err
	}
	keys.verified.Add(digest, claims)
	return claims, nil
}

// signer returns the key set that contains the key which signed the token. If the token does not name a known key, a
// new key may have signed it, so the keys are refreshed, within limits.
func (e *ExternalIssuer) signer(ctx context.Context, keys *keySet, t token) (*keySet, error) {
	if !asymmetric(t.alg) {
		return nil, invalid("signed with an algorithm that is not accepted")
	}
	if keys != nil {
		if keys.verifies(t) {
			return keys, nil
		}
		if keys.hasKeyID(t) {
			return nil, invalid("not signed by the key it names")
		}
	}
	if err := e.refreshForToken(ctx, keys != nil); err != nil {
		return nil, err
	}
	fresh := e.keys.Load()
	if fresh == nil {
		return nil, ErrUnavailable
	}
	if fresh == keys || !fresh.verifies(t) {
		return nil, invalid("not signed by a key of the issuer")
	}
	return fresh, nil
}

// refreshForToken refreshes the keys, unless another token has just caused a refresh. It returns only the error of ctx:
// a failed refresh leaves the keys unchanged.
func (e *ExternalIssuer) refreshForToken(ctx context.Context, haveKeys bool) error {
	pause := initialInterval
	if haveKeys {
		pause = unknownKeyInterval
	}
	e.mu.Lock()
	now := e.rules.now()
	last, ok := e.lastRequest[haveKeys]
	tooSoon := ok && now.Sub(last) < pause
	if e.flight == nil && tooSoon {
		e.mu.Unlock()
		return nil
	}
	if e.flight == nil {
		e.lastRequest[haveKeys] = now
	}
	f := e.join(ctx)
	e.mu.Unlock()
	_ = f.wait(ctx)
	return ctx.Err()
}

// Refresh fetches the keys, or waits for the fetch in progress.
func (e *ExternalIssuer) Refresh(ctx context.Context) error {
	e.mu.Lock()
	f := e.join(ctx)
	e.mu.Unlock()
	return f.wait(ctx)
}

// join returns the refresh in progress and starts one if there is none. The refresh continues if the caller that
// started it is cancelled, because others wait for it. The caller must hold mu.
func (e *ExternalIssuer) join(ctx context.Context) *flight {
	if e.flight != nil {
		return e.flight
	}
	f := &flight{done: make(chan struct{})}
	e.flight = f
	go func() {
		f.err = e.load(context.WithoutCancel(ctx))
		e.mu.Lock()
		e.flight = nil
		e.mu.Unlock()
		close(f.done)
	}()
	return f
}

func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load fetches the discovery document and the keys, and replaces the current keys.
func (e *ExternalIssuer) load(ctx context.Context) error {
	document, err := e.fetch(ctx, strings.TrimSuffix(e.rules.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	var metadata struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if json.Unmarshal(document, &metadata) != nil {
		return errors.New("discovery: not a JSON object")
	}
	// OpenID Connect Discovery 1.0, section 4.3, requires an exact match.
	if metadata.Issuer != e.rules.issuer {
		return errors.New("discovery: the document names another issuer")
	}
	keysURL, err := url.Parse(metadata.Keys)
	if err != nil || keysURL.Host == "" || !confidential(keysURL) || keysURL.Scheme == "http" && strings.HasPrefix(e.rules.issuer, "https:") {
		return errors.New("discovery: jwks_uri is not a trusted URL")
	}
	document, err = e.fetch(ctx, metadata.Keys)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	current := e.keys.Load()
	if current != nil && bytes.Equal(current.document, document) {
		return nil
	}
	keys, skipped, err := readKeys(document)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	e.keys.Store(&keySet{document: document, keys: keys})
	e.log.InfoContext(ctx, "issuer keys received", "issuer", e.rules.issuer, "keys", len(keys), "skipped", skipped)
	return nil
}

// readKeys parses a JWKS key by key, so that an invalid key does not invalidate the others. An empty set is valid: the
// issuer has withdrawn all its keys. A set without any usable key is an error.
func readKeys(document []byte) (keys []publicKey, skipped int, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(document, &set) != nil || set.Keys == nil {
		return nil, 0, errors.New("not a key set")
	}
	if len(set.Keys) > keyLimit {
		return nil, 0, fmt.Errorf("more than %d keys", keyLimit)
	}
	for _, raw := range set.Keys {
		key, err := readKey(raw)
		if err != nil {
			skipped++
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 && skipped > 0 {
		return nil, skipped, errors.New("no usable key")
	}
	return keys, skipped, nil
}

// fetch retrieves a document from the issuer. Its errors contain no part of the document.
func (e *ExternalIssuer) fetch(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchDeadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := e.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	document, err := io.ReadAll(io.LimitReader(res.Body, fetchLimit+1))
	if err != nil {
		return nil, err
	}
	if len(document) > fetchLimit {
		return nil, fmt.Errorf("more than %d bytes", fetchLimit)
	}
	return document, nil
}

// redirect follows redirects within the same scheme only.
func redirect(to *http.Request, via []*http.Request) error {
	if len(via) > redirectLimit {
		return errors.New("too many redirects")
	}
	if to.URL.Scheme != via[0].URL.Scheme || !confidential(to.URL) {
		return errors.New("redirect to another scheme or an insecure URL")
	}
	return nil
}

// confidential reports whether the connection to u is protected against modification: https, or a loopback host.
func confidential(u *url.URL) bool {
	switch u.Scheme {
	case "https":
		return true
	case "http":
		host := u.Hostname()
		a, err := netip.ParseAddr(host)
		return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && a.Unmap().IsLoopback()
	default:
		return false
	}
}
