package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/graph"
)

func (r *invitationResolver) Identification(ctx context.Context, obj *domain.Invitation) (*string, error) {
	return ifVisible(obj.Identification, obj.SeesIdentification(domain.ActorFrom(ctx))), nil
}

func (r *invitationResolver) Actions(ctx context.Context, obj *domain.Invitation) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *invitationResolver) Timeline(ctx context.Context, obj *domain.Invitation, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *mutationResolver) CreateInvitation(ctx context.Context, input domain.CreateInvitationInput) (*graph.CreateInvitationPayload, error) {
	return invitationPayload[graph.CreateInvitationPayload](r.Service.CreateInvitation(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) ResendInvitation(ctx context.Context, input domain.ResendInvitationInput) (*graph.ResendInvitationPayload, error) {
	return invitationPayload[graph.ResendInvitationPayload](r.Service.ResendInvitation(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) RevokeInvitation(ctx context.Context, input domain.RevokeInvitationInput) (*graph.RevokeInvitationPayload, error) {
	return invitationPayload[graph.RevokeInvitationPayload](r.Service.RevokeInvitation(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) VerifyInvitation(ctx context.Context, input domain.VerifyInvitationInput) (*graph.VerifyInvitationPayload, error) {
	return invitationPayload[graph.VerifyInvitationPayload](r.Service.VerifyInvitation(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) CompleteInvitation(ctx context.Context, input domain.CompleteInvitationInput) (*graph.CompleteInvitationPayload, error) {
	return invitationPayload[graph.CompleteInvitationPayload](r.Service.CompleteInvitation(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) UpdateInvitationSecret(ctx context.Context, input domain.UpdateInvitationSecretInput) (*graph.UpdateInvitationSecretPayload, error) {
	return invitationPayload[graph.UpdateInvitationSecretPayload](r.Service.UpdateInvitationSecret(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) DeleteInvitation(ctx context.Context, input domain.DeleteInvitationInput) (*graph.DeleteInvitationPayload, error) {
	return erasedInvitation(r.Service.InvitationID(input.InvitationID))(r.Service.DeleteInvitation(ctx, withIdempotencyKey(ctx, input)))
}

func (r *queryResolver) Invitation(ctx context.Context, id string) (*domain.Invitation, error) {
	return nilIfMissing(r.Service.Invitation(ctx, id))
}

func (r *queryResolver) Invitations(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.InvitationWhere, orderBy []*graph.InvitationOrder) (*graph.InvitationConnection, error) {
	return invitationConnection(r.invitations(ctx, paging(ctx, first, after, last, before), where, orderBy))
}

func (r *queryResolver) InvitationPreview(ctx context.Context, invitationID string, key string) (*domain.InvitationPreview, error) {
	return nilIfMissing(r.Service.InvitationPreview(ctx, invitationID, key))
}

func (r *resolver) Invitation() graph.InvitationResolver { return &invitationResolver{r} }

type invitationResolver struct{ *resolver }
