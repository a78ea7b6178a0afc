package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

func (r *actionResolver) Problem(ctx context.Context, obj *domain.Action) (problem.Shape, error) {
	return shapeOf(obj.Problem)
}

func (r *lifecycleEventResolver) Cursor(ctx context.Context, obj *domain.LifecycleEvent) (string, error) {
	return obj.Position.Cursor(), nil
}

func (r *lifecycleEventResolver) From(ctx context.Context, obj *domain.LifecycleEvent) (*string, error) {
	return optional(enumValue(obj.From)), nil
}

func (r *lifecycleEventResolver) To(ctx context.Context, obj *domain.LifecycleEvent) (*string, error) {
	return optional(enumValue(obj.To)), nil
}

func (r *lifecycleEventResolver) Reason(ctx context.Context, obj *domain.LifecycleEvent) (*string, error) {
	return optional(obj.Reason), nil
}

func (r *lifecycleEventResolver) Actor(ctx context.Context, obj *domain.LifecycleEvent) (*string, error) {
	return optional(obj.ActorID), nil
}

func (r *lifecycleEventResolver) Subject(ctx context.Context, obj *domain.LifecycleEvent) (domain.Node, error) {
	return subjectOf(ctx, obj)
}

func (r *lifecycleMapResolver) Kind(ctx context.Context, obj *lifecycle.Map) (domain.Kind, error) {
	return domain.Kind(obj.Name), nil
}

func (r *lifecycleMapResolver) Starts(ctx context.Context, obj *lifecycle.Map) ([]string, error) {
	return enumValues(obj.Starts), nil
}

func (r *lifecycleStateResolver) Name(ctx context.Context, obj *lifecycle.MapState) (string, error) {
	return enumValue(obj.Name), nil
}

func (r *lifecycleTransitionResolver) From(ctx context.Context, obj *lifecycle.MapRow) ([]string, error) {
	return enumValues(obj.From), nil
}

func (r *lifecycleTransitionResolver) To(ctx context.Context, obj *lifecycle.MapRow) ([]string, error) {
	return enumValues(obj.To), nil
}

func (r *lifecycleTransitionResolver) Who(ctx context.Context, obj *lifecycle.MapRow) ([]domain.Role, error) {
	return roles(obj.By), nil
}

func (r *queryResolver) Node(ctx context.Context, id string) (domain.Node, error) {
	return nilIfMissing(r.Service.Node(ctx, id))
}

func (r *queryResolver) Nodes(ctx context.Context, ids []string) ([]domain.Node, error) {
	return r.nodes(ctx, ids)
}

func (r *queryResolver) Viewer(ctx context.Context) (*domain.Actor, error) {
	return r.Service.Viewer(ctx)
}

func (r *queryResolver) Lifecycle(ctx context.Context, of domain.Kind) (*lifecycle.Map, error) {
	return life(domain.Lifecycle(of))
}

func (r *queryResolver) Version(ctx context.Context) (*domain.Version, error) {
	return &r.version, nil
}

func (r *stateProblemResolver) CurrentState(ctx context.Context, obj *problem.StateProblem) (*string, error) {
	return optional(enumValue(obj.CurrentState())), nil
}

func (r *stateProblemResolver) AllowedStates(ctx context.Context, obj *problem.StateProblem) ([]string, error) {
	return enumValues(obj.AllowedStates()), nil
}

func (r *viewerResolver) Username(ctx context.Context, obj *domain.Actor) (*string, error) {
	return optional(obj.Username), nil
}

func (r *viewerResolver) Email(ctx context.Context, obj *domain.Actor) (*string, error) {
	return optional(obj.Email), nil
}

func (r *viewerResolver) CustomerID(ctx context.Context, obj *domain.Actor) (*string, error) {
	return optional(obj.CustomerID), nil
}

func (r *viewerResolver) CustomerGroup(ctx context.Context, obj *domain.Actor) (*string, error) {
	return optional(obj.CustomerGroup), nil
}

func (r *viewerResolver) ClientID(ctx context.Context, obj *domain.Actor) (*string, error) {
	return optional(obj.ClientID), nil
}

func (r *viewerResolver) SessionID(ctx context.Context, obj *domain.Actor) (*string, error) {
	return optional(obj.SessionID), nil
}

func (r *resolver) Action() graph.ActionResolver { return &actionResolver{r} }

func (r *resolver) LifecycleEvent() graph.LifecycleEventResolver { return &lifecycleEventResolver{r} }

func (r *resolver) LifecycleMap() graph.LifecycleMapResolver { return &lifecycleMapResolver{r} }

func (r *resolver) LifecycleState() graph.LifecycleStateResolver { return &lifecycleStateResolver{r} }

func (r *resolver) LifecycleTransition() graph.LifecycleTransitionResolver {
	return &lifecycleTransitionResolver{r}
}

func (r *resolver) Mutation() graph.MutationResolver { return &mutationResolver{r} }

func (r *resolver) Query() graph.QueryResolver { return &queryResolver{r} }

func (r *resolver) StateProblem() graph.StateProblemResolver { return &stateProblemResolver{r} }

func (r *resolver) Subscription() graph.SubscriptionResolver { return &subscriptionResolver{r} }

func (r *resolver) Viewer() graph.ViewerResolver { return &viewerResolver{r} }

type (
	actionResolver              struct{ *resolver }
	lifecycleEventResolver      struct{ *resolver }
	lifecycleMapResolver        struct{ *resolver }
	lifecycleStateResolver      struct{ *resolver }
	lifecycleTransitionResolver struct{ *resolver }
	mutationResolver            struct{ *resolver }
	queryResolver               struct{ *resolver }
	stateProblemResolver        struct{ *resolver }
	subscriptionResolver        struct{ *resolver }
	viewerResolver              struct{ *resolver }
)
