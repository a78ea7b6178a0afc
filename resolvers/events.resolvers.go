package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/graph"
)

func (r *queryResolver) LifecycleEvents(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.LifecycleEventWhere, orderBy []*graph.LifecycleEventOrder) (*graph.LifecycleEventConnection, error) {
	return eventConnection(r.events(ctx, paging(ctx, first, after, last, before), where, orderBy))
}

func (r *subscriptionResolver) LifecycleEvents(ctx context.Context, where *graph.LifecycleEventWhere, after *string) (<-chan *domain.LifecycleEvent, error) {
	return follow(ctx, r.resolver, "lifecycleEvents", "", (*whereCompiler).lifecycleEvent, where, after)
}

func (r *subscriptionResolver) SessionEvents(ctx context.Context, where *graph.SessionEventWhere, after *string) (<-chan *domain.LifecycleEvent, error) {
	return follow(ctx, r.resolver, "sessionEvents", domain.KindSession, (*whereCompiler).sessionEvent, where, after)
}

func (r *subscriptionResolver) InvitationEvents(ctx context.Context, where *graph.InvitationEventWhere, after *string) (<-chan *domain.LifecycleEvent, error) {
	return follow(ctx, r.resolver, "invitationEvents", domain.KindInvitation, (*whereCompiler).invitationEvent, where, after)
}

func (r *subscriptionResolver) QuizEvents(ctx context.Context, where *graph.QuizEventWhere, after *string) (<-chan *domain.LifecycleEvent, error) {
	return follow(ctx, r.resolver, "quizEvents", domain.KindQuiz, (*whereCompiler).quizEvent, where, after)
}

func (r *subscriptionResolver) TwoFactorRequestEvents(ctx context.Context, where *graph.TwoFactorRequestEventWhere, after *string) (<-chan *domain.LifecycleEvent, error) {
	return follow(ctx, r.resolver, "twoFactorRequestEvents", domain.KindTwoFactorRequest, (*whereCompiler).twoFactorRequestEvent, where, after)
}
