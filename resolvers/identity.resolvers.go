package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/graph"
)

func (r *approvalResolver) Contact(ctx context.Context, obj *domain.Approval) (*domain.Contact, error) {
	return contactOf(ctx, obj, func(r *domain.Approval) *string { return &r.ContactID })
}

func (r *approvalResolver) Actions(ctx context.Context, obj *domain.Approval) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *approvalResolver) Timeline(ctx context.Context, obj *domain.Approval, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *contactResolver) CreatedBy(ctx context.Context, obj *domain.Contact) (*string, error) {
	return optional(obj.CreatedBy), nil
}

func (r *contactResolver) Actions(ctx context.Context, obj *domain.Contact) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *contactResolver) Timeline(ctx context.Context, obj *domain.Contact, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *fraudRiskReportResolver) Contact(ctx context.Context, obj *domain.FraudRiskReport) (*domain.Contact, error) {
	return contactOf(ctx, obj, func(r *domain.FraudRiskReport) *string { return r.ContactID })
}

func (r *fraudRiskReportResolver) Review(ctx context.Context, obj *domain.FraudRiskReport) (*domain.Review, error) {
	return reviewOf(ctx, obj)
}

func (r *fraudRiskReportResolver) Token(ctx context.Context, obj *domain.FraudRiskReport) (*string, error) {
	return tokenOf(ctx, obj, r.Service.FraudRiskReportTokens)
}

func (r *fraudRiskReportResolver) Actions(ctx context.Context, obj *domain.FraudRiskReport) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *fraudRiskReportResolver) Timeline(ctx context.Context, obj *domain.FraudRiskReport, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *invitationResolver) InviteeVerification(ctx context.Context, obj *domain.Invitation) (*domain.ContactVerification, error) {
	return inviteeVerificationOf(ctx, obj)
}

func (r *mutationResolver) CreateContact(ctx context.Context, input domain.CreateContactInput) (*graph.CreateContactPayload, error) {
	return contactPayload[graph.CreateContactPayload](r.Service.CreateContact(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) UpdateContact(ctx context.Context, input domain.UpdateContactInput) (*graph.UpdateContactPayload, error) {
	return contactPayload[graph.UpdateContactPayload](r.Service.UpdateContact(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) CreateFraudRiskReport(ctx context.Context, input domain.SubjectInput) (*graph.CreateFraudRiskReportPayload, error) {
	return reportPayload(r.Service.CreateFraudRiskReport(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) CreateQuiz(ctx context.Context, input domain.SubjectInput) (*graph.CreateQuizPayload, error) {
	return quizPayload[graph.CreateQuizPayload](r.Service.CreateQuiz(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) CreateQuizQuestions(ctx context.Context, input domain.CreateQuizQuestionsInput) (*graph.CreateQuizQuestionsPayload, error) {
	return questionsPayload(r.Service.CreateQuizQuestions(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) ScoreQuiz(ctx context.Context, input domain.ScoreQuizInput) (*graph.ScoreQuizPayload, error) {
	return quizPayload[graph.ScoreQuizPayload](r.Service.ScoreQuiz(ctx, withIdempotencyKey(ctx, input)))
}

func (r *mutationResolver) CreateApproval(ctx context.Context, input domain.CreateApprovalInput) (*graph.CreateApprovalPayload, error) {
	return approvalPayload(r.Service.CreateApproval(ctx, withIdempotencyKey(ctx, input)))
}

func (r *queryResolver) Contact(ctx context.Context, id string) (*domain.Contact, error) {
	return nilIfMissing(r.Service.Contact(ctx, id))
}

func (r *queryResolver) Contacts(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.ContactWhere, orderBy []*graph.ContactOrder, taxID *string, email *string) (*graph.ContactConnection, error) {
	return contactConnection(r.contacts(ctx, paging(ctx, first, after, last, before), where, orderBy, domain.ContactSearch{TaxID: taxID, Email: email}))
}

func (r *queryResolver) FraudRiskReport(ctx context.Context, id string) (*domain.FraudRiskReport, error) {
	return nilIfMissing(r.Service.FraudRiskReport(ctx, id))
}

func (r *queryResolver) FraudRiskReports(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.FraudRiskReportWhere, orderBy []*graph.FraudRiskReportOrder) (*graph.FraudRiskReportConnection, error) {
	return reportConnection(r.reports(ctx, paging(ctx, first, after, last, before), where, orderBy))
}

func (r *queryResolver) Quiz(ctx context.Context, id string) (*domain.Quiz, error) {
	return nilIfMissing(r.Service.Quiz(ctx, id))
}

func (r *queryResolver) Quizzes(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.QuizWhere, orderBy []*graph.QuizOrder) (*graph.QuizConnection, error) {
	return quizConnection(r.quizzes(ctx, paging(ctx, first, after, last, before), where, orderBy))
}

func (r *queryResolver) Approval(ctx context.Context, id string) (*domain.Approval, error) {
	return nilIfMissing(r.Service.Approval(ctx, id))
}

func (r *queryResolver) Approvals(ctx context.Context, first *int, after *string, last *int, before *string, where *graph.ApprovalWhere, orderBy []*graph.ApprovalOrder) (*graph.ApprovalConnection, error) {
	return approvalConnection(r.approvals(ctx, paging(ctx, first, after, last, before), where, orderBy))
}

func (r *queryResolver) ContactVerification(ctx context.Context, contactID string, typeArg []domain.VerificationType) (*domain.ContactVerification, error) {
	return nilIfUnlinked(r.Service.ContactVerification(ctx, contactID, typeArg...))
}

func (r *queryResolver) VerificationPolicy(ctx context.Context) (*domain.VerificationPolicy, error) {
	return r.Service.VerificationPolicy(ctx)
}

func (r *quizResolver) Contact(ctx context.Context, obj *domain.Quiz) (*domain.Contact, error) {
	return contactOf(ctx, obj, func(r *domain.Quiz) *string { return r.ContactID })
}

func (r *quizResolver) Token(ctx context.Context, obj *domain.Quiz) (*string, error) {
	return tokenOf(ctx, obj, r.Service.QuizTokens)
}

func (r *quizResolver) Actions(ctx context.Context, obj *domain.Quiz) ([]*domain.Action, error) {
	return actionsOf(ctx, obj)
}

func (r *quizResolver) Timeline(ctx context.Context, obj *domain.Quiz, first *int, after *string, last *int, before *string) (*graph.LifecycleEventConnection, error) {
	return eventConnection(timelineOf(ctx, obj, paging(ctx, first, after, last, before)))
}

func (r *resolver) Approval() graph.ApprovalResolver { return &approvalResolver{r} }

func (r *resolver) Contact() graph.ContactResolver { return &contactResolver{r} }

func (r *resolver) FraudRiskReport() graph.FraudRiskReportResolver {
	return &fraudRiskReportResolver{r}
}

func (r *resolver) Quiz() graph.QuizResolver { return &quizResolver{r} }

type (
	approvalResolver        struct{ *resolver }
	contactResolver         struct{ *resolver }
	fraudRiskReportResolver struct{ *resolver }
	quizResolver            struct{ *resolver }
)
