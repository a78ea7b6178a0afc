package resolvers

import (
	"context"
	"slices"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

// reviewAnswer holds the common fields of the review payloads, in their order.
type reviewAnswer struct {
	Review   *domain.Review
	Problems []problem.Shape
	Replayed bool
}

// reviewPayloads are the generated types of these payloads.
type reviewPayloads interface {
	~struct {
		Review   *domain.Review  `json:"review,omitempty"`
		Problems []problem.Shape `json:"problems"`
		Replayed bool            `json:"replayed"`
	}
}

func reviewPayload[P reviewPayloads](out domain.Outcome[domain.Review], err error) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(reviewAnswer{Review: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

// dismissMatch returns the report beside its review.
func (r *resolver) dismissMatch(ctx context.Context, in domain.DismissMatchInput) (*graph.DismissMatchPayload, error) {
	out, err := r.Service.DismissMatch(ctx, withIdempotencyKey(ctx, in))
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	report, err := nilIfMissing(r.Service.FraudRiskReport(ctx, in.FraudRiskReportID))
	if problem.Has(err, problem.AccessDenied) || problem.Has(err, problem.Unauthorized) { // the problems state it
		report, err = nil, nil
	}
	return &graph.DismissMatchPayload{
		Review: recordBeside(problems, out.Record), FraudRiskReport: report, Problems: problems, Replayed: out.Replayed,
	}, err
}

func (r *resolver) reviews(
	ctx context.Context, page domain.Paging, where *graph.ReviewWhere, orderBy []*graph.ReviewOrder,
) (*graph.ReviewConnection, error) {
	c := &whereCompiler{service: r.Service}
	p := c.review(where, 1)
	q, err := keyset(page, p, c.err, orderBy, func(o *graph.ReviewOrder) listing.Order { return sorted(o.Field, o.Direction, "state") })
	if err != nil {
		return nil, err
	}
	found, err := groupPage[domain.Review](ctx)(r.Service.Reviews(ctx, q))
	if err != nil {
		return nil, err
	}
	out := &graph.ReviewConnection{Nodes: found.Items, PageInfo: pageInfo(found), TotalCount: found.Count, Edges: []*graph.ReviewEdge{}}
	for i, item := range found.Items {
		out.Edges = append(out.Edges, &graph.ReviewEdge{Node: item, Cursor: found.Cursors[i]})
	}
	return out, nil
}

func (c *whereCompiler) review(w *graph.ReviewWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.review, depth, w.And, w.Or, w.Not)
	all.id("_id", w.ID)
	if s := w.State; s != nil {
		enumTerms(all, "state", s.Eq, s.Ne, s.In)
	}
	all.id("fraudRiskReportId", w.FraudRiskReportID)
	all.id("contactId", w.ContactID)
	all.id("takenBy", w.TakenBy)
	all.instant("createdAt", w.CreatedAt)
	return listing.All(all.of...)
}

// reportOf returns the report of a review.
func reportOf(ctx context.Context, obj *domain.Review) (*domain.FraudRiskReport, error) {
	node, err := loadNode(ctx, obj, "fraudRiskReport", func(r *domain.Review) *string { return &r.FraudRiskReportID })
	if report, ok := node.(*domain.FraudRiskReport); ok && err == nil {
		return report, nil
	}
	return nil, err
}

// reviewOf returns the review of a report.
func reviewOf(ctx context.Context, obj *domain.FraudRiskReport) (*domain.Review, error) {
	return loadEdge(ctx, obj, "review", func(ctx context.Context, of []*domain.FraudRiskReport) ([]*domain.Review, []error) {
		out, err := loadersFrom(ctx).service.ReviewsOf(ctx, of)
		if err != nil {
			return nil, []error{err}
		}
		registerGroup(ctx, slices.DeleteFunc(slices.Clone(out), func(r *domain.Review) bool { return r == nil }))
		return out, nil
	})
}
