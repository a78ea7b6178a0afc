package resolvers

import (
	"context"
	"encoding/json"
	"math"

	"github.com/99designs/gqlgen/graphql"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/graph"
)

// sessionAnswer holds the common fields of the session payloads, in their order.
type sessionAnswer struct {
	Session  *domain.Session
	Problems []problem.Shape
	Replayed bool
}

// sessionPayloads are the generated types of these payloads.
type sessionPayloads interface {
	~struct {
		Session  *domain.Session `json:"session,omitempty"`
		Problems []problem.Shape `json:"problems"`
		Replayed bool            `json:"replayed"`
	}
}

// sessionPayload returns the payload of a mutation from the result of the rules.
func sessionPayload[P sessionPayloads](
	out domain.Outcome[domain.Session], err error,
) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(sessionAnswer{Session: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

// endOtherSessionsPayload returns the payload of endOtherSessions.
func endOtherSessionsPayload(
	ctx context.Context,
) func(domain.Outcome[domain.Session], []*domain.Session, error) (*graph.EndOtherSessionsPayload, error) {
	return func(out domain.Outcome[domain.Session], ended []*domain.Session, err error) (*graph.EndOtherSessionsPayload, error) {
		problems, err := problemsOf(err)
		if err != nil {
			return nil, err
		}
		payload := &graph.EndOtherSessionsPayload{Session: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed}
		if len(problems) == 0 {
			payload.EndedSessions = append([]*domain.Session{}, ended...) // an empty list, not null
			registerGroup(ctx, payload.EndedSessions)
		}
		return payload, nil
	}
}

// sessionTokenPayload returns the payload of createSessionToken.
func sessionTokenPayload(out domain.Outcome[domain.Session], jwt string, err error) (*graph.CreateSessionTokenPayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.CreateSessionTokenPayload{Jwt: optional(jwt), Problems: problems, Replayed: out.Replayed}, nil
}

// clientTokenPayload returns the payload of createClientToken.
func clientTokenPayload(out domain.Outcome[domain.Client], jwt string, err error) (*graph.CreateClientTokenPayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.CreateClientTokenPayload{
		Client: recordBeside(problems, out.Record), Jwt: optional(jwt), Problems: problems, Replayed: out.Replayed,
	}, nil
}

// saveTemplatePayload returns the payload of saveJwtTemplate.
func saveTemplatePayload(t *domain.JwtTemplate, err error) (*graph.SaveJwtTemplatePayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.SaveJwtTemplatePayload{JwtTemplate: recordBeside(problems, t), Problems: problems}, nil
}

// deleteTemplatePayload returns the payload of deleteJwtTemplate.
func deleteTemplatePayload(name string, err error) (*graph.DeleteJwtTemplatePayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.DeleteJwtTemplatePayload{DeletedJwtTemplateName: ifVisible(&name, len(problems) == 0), Problems: problems}, nil
}

// previewTemplatePayload returns the payload of previewJwtTemplate.
func previewTemplatePayload(claims map[string]any, err error) (*graph.PreviewJwtTemplatePayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.PreviewJwtTemplatePayload{Claims: claims, Problems: problems}, nil
}

// fromOrigin sets the browser origin that requests a token.
func fromOrigin(ctx context.Context, in domain.CreateSessionTokenInput) domain.CreateSessionTokenInput {
	in.Origin = graphql.GetOperationContext(ctx).Headers.Get("Origin")
	return in
}

// decodeNumbers replaces json.Number in a tree of JSON by numbers, and integers by int64. The handler has refused
// invalid ones.
func decodeNumbers[V any](v V) V {
	out, _ := countedValue(v).(V)
	return out
}

func countedValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v == nil {
			return v
		}
		out := make(map[string]any, len(v))
		for name, x := range v {
			out[name] = countedValue(x)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, x := range v {
			out = append(out, countedValue(x))
		}
		return out
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		n, _ := v.Float64()
		return n
	}
	return v
}

// finite reports whether all numbers of a tree of JSON fit into a float64.
func finite(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			if !finite(x) {
				return false
			}
		}
	case []any:
		for _, x := range v {
			if !finite(x) {
				return false
			}
		}
	case json.Number:
		n, err := v.Float64()
		return err == nil && !math.IsInf(n, 0)
	}
	return true
}

// sessions converts the arguments to a query.
func (r *resolver) sessions(
	ctx context.Context, page domain.Paging, where *graph.SessionWhere, orderBy []*graph.SessionOrder,
) (listing.Page[domain.Session], error) {
	q, err := page.Query()
	if err != nil {
		return listing.Page[domain.Session]{}, err
	}
	if q.Where, err = whereSession(where); err != nil {
		return listing.Page[domain.Session]{}, err
	}
	for _, o := range orderBy {
		field := orderField(o.Field)
		if o.Field == graph.SessionOrderFieldStatus {
			field = "state" // the name of the field in all other records
		}
		q.Order = append(q.Order, listing.Order{Field: field, Desc: o.Direction == graph.OrderDirectionDesc})
	}
	return groupPage[domain.Session](ctx)(r.Service.Sessions(ctx, q))
}

func sessionConnection(page listing.Page[domain.Session], err error) (*graph.SessionConnection, error) {
	if err != nil {
		return nil, err
	}
	edges := make([]graph.SessionEdge, len(page.Items))
	out := &graph.SessionConnection{
		Nodes: page.Items, PageInfo: pageInfo(page), TotalCount: page.Count,
		Edges: make([]*graph.SessionEdge, len(page.Items)),
	}
	for i, item := range page.Items {
		edges[i] = graph.SessionEdge{Node: item, Cursor: page.Cursors[i]}
		out.Edges[i] = &edges[i]
	}
	return out, nil
}
