package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/provider"
)

// ListRefusal describes files that were not taken as the published list.
type ListRefusal = provider.Refusal

// ListStatus describes the published list of people and its re-screening.
type ListStatus struct {
	// InForce is the version in force; nil if there is none.
	InForce *domain.WatchList
	// Age is the time since its publication.
	Age time.Duration
	// Refused is set if the files of the folder are not taken as they are.
	Refused *ListRefusal
	// Rescreening is the comparison of the contacts with new entries; nil if there was none.
	Rescreening *domain.Rescreening
}

// LoadLists takes the files of the folder as the published list, unless they are refused. acceptLoss is the hash of
// entries to take although they lack many of those in force, or are older.
func (d *Database) LoadLists(ctx context.Context, c *Config, acceptLoss string, log *slog.Logger) (*ListRefusal, error) {
	if c.OFACDir == "" {
		return nil, errors.New("GATEHOUSE_OFAC_DIR is not set")
	}
	return provider.Load(ctx, d.DB, c.OFACDir, acceptLoss, d.now(), log)
}

// ListStatus describes the published list. It changes nothing.
func (d *Database) ListStatus(ctx context.Context, c *Config) (*ListStatus, error) {
	out := &ListStatus{}
	var err error
	if out.InForce, err = d.DB.NewestWatchList(ctx); err != nil && !errors.Is(err, domain.ErrMissing) {
		return nil, err
	}
	if out.InForce != nil {
		out.Age = d.now().Sub(out.InForce.PublishedAt)
	}
	if c.OFACDir != "" {
		if out.Refused, err = provider.Check(ctx, d.DB, c.OFACDir); err != nil {
			return nil, err
		}
	}
	if out.Rescreening, err = d.DB.Rescreening(ctx); err != nil && !errors.Is(err, domain.ErrMissing) {
		return nil, err
	}
	return out, nil
}

// watch exports the age and size of the published list, and whether the files of the folder are refused.
func (m *metrics) watch(lists *provider.Lists) {
	m.registry.MustRegister(listGauges{lists})
}

type listGauges struct{ lists *provider.Lists }

var (
	listAge     = prometheus.NewDesc("gatehouse_list_age_seconds", "Time since the publication of the list in force.", []string{"list"}, nil)
	listEntries = prometheus.NewDesc("gatehouse_list_entries", "Entries of the list in force.", []string{"list"}, nil)
	listRefused = prometheus.NewDesc("gatehouse_list_refused", "1 while the files of the list are refused.", []string{"list"}, nil)
)

// Describe implements prometheus.Collector.
func (g listGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- listAge
	ch <- listEntries
	ch <- listRefused
}

// Collect implements prometheus.Collector.
func (g listGauges) Collect(ch chan<- prometheus.Metric) {
	const list = "sdn"
	if age, entries, ok := g.lists.Age(); ok {
		ch <- prometheus.MustNewConstMetric(listAge, prometheus.GaugeValue, age.Seconds(), list)
		ch <- prometheus.MustNewConstMetric(listEntries, prometheus.GaugeValue, float64(entries), list)
	}
	refused := 0.0
	if g.lists.Refused() != nil {
		refused = 1
	}
	ch <- prometheus.MustNewConstMetric(listRefused, prometheus.GaugeValue, refused, list)
}
