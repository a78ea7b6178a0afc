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
	// refreshEvery is how long a withdrawn key is believed at most while the issuer answers.
	refreshEvery = 10 * time.Minute
	// askEvery bounds what forged key ids cost the issuer, and is how long a new key may stay unknown at most.
	askEvery = 30 * time.Second
	// firstEvery is askEvery before there are any keys, when each token has to wait for them.
	firstEvery = 2 * time.Second
	// retryFirst and retryLimit are the shortest and the longest pause after a failed refresh.
	retryFirst, retryLimit = time.Second, 30 * time.Second
	// fetchDeadline and fetchLimit bound one document of the issuer.
	fetchDeadline, fetchLimit = 5 * time.Second, 1 << 20
	// redirectLimit is more than an issuer needs.
	redirectLimit = 3
	// keyLimit bounds the work that a token without a key id can cause.
	keyLimit = 100
	// externalLeeway is how far the issuer's clock and ours may differ.
	externalLeeway = 30 * time.Second
)

// ExternalConfig is what an external issuer works with.
type ExternalConfig struct {
	// Issuer is the issuer's URL exactly as it stands in its tokens and in its discovery document.
	Issuer string
	// Audience is what aud must hold; empty: anything.
	Audience string
	// Now is the clock.
	Now func() time.Time
	// Log hears when the issuer does not answer; nil: nobody does.
	Log *slog.Logger
	// Transport reaches the issuer; nil: http.DefaultTransport.
	Transport http.RoundTripper
}

// ExternalIssuer believes the access tokens of an OpenID Connect issuer. It fetches the issuer's keys by discovery and
// keeps them in memory: while the issuer is down or sends nonsense, the keys it sent last stay in use.
type ExternalIssuer struct {
	rules  rules
	client *http.Client
	log    *slog.Logger
	// keys is nil until the first set arrives.
	keys atomic.Pointer[keySet]

	mu sync.Mutex
	// flight is the refresh under way, if any.
	flight *flight
	// asked is when a token last caused a refresh, by whether there were keys.
	asked map[bool]time.Time
}

type flight struct {
	done chan struct{}
	err  error
}

// NewExternalIssuer checks the configuration. Nothing is fetched yet: Run does that, and so does a token that comes
// before it.
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
			// RFC 9068 wants at+jwt, but many issuers write JWT or nothing.
			types: []string{accessTokenType, "application/" + accessTokenType, "jwt", ""},
		},
		client: &http.Client{Transport: c.Transport, CheckRedirect: redirect},
		log:    c.Log,
		asked:  map[bool]time.Time{},
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	return e, nil
}

// Run keeps the keys current until the context ends: at once, every ten minutes, and after a failure sooner.
func (e *ExternalIssuer) Run(ctx context.Context) {
	retry := retryFirst
	for {
		wait := refreshEvery
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

// Verify believes the issuer's access tokens. ErrUnavailable says that its keys have never arrived.
func (e *ExternalIssuer) Verify(ctx context.Context, raw string) (Claims, error) {
	mark := fingerprint(sha256.Sum256([]byte(raw)))
	keys := e.keys.Load()
	if keys != nil {
		if claims, ok := keys.believed.Get(mark); ok {
			return recheck(e.rules, keys, mark, claims)
		}
	}
	t, err := parse(raw)
	if err != nil {
		return Claims{}, err
	}
	// Before any key is looked for, so that a token of somebody else's costs the issuer nothing.
	claims, err := e.rules.read(t)
	if err != nil {
		return Claims{}, err
	}
	if keys, err = e.signer(ctx, keys, t); err != nil {
		return Claims{}, err
	}
	if err := e.rules.current(claims); err != nil {
		return Claims{}, err
	}
	keys.believed.Add(mark, claims)
	return claims, nil
}

// signer gives the key set that has signed the token. A token that names no key we know may be signed by a new one, so
// the issuer is asked, within limits.
func (e *ExternalIssuer) signer(ctx context.Context, keys *keySet, t token) (*keySet, error) {
	if !asymmetric(t.alg) {
		return nil, invalid("signed with an algorithm that is not accepted")
	}
	if keys != nil {
		if keys.signed(t) {
			return keys, nil
		}
		if keys.knows(t) {
			return nil, invalid("not signed by the key it names")
		}
	}
	if err := e.ask(ctx, keys != nil); err != nil {
		return nil, err
	}
	fresh := e.keys.Load()
	if fresh == nil {
		return nil, ErrUnavailable
	}
	if fresh == keys || !fresh.signed(t) {
		return nil, invalid("not signed by a key of the issuer")
	}
	return fresh, nil
}

// ask refreshes the keys for a token, unless one has done so just before. Its error is only that of the caller having
// gone: a refresh that failed leaves the keys as they were.
func (e *ExternalIssuer) ask(ctx context.Context, haveKeys bool) error {
	pause := firstEvery
	if haveKeys {
		pause = askEvery
	}
	e.mu.Lock()
	now := e.rules.now()
	last, before := e.asked[haveKeys]
	waiting := before && now.Sub(last) < pause
	if e.flight == nil && waiting {
		e.mu.Unlock()
		return nil
	}
	if e.flight == nil {
		e.asked[haveKeys] = now
	}
	f := e.join(ctx)
	e.mu.Unlock()
	_ = f.wait(ctx)
	return ctx.Err()
}

// Refresh fetches the keys now, or waits for the fetch that is under way.
func (e *ExternalIssuer) Refresh(ctx context.Context) error {
	e.mu.Lock()
	f := e.join(ctx)
	e.mu.Unlock()
	return f.wait(ctx)
}

// join gives the refresh under way, and starts one where there is none. It goes on when the caller who started it goes,
// because others wait for it. The caller holds mu.
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

// load fetches the discovery document and the keys, and puts the keys in place of those before.
func (e *ExternalIssuer) load(ctx context.Context) error {
	document, err := e.fetch(ctx, strings.TrimSuffix(e.rules.issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	var found struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if json.Unmarshal(document, &found) != nil {
		return errors.New("discovery: not a JSON object")
	}
	// OpenID Connect Discovery 1.0, section 4.3: exactly.
	if found.Issuer != e.rules.issuer {
		return errors.New("discovery: the document is that of another issuer")
	}
	at, err := url.Parse(found.Keys)
	if err != nil || at.Host == "" || !confidential(at) || at.Scheme == "http" && strings.HasPrefix(e.rules.issuer, "https:") {
		return errors.New("discovery: jwks_uri is no URL that can be trusted")
	}
	document, err = e.fetch(ctx, found.Keys)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	before := e.keys.Load()
	if before != nil && bytes.Equal(before.document, document) {
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

// readKeys reads a JWKS key by key, so that a bad one does not take the others with it. An empty set is an issuer that
// has withdrawn all its keys; one without a single usable key is nonsense, and an error.
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
		return nil, skipped, errors.New("none of the keys can be used")
	}
	return keys, skipped, nil
}

// fetch gets a document of the issuer. Its errors hold no part of it.
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

// redirect follows an issuer within its scheme only.
func redirect(to *http.Request, via []*http.Request) error {
	if len(via) > redirectLimit {
		return errors.New("too many redirects")
	}
	if to.URL.Scheme != via[0].URL.Scheme || !confidential(to.URL) {
		return errors.New("a redirect to another scheme or an open network")
	}
	return nil
}

// confidential reports whether nobody on the way can change what comes from there.
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
