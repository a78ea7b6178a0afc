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

// sessionAnswer is what the payloads of the session mutations have in common, in their order.
type sessionAnswer struct {
	Session  *domain.Session
	Problems []problem.Shape
	Replayed bool
}

// sessionPayload makes the payload of a mutation out of what the rules answered.
func sessionPayload[P graph.CreateSessionPayload | graph.TouchSessionPayload | graph.EndSessionPayload | graph.RemoveSessionPayload |
	graph.TerminateSessionPayload | graph.ResumeSessionPayload | graph.CompleteSessionTaskPayload](
	out domain.Outcome[domain.Session], err error,
) (*P, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	payload := P(sessionAnswer{Session: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed})
	return &payload, nil
}

// endedPayload makes the payload of endOtherSessions.
func endOtherSessionsPayload(ctx context.Context) func(domain.Outcome[domain.Session], []*domain.Session, error) (*graph.EndOtherSessionsPayload, error) {
	return func(out domain.Outcome[domain.Session], ended []*domain.Session, err error) (*graph.EndOtherSessionsPayload, error) {
		problems, err := problemsOf(err)
		if err != nil {
			return nil, err
		}
		payload := &graph.EndOtherSessionsPayload{Session: recordBeside(problems, out.Record), Problems: problems, Replayed: out.Replayed}
		if len(problems) == 0 {
			payload.EndedSessions = append([]*domain.Session{}, ended...) // none is a list too
			registerGroup(ctx, payload.EndedSessions)
		}
		return payload, nil
	}
}

// sessionTokenPayload makes the payload of createSessionToken.
func sessionTokenPayload(out domain.Outcome[domain.Session], jwt string, err error) (*graph.CreateSessionTokenPayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.CreateSessionTokenPayload{Jwt: optional(jwt), Problems: problems, Replayed: out.Replayed}, nil
}

// clientTokenPayload makes the payload of createClientToken.
func clientTokenPayload(out domain.Outcome[domain.Client], jwt string, err error) (*graph.CreateClientTokenPayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.CreateClientTokenPayload{
		Client: recordBeside(problems, out.Record), Jwt: optional(jwt), Problems: problems, Replayed: out.Replayed,
	}, nil
}

// savedTemplate makes the payload of saveJwtTemplate.
func saveTemplatePayload(t *domain.JwtTemplate, err error) (*graph.SaveJwtTemplatePayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.SaveJwtTemplatePayload{JwtTemplate: recordBeside(problems, t), Problems: problems}, nil
}

// deletedTemplate makes the payload of deleteJwtTemplate.
func deleteTemplatePayload(name string, err error) (*graph.DeleteJwtTemplatePayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.DeleteJwtTemplatePayload{DeletedJwtTemplateName: ifVisible(&name, len(problems) == 0), Problems: problems}, nil
}

// shownClaims makes the payload of previewJwtTemplate.
func previewTemplatePayload(claims map[string]any, err error) (*graph.PreviewJwtTemplatePayload, error) {
	problems, err := problemsOf(err)
	if err != nil {
		return nil, err
	}
	return &graph.PreviewJwtTemplatePayload{Claims: claims, Problems: problems}, nil
}

// fromOrigin adds the browser origin that asks for a token.
func fromOrigin(ctx context.Context, in domain.CreateSessionTokenInput) domain.CreateSessionTokenInput {
	in.Origin = graphql.GetOperationContext(ctx).Headers.Get("Origin")
	return in
}

// counted is a tree of JSON with numbers in the place of their texts, whole ones as such. The door has refused what
// is no number.
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

// finite reports whether all numbers of a tree of JSON are numbers that a computer has.
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

// sessions compiles the arguments to the query.
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
			field = "state" // as every record calls it
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
