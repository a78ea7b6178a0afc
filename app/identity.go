package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/auth"
	"github.com/gatehouse/gatehouse/db"
	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/provider"
)

// resolveEvery is the interval at which the quiz provider is asked for outstanding scores.
const resolveEvery = 2 * time.Second

// countEvery is the interval at which the values of the records are counted again if records were imported.
const countEvery = time.Minute

// checkIdentity refuses invalid settings of reports and quizzes.
func (c *Config) checkIdentity(bad func(name, format string, args ...any) error) error {
	switch {
	case c.QuizTTL <= 0:
		return bad("QUIZ_TTL", "must be positive")
	case c.QuizPassShare <= 0 || c.QuizPassShare > 1:
		return bad("QUIZ_PASS_SHARE", "expected a share above 0 and up to 1")
	case c.NameMatch <= 0 || c.NameMatch > 1:
		return bad("NAME_MATCH", "expected a similarity above 0 and up to 1")
	}
	if c.QuizURL == "" { // another provider has its own rules
		if setting, err := c.quizRules().Check(); err != nil {
			return bad(setting, "%v", err)
		}
	}
	for _, u := range []struct{ name, value string }{{"RISK_URL", c.RiskURL}, {"QUIZ_URL", c.QuizURL}} {
		if u.value == "" {
			continue
		}
		parsed, err := url.Parse(u.value)
		if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.RawQuery != "" ||
			parsed.Fragment != "" {
			return bad(u.name, "expected an http or https URL")
		}
		if parsed.Scheme == "http" && !loopback(parsed.Hostname()) && !c.Development() {
			return bad(u.name, "expected https or a loopback address, because personal data is sent to it")
		}
	}
	return nil
}

// quizRules are the settings of the local provider of quizzes.
func (c *Config) quizRules() provider.QuizRules {
	return provider.QuizRules{PassShare: c.QuizPassShare, MinQuestions: c.QuizMinQuestions, Limit: domain.Rate(c.QuizLimit)}
}

// addProviders connects the rules to the providers of reports and quizzes, and to the signer of verification tokens.
func addProviders(
	ctx context.Context, c *Config, service *domain.Service, store *db.DB, log *slog.Logger, background func(func()),
) (*auth.Attester, *provider.Lists) {
	lists := provider.NewLists(store, c.OFACDir, c.now, log)
	local := &provider.Local{
		Records: store, Lists: lists, NameMatch: c.NameMatch, Rules: c.quizRules(), Population: provider.NewPopulation(store),
		Choices: store, KeyedHash: store.KeyedHash, Now: c.now,
	}
	service.Screening, service.Quizmaster, service.Rescreener = local, local, local
	if c.Demonstrate() {
		service.Quizmaster = provider.Demonstration{Quizmaster: local, Now: c.now}
	}
	if c.RiskURL != "" {
		service.Screening, service.Rescreener = provider.NewHTTPScreening(provider.HTTPConfig{URL: c.RiskURL, Now: c.now}), nil
	} else {
		// Loaded in advance, so that the first caller does not have to wait.
		background(func() {
			if _, err := lists.Current(ctx); err != nil && ctx.Err() == nil {
				log.Error("the lists cannot be read; the first report will retry", "error", err)
			}
		})
	}
	if c.QuizURL != "" {
		service.Quizmaster = provider.NewHTTPQuizmaster(provider.HTTPConfig{URL: c.QuizURL, Now: c.now})
	} else {
		background(func() {
			local.Population.Follow(ctx, countEvery, func(err error) {
				log.Warn("the records cannot be counted for quizzes; it will be retried", "error", err)
			})
		})
	}
	service.Settings.QuizTTL, service.Settings.QuizLimit = c.QuizTTL, domain.Rate(c.QuizLimit)
	service.Settings.ReportLimit, service.Settings.ReportPersonLimit = domain.Rate(c.ReportLimit), domain.Rate(c.ReportPersonLimit)
	service.Verified = service.UsersVerified
	attester := auth.NewAttester(store)
	service.Attest = attester.Attest
	background(func() { resolveQuizzes(ctx, service, log) })
	background(func() { rescreen(ctx, service, log) })
	return attester, lists
}

// rescreenEvery is the interval at which the lists are checked for changes.
const rescreenEvery = 2 * time.Second

// rescreen compares contacts with the lists when either changes.
func rescreen(ctx context.Context, service *domain.Service, log *slog.Logger) {
	tick := time.NewTicker(rescreenEvery)
	defer tick.Stop()
	troubled, more, total := false, false, 0
	for {
		if !more {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
		if ctx.Err() != nil {
			return
		}
		made, again, err := service.Rescreen(ctx)
		more, total = again, total+made
		if !more && total > 0 {
			log.Warn("contacts match entries of the lists; new reports await a review", "reports", total)
			total = 0
		}
		if err != nil && !troubled && ctx.Err() == nil {
			log.Warn("contacts cannot be compared with the lists; it will be retried", "error", err)
		}
		troubled = err != nil
	}
}

// resolveQuizzes requests the scores that a provider delivers later.
func resolveQuizzes(ctx context.Context, service *domain.Service, log *slog.Logger) {
	tick := time.NewTicker(resolveEvery)
	defer tick.Stop()
	troubled := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, err := service.ResolveQuizzes(ctx)
		if err != nil && !troubled && ctx.Err() == nil {
			log.Warn("the result of the quiz provider cannot be fetched; it will be retried", "error", err)
		}
		troubled = err != nil
	}
}

// verificationKeys serves the public key of the verification tokens without authentication.
func verificationKeys(attester *auth.Attester, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		document, err := attester.JWKS(r.Context())
		if err != nil {
			log.ErrorContext(r.Context(), "the verification key cannot be read", "error", err)
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(jwksAge/time.Second)))
		_, _ = w.Write(document)
	})
}

// identityKind decodes a line about contacts, records and lists; ok is false for lines of another kind. Its errors name
// members, not values.
func (im *Importer) identityKind(kind, id string, text []byte) (record any, ok bool, err error) {
	at := im.Rules.Now().UTC().Truncate(time.Microsecond)
	switch kind {
	case "contact":
		var in struct {
			line
			UserID *string `json:"userId"`
			domain.Identity
		}
		if err := decodeObject(text, &in, true); err != nil {
			return nil, true, err
		}
		if in.UserID != nil {
			if err := goodID("userId", *in.UserID); err != nil {
				return nil, true, err
			}
		}
		if in.IsZero() {
			return nil, true, errors.New("a contact must have at least one field of an identity")
		}
		return &domain.Contact{
			Meta: domain.Meta{ID: id, Version: 1, CreatedAt: at, UpdatedAt: at}, State: domain.ContactActive, Of: in.Visible(), UserID: in.UserID,
		}, true, problemText(in.Check(at))
	case "identityRecord":
		var in struct {
			line
			domain.Identity
			PreviousAddresses []domain.PreviousAddress `json:"previousAddresses"`
			PreviousPhones    []string                 `json:"previousPhones"`
			Relatives         []string                 `json:"relatives"`
			Vehicles          []string                 `json:"vehicles"`
			Employers         []string                 `json:"employers"`
		}
		if err := decodeObject(text, &in, true); err != nil {
			return nil, true, err
		}
		if in.TaxID == nil || risk.FoldTaxID(*in.TaxID) == "" {
			return nil, true, errors.New("taxId is required, because records are found by it")
		}
		return &domain.IdentityRecord{
			ID: id, Identity: in.Identity, PreviousAddresses: in.PreviousAddresses, PreviousPhones: in.PreviousPhones,
			Relatives: in.Relatives, Vehicles: in.Vehicles, Employers: in.Employers,
		}, true, problemText(in.Check(at))
	case "listEntry":
		var in struct {
			line
			List      string  `json:"list"`
			Value     string  `json:"value"`
			Birthdate *string `json:"birthdate"`
		}
		if err := decodeObject(text, &in, true); err != nil {
			return nil, true, err
		}
		e := risk.Entry{ID: id, List: risk.List(in.List), Value: strings.TrimSpace(in.Value)}
		if in.Birthdate != nil {
			e.Births = []string{*in.Birthdate}
		}
		return &domain.ListEntry{Entry: e}, true, e.Check()
	}
	return nil, false, nil
}
