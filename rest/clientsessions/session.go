package clientsessions

import (
	"slices"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/problem"
)

func (a *api) getSession(c *call) (reply, error) {
	id, err := reference(c)
	if err != nil {
		return reply{}, err
	}
	r, err := a.Service.Session(c.Context(), id)
	if err != nil {
		return reply{}, describe(err, "get", id)
	}
	body, err := a.about(c, r, false)
	return reply{body: body}, err
}

// intents are the reasons why a client touches a session. They have no effect here.
var intents = []string{"focus", "select_session", "select_org"}

func (a *api) touch(c *call) (reply, error) {
	id, err := reference(c)
	if err != nil {
		return reply{}, err
	}
	if intent := c.form["intent"]; intent != "" && !slices.Contains(intents, intent) {
		return reply{}, problem.New(problem.InvalidParameterValue).At("intent").Because("intent must be focus, select_session or select_org.")
	}
	out, err := a.Service.TouchSession(c.Context(), domain.TouchSessionInput{
		SessionID: id, OrganizationID: c.form.optional("active_organization_id"), IdempotencyKey: c.key,
	})
	return a.outcome(c, out, err, "touch", id)
}

func (a *api) end(c *call) (reply, error) {
	id, err := reference(c)
	if err != nil {
		return reply{}, err
	}
	out, err := a.Service.EndSession(c.Context(), domain.SessionInput{SessionID: id, Guard: domain.Guard{IdempotencyKey: c.key}})
	return a.outcome(c, out, err, "end", id)
}

func (a *api) remove(c *call) (reply, error) {
	id, err := reference(c)
	if err != nil {
		return reply{}, err
	}
	out, err := a.Service.RemoveSession(c.Context(), domain.SessionInput{SessionID: id, Guard: domain.Guard{IdempotencyKey: c.key}})
	return a.outcome(c, out, err, "remove", id)
}

// outcome returns the response to an action on a session. A touched session has a new token.
func (a *api) outcome(c *call, out domain.Outcome[domain.Session], err error, action, id string) (reply, error) {
	answer := reply{replayed: out.Replayed}
	switch {
	case err != nil:
		return answer, describe(err, action, id)
	case out.Record == nil:
		return answer, describe(problem.New(problem.NoSuchSession), action, id)
	}
	answer.body, err = a.about(c, out.Record, action == "touch" && out.Record.State.Live())
	return answer, err
}

// jwt returns the response of the token endpoints, which has no envelope.
func jwt(text string) token { return token{"token", text} }

func (a *api) token(c *call) (reply, error) {
	id, err := reference(c)
	if err != nil {
		return reply{}, err
	}
	out, text, err := a.Service.CreateSessionToken(c.Context(), domain.CreateSessionTokenInput{
		SessionID: id, Origin: c.caller.origin, OrganizationID: c.form.optional("organization_id"), IdempotencyKey: c.key,
	})
	return reply{body: jwt(text), replayed: out.Replayed}, describe(err, "create a token for", id)
}

func (a *api) templateToken(c *call) (reply, error) {
	id, err := reference(c)
	if err != nil {
		return reply{}, err
	}
	name := c.PathValue("template_name")
	out, text, err := a.Service.CreateSessionToken(c.Context(), domain.CreateSessionTokenInput{
		SessionID: id, Template: &name, Origin: c.caller.origin, IdempotencyKey: c.key,
	})
	answer := reply{body: jwt(text), replayed: out.Replayed}
	switch {
	case problem.Has(err, problem.InvalidInput): // no template can have such a name; an unknown session still comes first
		if _, err := a.Service.Session(c.Context(), id); err != nil {
			return answer, describe(err, "create a token for", id)
		}
		fallthrough
	case problem.Has(err, problem.NoSuchTemplate):
		return answer, problem.New(problem.NoSuchTemplate).Because("No JWT template exists with name: %s", cut(name))
	}
	return answer, describe(err, "create a token for", id)
}
