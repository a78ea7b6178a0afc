package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/gatehouse/gatehouse/domain"
)

// metrics holds what /metrics exports. Labels must not contain ids or personal data.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.HistogramVec
	delivered *prometheus.CounterVec
	settled   prometheus.Counter
}

func newMetrics(outbox domain.Outbox, log *slog.Logger) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_http_request_duration_seconds", Help: "Response time by API, method and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"door", "method", "status"}),
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_message_attempts_total", Help: "Delivery attempts by channel and result.",
		}, []string{"channel", "outcome"}),
		settled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gatehouse_clock_transitions_total", Help: "Records that the sweeper expired.",
		}),
	}
	m.registry.MustRegister(m.requests, m.delivered, m.settled, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), tally{outbox, log})
	v := Build()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gatehouse_build_info", Help: "Always 1."},
		[]string{"version", "commit", "go"})
	build.WithLabelValues(v.Version, v.Commit, v.Go).Set(1)
	m.registry.MustRegister(build)
	return m
}

// follow exports the number of open subscriptions.
func (m *metrics) follow(live *domain.Live) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatehouse_subscriptions", Help: "Open subscriptions.",
	}, func() float64 { return float64(live.Subscriptions()) }))
}

// tally exports the number of messages in each state, including dead ones.
type tally struct {
	outbox domain.Outbox
	log    *slog.Logger
}

var tallied = prometheus.NewDesc("gatehouse_messages", "Messages in the outbox by state.", []string{"state"}, nil)

func (t tally) Describe(ch chan<- *prometheus.Desc) { ch <- tallied }

func (t tally) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := t.outbox.Tally(ctx)
	if err != nil {
		t.log.Warn("messages could not be counted", "error", err)
		return
	}
	for _, state := range []domain.MessageState{domain.MessagePending, domain.MessageSending, domain.MessageSent, domain.MessageDead} {
		ch <- prometheus.MustNewConstMetric(tallied, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
}

// adminHandler serves metrics and profiles on the second listener.
func adminHandler(m *metrics) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /bare", bare)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// bareBody is a JSON object of 200 bytes.
var bareBody = []byte(`{"bare":"` + strings.Repeat("x", 189) + `"}`)

// bare is the baseline of HTTP itself on this machine: a response without a record, a rule or a caller. Benchmarks
// relate every other rate to it (docs/performance.md).
func bare(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(bareBody)
}

// startTracing exports traces if the standard OTLP variables name an endpoint; stop flushes them.
func startTracing(ctx context.Context) (wrap func(http.Handler) http.Handler, stop func(context.Context) error, err error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" ||
		os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return func(h http.Handler) http.Handler { return h }, func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "gatehouse"),
		attribute.String("service.version", Build().Version)), resource.WithFromEnv())
	if err != nil {
		return nil, nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	wrap = func(h http.Handler) http.Handler {
		return otelhttp.NewHandler(h, "gatehouse", otelhttp.WithTracerProvider(provider),
			otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return method(r.Method) + " " + door(r.URL.Path) }))
	}
	return wrap, provider.Shutdown, nil
}

// BuildInfo describes the running program.
type BuildInfo struct{ Version, Commit, Go string }

// version is set by the release build: -ldflags "-X github.com/gatehouse/gatehouse/app.version=…".
var version = "development"

// Build returns the description of the running program.
func Build() BuildInfo {
	b := BuildInfo{Version: version, Commit: "unknown", Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	return b
}
