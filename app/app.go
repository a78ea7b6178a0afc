package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql/playground"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/docs"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/examples"
	"github.com/gatehouse/gatehouse/notify"
	"github.com/gatehouse/gatehouse/pages"
	"github.com/gatehouse/gatehouse/resolvers"
	"github.com/gatehouse/gatehouse/rest"
	"github.com/gatehouse/gatehouse/seal"
)

const (
	// shutdownTimeout is how long a stop waits for requests in progress (operating contract).
	shutdownTimeout = 30 * time.Second
	// drainTime is how long a stop continues to respond if no client polls /readyz, so that connections in use end with
	// a response that closes them, and not while their next request is in transit.
	drainTime = 500 * time.Millisecond
	// sweepEvery is the interval at which the sweeper writes the clock transitions that readers already see.
	sweepEvery = time.Second
	// purgeEvery is the interval at which expired data is deleted.
	purgeEvery = 10 * time.Minute
)

// Serve runs the server until ctx ends. It writes what is meant for the operator at the terminal to stdout: the address
// of the playground and, at the first start, a token and a key; they are never logged.
func Serve(ctx context.Context, c *Config, log *slog.Logger, stdout io.Writer) error {
	tuneMemory()
	tuneThreads(c.DatabaseURL)
	for _, text := range c.Warnings() {
		log.Warn("insecure setting", "what", text)
	}
	// The database and the mails must outlive the signal that stops the server.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("GATEHOUSE_LISTEN: %w", err)
	}
	defer listener.Close() //nolint:errcheck // the server closes it first
	publicURL := strings.TrimSuffix(c.PublicURL, "/")
	if publicURL == "" {
		publicURL = "http://" + listener.Addr().String()
	}

	store, err := openDatabase(ctx, c, log)
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // nothing is left to be written
	if err := store.Serve(); err != nil {
		return err
	}
	if err := ensureSchema(ctx, c, store); err != nil {
		return err
	}
	if err := store.ReleaseLeases(ctx); err != nil {
		return err
	}
	if c.Demonstrate() {
		if err := loadDemonstration(ctx, c, store); err != nil {
			return err
		}
	}

	cost, err := seal.ParseCost(c.HashCost)
	if err != nil {
		return err
	}
	signer := newSigner(c, store, log)
	if err := signer.Start(ctx); err != nil {
		return err
	}
	service := newService(c, store, seal.NewHasher(cost), signer, publicURL)
	counted := newMetrics(store, log)
	trace, stopTracing, err := startTracing(ctx)
	if err != nil {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}

	var background sync.WaitGroup
	attester, lists := addProviders(work, c, service, store, log, background.Go)
	counted.watch(lists)
	verifier, err := newVerifier(work, c, log, &background)
	if err != nil {
		return err
	}
	proxies, err := c.Proxies()
	if err != nil {
		return err
	}
	verifiers, err := domain.ParseVerifiers(c.Verifiers)
	if err != nil {
		return fmt.Errorf("GATEHOUSE_VERIFIERS: %w", err)
	}
	authenticator := auth.New(auth.Config{
		Verifier: verifier, Keys: store, Sessions: service, TrustedProxies: proxies, Verifiers: verifiers,
	})
	service.Live = domain.NewLive(service)
	defer service.Live.Stop()
	counted.follow(service.Live)

	deliverer, err := newDeliverer(c, store, log, counted, publicURL)
	if err != nil {
		return err
	}
	deliverer.Start()
	background.Go(func() { sweep(work, service, store, counted, log) })

	leaving := newDrain(c.now)
	doors, err := newDoors(c, service, authenticator, log, publicURL)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { answerReady(w, r, store, leaving) })
	mux.Handle("GET /.well-known/jwks.json", publicKeys(signer, log))
	mux.Handle("GET /.well-known/verification-keys.json", verificationKeys(attester, log))
	mux.Handle("GET /v1/jwks", authenticator.Middleware(serverKeys(authenticator, signer, log)))
	mux.Handle("/", authenticator.Middleware(doors))
	entry := withoutRedirects(mux, authenticator.Middleware(doors))

	outer := &chain{
		log:     log,
		now:     c.now,
		caller:  counted.requests,
		mark:    newMarker(store.KeyedHash),
		origins: c.Origins(publicURL),
		leaving: leaving.inProgress,
		secure:  strings.HasPrefix(publicURL, "https://"),
	}
	if c.Development() {
		outer.hosts = []string{hostOf(publicURL)}
	}
	server := newServer(trace(outer.wrap(entry)), log)
	server.ConnState = leaving.note
	var admin *http.Server
	if c.AdminListen != "" {
		l, err := net.Listen("tcp", c.AdminListen)
		if err != nil {
			return fmt.Errorf("GATEHOUSE_ADMIN_LISTEN: %w", err)
		}
		admin = newServer(adminHandler(counted), log)
		admin.WriteTimeout = 2 * time.Minute // a profile takes some seconds
		background.Go(func() { _ = admin.Serve(l) })
		log.Info("admin listening", "addr", l.Addr().String())
	}

	if c.Development() {
		if err := printWelcome(ctx, c, &Database{DB: store, now: c.now}, publicURL, stdout); err != nil {
			return err
		}
	}
	failed := make(chan error, 1)
	background.Go(func() { failed <- server.Serve(listener) })
	log.Info("listening", "addr", listener.Addr().String())

	select {
	case err = <-failed:
	case <-ctx.Done():
		log.Info("stopping")
		err = nil
	}
	end, release := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer release()
	leaving.wait(end, c.DrainDelay)
	service.Live.Stop() // streams do not end by themselves
	leaving.close(end, listener, server.Serve)
	if shutdownErr := server.Shutdown(end); shutdownErr != nil {
		log.Warn("some requests were interrupted", "error", shutdownErr)
		_ = server.Close()
	}
	outer.wait(end) // WebSockets are no longer connections of the server
	if shutdownErr := deliverer.Stop(end); shutdownErr != nil {
		log.Warn("the delivery of a message was interrupted; it will be repeated with the same id", "error", shutdownErr)
	}
	if admin != nil {
		_ = admin.Close()
	}
	cancel()
	background.Wait()
	if shutdownErr := stopTracing(end); shutdownErr != nil {
		log.Warn("traces could not be flushed", "error", shutdownErr)
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

const (
	// heapGrowth is the GC percentage: about ten megabytes are live, and a collection at every doubling costs a fifth
	// of the processor.
	heapGrowth = 800
	// heapLimit is the heap size from which the collector runs as often as necessary.
	heapLimit = 1 << 30
)

// tuneMemory trades memory for time, unless the standard variables GOGC and GOMEMLIMIT are set.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapLimit)
	}
}

// processors is the default number of threads that run at the same time: the number of available processors.
var processors = runtime.GOMAXPROCS(0)

// diskThreads is the number of threads of an embedded database that may wait for the disk: its writer, and the one that
// checkpoints its log. The scheduler counts a thread in a disk wait as running until it next checks, which is often
// after the wait.
const diskThreads = 2

// tuneThreads adds threads for the disk, unless the standard variable GOMAXPROCS is set.
func tuneThreads(databaseURL string) {
	if os.Getenv("GOMAXPROCS") == "" && (databaseURL == "" || strings.HasPrefix(databaseURL, "sqlite:")) {
		runtime.GOMAXPROCS(processors + diskThreads)
	}
}

// newServer sets the limits of a connection, so that a slow or silent client cannot hold one indefinitely.
func newServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// newService connects the rules to their ports.
func newService(c *Config, store *db.DB, hasher domain.Hasher, signer domain.Signer, publicURL string) *domain.Service {
	acceptURL := c.AcceptURL
	if acceptURL == "" {
		acceptURL = publicURL + "/invite?invitationId={invitationId}&key={key}"
	}
	return &domain.Service{
		Store: store, Directory: store, Limiter: store, Hasher: hasher, Signer: signer, Now: c.now, Known: new(domain.KnownClients),
		KeyedHash: store.KeyedHash,
		Settings: domain.Settings{
			PublicURL: publicURL, InstitutionName: c.InstitutionName, AcceptURL: acceptURL,
			InvitationTTL: c.InvitationTTL, InvitationResendLimit: c.InvitationResendLimit,
			InvitationMaxFailed: c.InvitationMaxFailedVerification,
			VerifyRate:          domain.Rate(c.VerifyRate), VerifyBlock: c.VerifyBlock,
			EmailTokenTTL: c.EmailTokenTTL, PhoneCodeTTL: c.PhoneCodeTTL, ChallengeTTL: c.ChallengeTTL, TwoFactorTTL: c.TwoFactorTTL,
			CodeSendLimit: domain.Rate(c.CodeSendLimit), CodeTryLimit: domain.Rate(c.CodeTryLimit), CodeRate: domain.Rate(c.CodeRate),
			SessionIdleTimeout: c.SessionIdleTimeout, SessionMaxLifetime: c.SessionMaxLifetime, SessionTokenTTL: c.SessionTokenTTL,
			CompleteRequiresVerification: c.CompleteRequiresVerification, Policy: c.policy,
		},
	}
}

// newVerifier verifies tokens of the external issuer if one is configured, and otherwise those of the data directory.
func newVerifier(ctx context.Context, c *Config, log *slog.Logger, background *sync.WaitGroup) (auth.Verifier, error) {
	if c.Development() {
		return auth.OpenDevelopmentIssuer(auth.DevelopmentConfig{Dir: c.DataDir, Audience: c.Audience, Now: c.now})
	}
	issuer, err := auth.NewExternalIssuer(auth.ExternalConfig{Issuer: c.Issuer, Audience: c.Audience, Now: c.now, Log: log})
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_ISSUER: %w", err)
	}
	background.Go(func() { issuer.Run(ctx) })
	return issuer, nil
}

// newDeliverer sends messages to the mail server or the development outbox.
func newDeliverer(c *Config, store *db.DB, log *slog.Logger, counted *metrics, publicURL string) (*notify.Deliverer, error) {
	mails, err := notify.NewComposer(c.MailFrom, hostOf(publicURL))
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_MAIL_FROM: %w", err)
	}
	files, err := notify.NewFiles(filepath.Join(c.DataDir, "outbox"), mails, log)
	if err != nil {
		return nil, err
	}
	senders := map[domain.Channel]notify.Sender{domain.ChannelEmail: files, domain.ChannelSMS: files}
	if c.SMTPURL != "" {
		smtp, err := notify.NewSMTP(c.SMTPURL, mails)
		if err != nil {
			return nil, fmt.Errorf("GATEHOUSE_SMTP_URL: %w", err)
		}
		senders[domain.ChannelEmail] = smtp
	}
	if c.SMSURL != "" {
		texts, err := notify.NewTwilio(c.SMSURL, mails)
		if err != nil {
			return nil, fmt.Errorf("GATEHOUSE_SMS_URL: %w", err)
		}
		senders[domain.ChannelSMS] = texts
	}
	return notify.NewDeliverer(notify.Options{
		Outbox: store, Senders: senders, Now: c.now, Log: log,
		Observe: func(channel, outcome string) { counted.delivered.WithLabelValues(channel, outcome).Inc() },
	}), nil
}

// newDoors mounts all endpoints.
func newDoors(
	c *Config, service *domain.Service, authenticator *auth.Authenticator, log *slog.Logger, publicURL string,
) (http.Handler, error) {
	documents, err := trustedDocuments(c.TrustedDocuments)
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_TRUSTED_DOCUMENTS: %w", err)
	}
	build := Build()
	limits := resolvers.DefaultLimits
	limits.Body = c.GraphQLMaxBody
	mux := http.NewServeMux()
	mux.Handle("/graphql", resolvers.New(resolvers.Options{
		Service: service, Log: log, Now: c.now, Development: c.Development(), TrustedDocuments: documents, Limits: limits,
		Version: build.Version, Commit: build.Commit, Go: build.Go,
		Origins: c.Origins(publicURL), Authenticate: authenticator.Authenticate,
	}))
	dialects := rest.New(rest.Options{
		Service:        service,
		Log:            log,
		Now:            c.now,
		RequireIfMatch: c.RequireIfMatch,
		AllowedOrigins: c.Origins(publicURL),
		Development:    c.Development(),
		Version:        build.Version,
	})
	mux.Handle("/", dialects)
	mux.Handle("/invite", pages.Invite(pages.InviteOptions{Service: service, Institution: c.InstitutionName, Log: log, Now: c.now}))
	mux.Handle(
		"/verify-email", pages.VerifyEmail(pages.VerifyEmailOptions{Service: service, Institution: c.InstitutionName, Log: log, Now: c.now}),
	)
	if c.Development() {
		page := pages.Playground(pages.PlaygroundOptions{
			ForeignGraphiQL: playground.Handler("Gatehouse", "/graphql"), ForeignOrigin: "https://cdn.jsdelivr.net",
			Tokens: c.demoTokens(), Reference: docs.Pages,
		})
		mux.Handle("/{$}", page)
		mux.Handle("/playground/", page)
	}
	return withoutRedirects(mux, dialects), nil
}

// withoutRedirects prevents http.ServeMux from redirecting an unclean path to the clean one: a repeated request may
// arrive without its body, and each dialect must treat such a path like any other unknown one.
func withoutRedirects(mux *http.ServeMux, other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean(r.URL.Path)
		if r.URL.Path != clean && r.URL.Path != clean+"/" {
			other.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// trustedDocuments reads a file of GraphQL documents by id: {"id": "document", …}. With an empty path all documents are
// served.
func trustedDocuments(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, err
	}
	var out map[string]string
	if err := json.Unmarshal(raw, &out); err != nil || len(out) == 0 {
		return nil, errors.New("expected a JSON object of documents by id")
	}
	return out, nil
}

// loadDemonstration loads the demonstration directory into an empty database.
func loadDemonstration(ctx context.Context, c *Config, store *db.DB) error {
	empty, err := store.Empty(ctx)
	if err != nil || !empty {
		return err
	}
	importer, err := NewImporter(c, store)
	if err != nil {
		return err
	}
	done, err := importer.Import(ctx, bytes.NewReader(examples.Demo), func(int, string) {})
	if err == nil && done.Rejected > 0 {
		err = errors.New("the demonstration directory has invalid lines")
	}
	return err
}

// demoKey is the name of the API key created at the first start.
const demoKey = "development"

// printWelcome prints the addresses for the operator. The first start also prints a token and a key, later ones the
// commands that create them.
func printWelcome(ctx context.Context, c *Config, d *Database, publicURL string, stdout io.Writer) error {
	fmt.Fprintf(stdout, "Playground: %s/\n", publicURL)
	key, err := d.CreateAPIKey(ctx, demoKey)
	if errors.Is(err, ErrNameTaken) {
		fmt.Fprintf(
			stdout, "Token:      gatehouse token --subject alice --scope %q\nAPI key:    gatehouse apikey create --name NAME\n", demoScope,
		)
		return nil
	}
	if err != nil {
		return err
	}
	token, err := Token(
		c,
		TokenRequest{Subject: "alice", Scope: demoScope, ClientID: "playground", TTL: 12 * time.Hour, Claims: map[string]string{
			"username": "alice", "email": "alice@example.com",
		}},
	)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Token:      %s\nAPI key:    %s\n", token, key)
	return nil
}

// demoScope is the scope of the first token: everything, on a server that only this machine can reach.
const demoScope = "banking/full profiles/full admin/full signup"

// demoTokens returns a function that issues tokens for the people of the demonstration directory, for the playground of
// a server that only this machine can reach. It returns nil otherwise: the playground then requires a token from the
// developer.
func (c *Config) demoTokens() func() (map[string]string, time.Time, error) {
	if !c.Development() || !c.Demonstrate() || c.TrustedProxies != "" || c.PublicURL != "" && !loopback(hostOf(c.PublicURL)) {
		return nil
	}
	return func() (map[string]string, time.Time, error) {
		const life = time.Hour // the playground requests new ones
		issuedAt, people := c.now(), map[string]string{}
		for name, scope := range map[string]string{"alice": demoScope, "bob": "banking/full signup", "carol": "banking/full signup"} {
			token, err := Token(c, TokenRequest{Subject: name, Scope: scope, ClientID: "playground", TTL: life, Claims: map[string]string{
				"username": name, "email": name + "@example.com",
			}})
			if err != nil {
				return nil, time.Time{}, err
			}
			people[name] = token
		}
		return people, issuedAt.Add(life), nil
	}
}

// answerReady reports whether requests are served: the database is reachable and migrated, and no stop is in progress.
func answerReady(w http.ResponseWriter, r *http.Request, store *db.DB, leaving *drain) {
	leaving.recordPoll()
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	if leaving.inProgress() || store.Ready(ctx) != nil {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// sweep writes due clock transitions and deletes expired data.
func sweep(ctx context.Context, service *domain.Service, store *db.DB, counted *metrics, log *slog.Logger) {
	sweep, purge := time.NewTicker(sweepEvery), time.NewTicker(purgeEvery)
	defer sweep.Stop()
	defer purge.Stop()
	troubled := false
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			var n int
			n, err = service.Sweep(ctx)
			counted.settled.Add(float64(n))
		case <-purge.C:
			err = store.Purge(ctx, service.Now())
		}
		if err != nil && !troubled && ctx.Err() == nil {
			log.Error("the sweeper failed; it will retry", "error", err)
		}
		troubled = err != nil
	}
}
