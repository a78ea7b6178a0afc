package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

// The common fields of the payloads for one kind of record, in their order.
type (
	emailAnswer struct {
		EmailVerification *domain.EmailVerification
		Problems          []problem.Shape
		Replayed          bool
	}
	phoneAnswer struct {
		PhoneVerification *domain.PhoneVerification
		Problems          []problem.Shape
		Replayed          bool
	}
	deviceAnswer struct {
		Device   *domain.Device
		Problems []problem.Shape
		Replayed bool
	}
	twoFactorAnswer struct {
		TwoFactorRequest *domain.TwoFactorRequest
		Problems         []problem.Shape
		Replayed         bool
	}
)

// The generated types of these payloads.
type (
	emailPayloads interface {
		~struct {
			EmailVerification *domain.EmailVerification `json:"emailVerification,omitempty"`
			Problems          []problem.Shape           `json:"problems"`
			Replayed          bool                      `json:"replayed"`
		}
	}
	phonePayloads interface {
		~struct {
			PhoneVerification *domain.PhoneVerification `json:"phoneVerification,omitempty"`
			Problems          []problem.Shape           `json:"problems"`
			Replayed          bool                      `json:"replayed"`
		}
	}
	devicePayloads interface {
		~struct {
			Device   *domain.Device  `json:"device,omitempty"`
			Problems []problem.Shape `json:"problems"`
			Replayed bool            `json:"replayed"`
		}
	}
	twoFactorPayloads interface {
		~struct {
			TwoFactorRequest *domain.TwoFactorRequest `json:"twoFactorRequest,omitempty"`
			Problems         []problem.Shape          `json:"problems"`
			Replayed         bool                     `json:"replayed"`
		}
	}
)

// emailPayload returns the payload of a mutation from the result of the rules.
func emailPayload[P emailPayloads](
	out domain.Outcome[domain.EmailVerification], err error,
) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(emailAnswer{EmailVerification: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

// phonePayload returns the payload of a mutation from the result of the rules.
func phonePayload[P phonePayloads](
	out domain.Outcome[domain.PhoneVerification], err error,
) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(phoneAnswer{PhoneVerification: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

// devicePayload returns the payload of a mutation from the result of the rules.
func devicePayload[P devicePayloads](out domain.Outcome[domain.Device], err error) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(deviceAnswer{Device: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

// challengePayload returns the payload of createDeviceChallenge.
func challengePayload(out domain.Outcome[domain.DeviceChallenge], err error) (*graph.CreateDeviceChallengePayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.CreateDeviceChallengePayload{
		DeviceChallenge: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed,
	}, nil
}

// twoFactorPayload returns the payload of a mutation from the result of the rules.
func twoFactorPayload[P twoFactorPayloads](
	out domain.Outcome[domain.TwoFactorRequest], err error,
) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(twoFactorAnswer{TwoFactorRequest: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

// stateField returns the name of a list field for records whose state is called status.
func stateField[S ~string](word S) string {
	if word == "STATUS" {
		return "state"
	}
	return orderField(word)
}

// devices converts the arguments to a query.
func (r *resolver) devices(
	ctx context.Context, page domain.Paging, where *graph.DeviceWhere, orderBy []*graph.DeviceOrder,
) (listing.Page[domain.Device], error) {
	q, err := page.Query()
	if err != nil {
		return listing.Page[domain.Device]{}, err
	}
	c := &whereCompiler{}
	q.Where = c.device(where, 1)
	if c.err != nil {
		return listing.Page[domain.Device]{}, c.err
	}
	for _, o := range orderBy {
		q.Order = append(q.Order, listing.Order{Field: stateField(o.Field), Desc: o.Direction == graph.OrderDirectionDesc})
	}
	return groupPage[domain.Device](ctx)(r.Service.Devices(ctx, q))
}

func (c *whereCompiler) device(w *graph.DeviceWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.device, depth, w.And, w.Or, w.Not)
	all.id("_id", w.ID)
	if s := w.Status; s != nil {
		enumTerms(all, "state", s.Eq, s.Ne, s.In)
	}
	all.id("customerId", w.CustomerID)
	all.id("fingerprint", w.Fingerprint)
	all.instant("createdAt", w.CreatedAt)
	return listing.All(all.of...)
}

func deviceConnection(page listing.Page[domain.Device], err error) (*graph.DeviceConnection, error) {
	if err != nil {
		return nil, err
	}
	out := &graph.DeviceConnection{
		Nodes: page.Items, PageInfo: pageInfo(page), TotalCount: page.Count, Edges: make([]*graph.DeviceEdge, len(page.Items)),
	}
	for i, item := range page.Items {
		out.Edges[i] = &graph.DeviceEdge{Node: item, Cursor: page.Cursors[i]}
	}
	return out, nil
}

// twoFactorRequests converts the arguments to a query.
func (r *resolver) twoFactorRequests(
	ctx context.Context, page domain.Paging, where *graph.TwoFactorRequestWhere, orderBy []*graph.TwoFactorRequestOrder,
) (listing.Page[domain.TwoFactorRequest], error) {
	q, err := page.Query()
	if err != nil {
		return listing.Page[domain.TwoFactorRequest]{}, err
	}
	c := &whereCompiler{}
	q.Where = c.twoFactorRequest(where, 1)
	if c.err != nil {
		return listing.Page[domain.TwoFactorRequest]{}, c.err
	}
	for _, o := range orderBy {
		q.Order = append(q.Order, listing.Order{Field: stateField(o.Field), Desc: o.Direction == graph.OrderDirectionDesc})
	}
	return groupPage[domain.TwoFactorRequest](ctx)(r.Service.TwoFactorRequests(ctx, q))
}

func (c *whereCompiler) twoFactorRequest(w *graph.TwoFactorRequestWhere, depth int) listing.Predicate {
	if w == nil || !c.ok(depth) {
		return listing.True
	}
	all := &conjunction{whereCompiler: c}
	nested(all, c.twoFactorRequest, depth, w.And, w.Or, w.Not)
	all.id("_id", w.ID)
	if s := w.Status; s != nil {
		enumTerms(all, "state", s.Eq, s.Ne, s.In)
	}
	all.id("customerId", w.CustomerID)
	all.id("clientId", w.ClientID)
	all.instant("createdAt", w.CreatedAt)
	all.instant("updatedAt", w.UpdatedAt)
	all.instant("expiresAt", w.ExpiresAt)
	return listing.All(all.of...)
}

func twoFactorConnection(page listing.Page[domain.TwoFactorRequest], err error) (*graph.TwoFactorRequestConnection, error) {
	if err != nil {
		return nil, err
	}
	out := &graph.TwoFactorRequestConnection{
		Nodes: page.Items, PageInfo: pageInfo(page), TotalCount: page.Count, Edges: make([]*graph.TwoFactorRequestEdge, len(page.Items)),
	}
	for i, item := range page.Items {
		out.Edges[i] = &graph.TwoFactorRequestEdge{Node: item, Cursor: page.Cursors[i]}
	}
	return out, nil
}
