package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

// contactAnswer holds the common fields of the contact payloads, in their order.
type contactAnswer struct {
	Contact  *domain.Contact
	Problems []problem.Shape
	Replayed bool
}

// contactPayloads are the generated types of these payloads.
type contactPayloads interface {
	~struct {
		Contact  *domain.Contact `json:"contact,omitempty"`
		Problems []problem.Shape `json:"problems"`
		Replayed bool            `json:"replayed"`
	}
}

func contactPayload[P contactPayloads](out domain.Outcome[domain.Contact], err error) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(contactAnswer{Contact: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

func reportPayload(out domain.Outcome[domain.FraudRiskReport], err error) (*graph.CreateFraudRiskReportPayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.CreateFraudRiskReportPayload{
		FraudRiskReport: recordBeside(problems, out.Record),
		Problems:        problems,
		Replayed:        out.Replayed,
	}, nil
}

// quizAnswer holds the common fields of the quiz payloads, in their order.
type quizAnswer struct {
	Quiz     *domain.Quiz
	Problems []problem.Shape
	Replayed bool
}

// quizPayloads are the generated types of these payloads.
type quizPayloads interface {
	~struct {
		Quiz     *domain.Quiz    `json:"quiz,omitempty"`
		Problems []problem.Shape `json:"problems"`
		Replayed bool            `json:"replayed"`
	}
}

// quizPayload also shows the quiz next to a problem: the rules return it only to callers who may see it.
func quizPayload[P quizPayloads](out domain.Outcome[domain.Quiz], err error) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(quizAnswer{Quiz: out.Record, Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

func questionsPayload(
	out domain.Outcome[domain.Quiz], questions []domain.QuizQuestion, err error,
) (*graph.CreateQuizQuestionsPayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := &graph.CreateQuizQuestionsPayload{Quiz: out.Record, Problems: problems, Replayed: out.Replayed}
	for i := range questions {
		payload.Questions = append(payload.Questions, &questions[i])
	}
	return payload, nil
}

func approvalPayload(out domain.Outcome[domain.Approval], err error) (*graph.CreateApprovalPayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.CreateApprovalPayload{Approval: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed}, nil
}

// nilIfUnlinked returns nil for a contact that does not exist or is not visible to the caller.
func nilIfUnlinked(v *domain.ContactVerification, err error) (*domain.ContactVerification, error) {
	if problem.Has(err, problem.InvalidContactLink) {
		return nil, nil
	}
	return v, err
}

// keyset returns the query of a connection.
func keyset[O any](page domain.Paging, where listing.Predicate, err error, orderBy []O, key func(O) listing.Order) (listing.Query, error) {
	if err != nil {
		return listing.Query{}, err
	}
	q, err := page.Query()
	q.Where = where
	for _, o := range orderBy {
		q.Order = append(q.Order, key(o))
	}
	return q, err
}

// sorted returns a sort key. The state of reports and quizzes has a longer name in lists.
func sorted[S ~string](field S, direction graph.OrderDirection, state string) listing.Order {
	name := orderField(field)
	if name == "state" {
		name = state
	}
	return listing.Order{Field: name, Desc: direction == graph.OrderDirectionDesc}
}

const outputsState = "outputs.state"

func (r *resolver) contacts(
	ctx context.Context, page domain.Paging, where *graph.ContactWhere, orderBy []*graph.ContactOrder, by domain.ContactSearch,
) (listing.Page[domain.Contact], error) {
	c := &whereCompiler{service: r.Service}
	p := c.contact(where, 1)
	q, err := keyset(page, p, c.err, orderBy, func(o *graph.ContactOrder) listing.Order { return sorted(o.Field, o.Direction, "state") })
	if err != nil {
		return listing.Page[domain.Contact]{}, err
	}
	return groupPage[domain.Contact](ctx)(r.Service.Contacts(ctx, q, by))
}

func (r *resolver) reports(
	ctx context.Context, page domain.Paging, where *graph.FraudRiskReportWhere, orderBy []*graph.FraudRiskReportOrder,
) (listing.Page[domain.FraudRiskReport], error) {
	c := &whereCompiler{service: r.Service}
	p := c.report(where, 1)
	q, err := keyset(
		page, p, c.err, orderBy, func(o *graph.FraudRiskReportOrder) listing.Order { return sorted(o.Field, o.Direction, outputsState) },
	)
	if err != nil {
		return listing.Page[domain.FraudRiskReport]{}, err
	}
	return groupPage[domain.FraudRiskReport](ctx)(r.Service.FraudRiskReports(ctx, q))
}

func (r *resolver) quizzes(
	ctx context.Context, page domain.Paging, where *graph.QuizWhere, orderBy []*graph.QuizOrder,
) (listing.Page[domain.Quiz], error) {
	c := &whereCompiler{service: r.Service}
	p := c.quiz(where, 1)
	q, err := keyset(page, p, c.err, orderBy, func(o *graph.QuizOrder) listing.Order { return sorted(o.Field, o.Direction, outputsState) })
	if err != nil {
		return listing.Page[domain.Quiz]{}, err
	}
	return groupPage[domain.Quiz](ctx)(r.Service.Quizzes(ctx, q))
}

func (r *resolver) approvals(
	ctx context.Context, page domain.Paging, where *graph.ApprovalWhere, orderBy []*graph.ApprovalOrder,
) (listing.Page[domain.Approval], error) {
	c := &whereCompiler{service: r.Service}
	p := c.approval(where, 1)
	q, err := keyset(page, p, c.err, orderBy, func(o *graph.ApprovalOrder) listing.Order { return sorted(o.Field, o.Direction, "state") })
	if err != nil {
		return listing.Page[domain.Approval]{}, err
	}
	return groupPage[domain.Approval](ctx)(r.Service.Approvals(ctx, q))
}

func (c *whereCompiler) contact(w *graph.ContactWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.contact, depth, w.And, w.Or, w.Not)
	all.id("_id", w.ID)
	all.id("userId", w.UserID)
	all.id("createdBy", w.CreatedBy)
	all.instant("createdAt", w.CreatedAt)
	all.instant("updatedAt", w.UpdatedAt)
	return listing.All(all.of...)
}

func (c *whereCompiler) report(w *graph.FraudRiskReportWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.report, depth, w.And, w.Or, w.Not)
	all.id("_id", w.ID)
	if s := w.State; s != nil {
		enumTerms(all, outputsState, s.Eq, s.Ne, s.In)
	}
	if s := w.Category; s != nil {
		enumTerms(all, "outputs.fraudRiskCategories.type", s.Eq, nil, s.In)
	}
	all.id("contactId", w.ContactID)
	all.id("createdBy", w.CreatedBy)
	all.instant("createdAt", w.CreatedAt)
	return listing.All(all.of...)
}

func (c *whereCompiler) quiz(w *graph.QuizWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.quiz, depth, w.And, w.Or, w.Not)
	all.id("_id", w.ID)
	if s := w.State; s != nil {
		enumTerms(all, outputsState, s.Eq, s.Ne, s.In)
	}
	all.id("contactId", w.ContactID)
	all.id("createdBy", w.CreatedBy)
	all.instant("createdAt", w.CreatedAt)
	all.instant("expiresAt", w.ExpiresAt)
	return listing.All(all.of...)
}

func (c *whereCompiler) approval(w *graph.ApprovalWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.approval, depth, w.And, w.Or, w.Not)
	all.id("_id", w.ID)
	if s := w.Method; s != nil {
		enumTerms(all, "method", s.Eq, s.Ne, s.In)
	}
	all.id("contactId", w.ContactID)
	all.id("approvedBy", w.ApprovedBy)
	all.instant("createdAt", w.CreatedAt)
	return listing.All(all.of...)
}

func contactConnection(page listing.Page[domain.Contact], err error) (*graph.ContactConnection, error) {
	if err != nil {
		return nil, err
	}
	out := &graph.ContactConnection{Nodes: page.Items, PageInfo: pageInfo(page), TotalCount: page.Count, Edges: []*graph.ContactEdge{}}
	for i, item := range page.Items {
		out.Edges = append(out.Edges, &graph.ContactEdge{Node: item, Cursor: page.Cursors[i]})
	}
	return out, nil
}

func reportConnection(page listing.Page[domain.FraudRiskReport], err error) (*graph.FraudRiskReportConnection, error) {
	if err != nil {
		return nil, err
	}
	out := &graph.FraudRiskReportConnection{
		Nodes:      page.Items,
		PageInfo:   pageInfo(page),
		TotalCount: page.Count,
		Edges:      []*graph.FraudRiskReportEdge{},
	}
	for i, item := range page.Items {
		out.Edges = append(out.Edges, &graph.FraudRiskReportEdge{Node: item, Cursor: page.Cursors[i]})
	}
	return out, nil
}

func quizConnection(page listing.Page[domain.Quiz], err error) (*graph.QuizConnection, error) {
	if err != nil {
		return nil, err
	}
	out := &graph.QuizConnection{Nodes: page.Items, PageInfo: pageInfo(page), TotalCount: page.Count, Edges: []*graph.QuizEdge{}}
	for i, item := range page.Items {
		out.Edges = append(out.Edges, &graph.QuizEdge{Node: item, Cursor: page.Cursors[i]})
	}
	return out, nil
}

func approvalConnection(page listing.Page[domain.Approval], err error) (*graph.ApprovalConnection, error) {
	if err != nil {
		return nil, err
	}
	out := &graph.ApprovalConnection{Nodes: page.Items, PageInfo: pageInfo(page), TotalCount: page.Count, Edges: []*graph.ApprovalEdge{}}
	for i, item := range page.Items {
		out.Edges = append(out.Edges, &graph.ApprovalEdge{Node: item, Cursor: page.Cursors[i]})
	}
	return out, nil
}

// tokenOf returns the verification token of a result; nil where there is none.
func tokenOf[R comparable](
	ctx context.Context, of R, tokens func(context.Context, ...R) ([]string, error),
) (*string, error) {
	token, err := loadEdge(ctx, of, "token", func(ctx context.Context, all []R) ([]string, []error) {
		out, err := tokens(ctx, all...)
		if err != nil {
			return nil, []error{err}
		}
		return out, nil
	})
	return optional(token), err
}
