package resolvers

import (
	"context"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

// invitationAnswer holds the common fields of the invitation payloads, in their order.
type invitationAnswer struct {
	Invitation *domain.Invitation
	Problems   []problem.Shape
	Replayed   bool
}

// invitationPayloads are the generated types of these payloads.
type invitationPayloads interface {
	~struct {
		Invitation *domain.Invitation `json:"invitation,omitempty"`
		Problems   []problem.Shape    `json:"problems"`
		Replayed   bool               `json:"replayed"`
	}
}

// invitationPayload returns the payload of a mutation from the result of the rules.
func invitationPayload[P invitationPayloads](
	out domain.Outcome[domain.Invitation], err error,
) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(invitationAnswer{Invitation: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

// erasedInvitation returns the payload of deleteInvitation.
func erasedInvitation(id string) func(domain.Outcome[domain.Invitation], error) (*graph.DeleteInvitationPayload, error) {
	return func(out domain.Outcome[domain.Invitation], err error) (*graph.DeleteInvitationPayload, error) {
		problems, err := problemsOf(err)
		if err != nil {
			return nil, err
		}
		payload := &graph.DeleteInvitationPayload{
			Invitation: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed,
		}
		if len(problems) == 0 {
			payload.DeletedInvitationID = &id
		}
		return payload, nil
	}
}

// invitations converts the arguments to the same query as the REST parameters.
func (r *resolver) invitations(
	ctx context.Context, page domain.Paging, where *graph.InvitationWhere, orderBy []*graph.InvitationOrder,
) (listing.Page[domain.Invitation], error) {
	q, err := page.Query()
	if err != nil {
		return listing.Page[domain.Invitation]{}, err
	}
	if q.Where, err = whereInvitation(r.Service, where); err != nil {
		return listing.Page[domain.Invitation]{}, err
	}
	for _, o := range orderBy {
		q.Order = append(q.Order, listing.Order{Field: orderField(o.Field), Desc: o.Direction == graph.OrderDirectionDesc})
	}
	return groupPage[domain.Invitation](ctx)(r.Service.Invitations(ctx, q))
}

func invitationConnection(page listing.Page[domain.Invitation], err error) (*graph.InvitationConnection, error) {
	if err != nil {
		return nil, err
	}
	edges := make([]graph.InvitationEdge, len(page.Items))
	out := &graph.InvitationConnection{
		Nodes: page.Items, PageInfo: pageInfo(page), TotalCount: page.Count,
		Edges: make([]*graph.InvitationEdge, len(page.Items)),
	}
	for i, item := range page.Items {
		edges[i] = graph.InvitationEdge{Node: item, Cursor: page.Cursors[i]}
		out.Edges[i] = &edges[i]
	}
	return out, nil
}
