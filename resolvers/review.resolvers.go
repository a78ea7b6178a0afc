package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/graph"
)

func (r *mutationResolver) TakeReview(ctx context.Context, input domain.ReviewInput) (*graph.TakeReviewPayload, error) {
	return reviewPayload[graph.TakeReviewPayload](r.Service.TakeReview(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) ReleaseReview(ctx context.Context, input domain.ReviewInput) (*graph.ReleaseReviewPayload, error) {
	return reviewPayload[graph.ReleaseReviewPayload](r.Service.ReleaseReview(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) DismissMatch(ctx context.Context, input domain.DismissMatchInput) (*graph.DismissMatchPayload, error) {
	return r.dismissMatch(ctx, input)
}

func (r *mutationResolver) DecideReview(ctx context.Context, input domain.DecideReviewInput) (*graph.DecideReviewPayload, error) {
	return reviewPayload[graph.DecideReviewPayload](r.Service.DecideReview(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) ConfirmReview(ctx context.Context, input domain.ReviewInput) (*graph.ConfirmReviewPayload, error) {
	return reviewPayload[graph.ConfirmReviewPayload](r.Service.ConfirmReview(ctx, withIdempotencyKey(ctx, input)))
}

func (r *queryResolver) Review(ctx context.Context, id string) (*domain.Review, error) {
	return nilIfMissing(r.Service.Review(ctx, id))
}

func (r *queryResolver) Reviews(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.ReviewWhere, orderBy []*graph.ReviewOrder) (*graph.ReviewConnection, error) {
	return r.reviews(ctx, paging(ctx, first, after, last, before), where, orderBy)
}

func (r *reviewResolver) FraudRiskReport(ctx context.Context, obj *domain.Review) (*domain.FraudRiskReport, error) {
	return reportOf(ctx, obj)
}

func (r *reviewResolver) Contact(ctx context.Context, obj *domain.Review) (*domain.Contact, error) {
	return contactOf(ctx, obj, func(r *domain.Review) *string { return r.ContactID })
}

func (r *reviewResolver) Actions(ctx context.Context, obj *domain.Review) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *reviewResolver) Timeline(ctx context.Context, obj *domain.Review, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *resolver) Review() graph.ReviewResolver { return &reviewResolver{r} }

type reviewResolver struct{ *resolver }
