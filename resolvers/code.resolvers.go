package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/graph"
)

func (r *deviceResolver) Actions(ctx context.Context, obj *domain.Device) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *deviceResolver) Timeline(ctx context.Context, obj *domain.Device, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *emailVerificationResolver) Delivery(ctx context.Context, obj *domain.EmailVerification) (*domain.MessageState, error) {
	return deliveryOf(ctx, obj)
}

func (r *emailVerificationResolver) Actions(ctx context.Context, obj *domain.EmailVerification) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *emailVerificationResolver) Timeline(ctx context.Context, obj *domain.EmailVerification, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *mutationResolver) RequestEmailVerification(ctx context.Context, input domain.RequestEmailVerificationInput) (*graph.RequestEmailVerificationPayload, error) {
	return emailPayload[graph.RequestEmailVerificationPayload](r.Service.RequestEmailVerification(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) VerifyEmail(ctx context.Context, input domain.VerifyEmailInput) (*graph.VerifyEmailPayload, error) {
	return emailPayload[graph.VerifyEmailPayload](r.Service.VerifyEmail(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) RequestPhoneVerification(ctx context.Context, input domain.RequestPhoneVerificationInput) (*graph.RequestPhoneVerificationPayload, error) {
	return phonePayload[graph.RequestPhoneVerificationPayload](r.Service.RequestPhoneVerification(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) VerifyPhone(ctx context.Context, input domain.VerifyPhoneInput) (*graph.VerifyPhonePayload, error) {
	return phonePayload[graph.VerifyPhonePayload](r.Service.VerifyPhone(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) RegisterDevice(ctx context.Context, input domain.RegisterDeviceInput) (*graph.RegisterDevicePayload, error) {
	return devicePayload[graph.RegisterDevicePayload](r.Service.RegisterDevice(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) RevokeDevice(ctx context.Context, input domain.RevokeDeviceInput) (*graph.RevokeDevicePayload, error) {
	return devicePayload[graph.RevokeDevicePayload](r.Service.RevokeDevice(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) CreateDeviceChallenge(ctx context.Context, input domain.CreateDeviceChallengeInput) (*graph.CreateDeviceChallengePayload, error) {
	return challengePayload(r.Service.CreateDeviceChallenge(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) OpenTwoFactorRequest(ctx context.Context, input domain.OpenTwoFactorRequestInput) (*graph.OpenTwoFactorRequestPayload, error) {
	return twoFactorPayload[graph.OpenTwoFactorRequestPayload](r.Service.OpenTwoFactorRequest(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) ApproveTwoFactorRequest(ctx context.Context, input domain.ApproveTwoFactorRequestInput) (*graph.ApproveTwoFactorRequestPayload, error) {
	return twoFactorPayload[graph.ApproveTwoFactorRequestPayload](r.Service.ApproveTwoFactorRequest(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) RejectTwoFactorRequest(ctx context.Context, input domain.RejectTwoFactorRequestInput) (*graph.RejectTwoFactorRequestPayload, error) {
	return twoFactorPayload[graph.RejectTwoFactorRequestPayload](r.Service.RejectTwoFactorRequest(ctx, withIdempotencyKey(ctx, input)))
}

func (r *phoneVerificationResolver) Delivery(ctx context.Context, obj *domain.PhoneVerification) (*domain.MessageState, error) {
	return deliveryOf(ctx, obj)
}

func (r *phoneVerificationResolver) Actions(ctx context.Context, obj *domain.PhoneVerification) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *phoneVerificationResolver) Timeline(ctx context.Context, obj *domain.PhoneVerification, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *queryResolver) Devices(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.DeviceWhere, orderBy []*graph.DeviceOrder) (*graph.DeviceConnection, error) {
	return deviceConnection(r.devices(ctx, paging(ctx, first, after, last, before), where, orderBy))
}

func (r *queryResolver) TwoFactorRequest(ctx context.Context, id string) (*domain.TwoFactorRequest, error) {
	return nilIfMissing(r.Service.TwoFactorRequest(ctx, id))
}

func (r *queryResolver) TwoFactorRequests(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.TwoFactorRequestWhere, orderBy []*graph.TwoFactorRequestOrder) (*graph.TwoFactorRequestConnection, error) {
	return twoFactorConnection(r.twoFactorRequests(ctx, paging(ctx, first, after, last, before), where, orderBy))
}

func (r *twoFactorRequestResolver) Actions(ctx context.Context, obj *domain.TwoFactorRequest) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *twoFactorRequestResolver) Timeline(ctx context.Context, obj *domain.TwoFactorRequest, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *resolver) Device() graph.DeviceResolver { return &deviceResolver{r} }

func (r *resolver) EmailVerification() graph.EmailVerificationResolver {
	return &emailVerificationResolver{r}
}

func (r *resolver) PhoneVerification() graph.PhoneVerificationResolver {
	return &phoneVerificationResolver{r}
}

func (r *resolver) TwoFactorRequest() graph.TwoFactorRequestResolver {
	return &twoFactorRequestResolver{r}
}

type (
	deviceResolver            struct{ *resolver }
	emailVerificationResolver struct{ *resolver }
	phoneVerificationResolver struct{ *resolver }
	twoFactorRequestResolver  struct{ *resolver }
)
