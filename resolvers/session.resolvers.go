package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/graph"
)

func (r *clientResolver) Sessions(ctx context.Context, obj *domain.Client) ([]*domain.Session, error) {
	return sessionsOf(ctx, obj)
}

func (r *clientResolver) LastActiveSession(ctx context.Context, obj *domain.Client) (*domain.Session, error) {
	return lastActiveSessionOf(ctx, obj)
}

func (r *mutationResolver) CreateSession(ctx context.Context, input domain.CreateSessionInput) (*graph.CreateSessionPayload, error) {
	return sessionPayload[graph.CreateSessionPayload](r.Service.CreateSession(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) TouchSession(ctx context.Context, input domain.TouchSessionInput) (*graph.TouchSessionPayload, error) {
	return sessionPayload[graph.TouchSessionPayload](r.Service.TouchSession(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) EndSession(ctx context.Context, input domain.SessionInput) (*graph.EndSessionPayload, error) {
	return sessionPayload[graph.EndSessionPayload](r.Service.EndSession(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) EndOtherSessions(ctx context.Context, input domain.EndOtherSessionsInput) (*graph.EndOtherSessionsPayload, error) {
	return endOtherSessionsPayload(ctx)(r.Service.EndOtherSessions(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) RemoveSession(ctx context.Context, input domain.SessionInput) (*graph.RemoveSessionPayload, error) {
	return sessionPayload[graph.RemoveSessionPayload](r.Service.RemoveSession(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) TerminateSession(ctx context.Context, input domain.SessionInput) (*graph.TerminateSessionPayload, error) {
	return sessionPayload[graph.TerminateSessionPayload](r.Service.TerminateSession(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) ResumeSession(ctx context.Context, input domain.SessionInput) (*graph.ResumeSessionPayload, error) {
	return sessionPayload[graph.ResumeSessionPayload](r.Service.ResumeSession(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) CompleteSessionTask(ctx context.Context, input domain.CompleteSessionTaskInput) (*graph.CompleteSessionTaskPayload, error) {
	return sessionPayload[graph.CompleteSessionTaskPayload](r.Service.CompleteSessionTask(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) CreateSessionToken(ctx context.Context, input domain.CreateSessionTokenInput) (*graph.CreateSessionTokenPayload, error) {
	return sessionTokenPayload(r.Service.CreateSessionToken(ctx, fromOrigin(ctx, withIdempotencyKey(ctx, input))))
}

func (r *mutationResolver) CreateClientToken(ctx context.Context, input domain.CreateClientTokenInput) (*graph.CreateClientTokenPayload, error) {
	return clientTokenPayload(r.Service.CreateClientToken(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) SaveJwtTemplate(ctx context.Context, input domain.SaveJwtTemplateInput) (*graph.SaveJwtTemplatePayload, error) {
	input.Claims = decodeNumbers(input.Claims)
	return saveTemplatePayload(r.Service.SaveJwtTemplate(ctx, input))
}

func (r *mutationResolver) DeleteJwtTemplate(ctx context.Context, input domain.DeleteJwtTemplateInput) (*graph.DeleteJwtTemplatePayload, error) {
	return deleteTemplatePayload(input.Name, r.Service.DeleteJwtTemplate(ctx, input))
}

func (r *mutationResolver) PreviewJwtTemplate(ctx context.Context, input domain.PreviewJwtTemplateInput) (*graph.PreviewJwtTemplatePayload, error) {
	input.Claims = decodeNumbers(input.Claims)
	return previewTemplatePayload(r.Service.PreviewJwtTemplate(ctx, input))
}

func (r *queryResolver) Session(ctx context.Context, id string) (*domain.Session, error) {
	return nilIfMissing(r.Service.Session(ctx, id))
}

func (r *queryResolver) Sessions(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.SessionWhere, orderBy []*graph.SessionOrder) (*graph.SessionConnection, error) {
	return sessionConnection(r.sessions(ctx, paging(ctx, first, after, last, before), where, orderBy))
}

func (r *queryResolver) JwtTemplates(ctx context.Context) ([]*domain.JwtTemplate, error) {
	return r.Service.JwtTemplates(ctx)
}

func (r *sessionResolver) Client(ctx context.Context, obj *domain.Session) (*domain.Client, error) {
	return clientOf(ctx, obj)
}

func (r *sessionResolver) Actions(ctx context.Context, obj *domain.Session) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *sessionResolver) Timeline(ctx context.Context, obj *domain.Session, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *resolver) Client() graph.ClientResolver { return &clientResolver{r} }

func (r *resolver) Session() graph.SessionResolver { return &sessionResolver{r} }

type (
	clientResolver  struct{ *resolver }
	sessionResolver struct{ *resolver }
)
