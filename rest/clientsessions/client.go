package clientsessions

import (
	"net/url"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// getClient is the first call of every client, which may have no credential yet. The response is then null, not an
// error.
func (a *api) getClient(c *call) (reply, error) {
	switch {
	case problem.Has(c.refused, problem.SignedOut):
		return reply{body: enveloped{}}, nil
	case c.refused != nil:
		return reply{}, c.refused
	}
	client, err := a.client(c)
	return reply{body: enveloped{Response: client}}, err
}

// createClient issues a credential to a caller without a valid one. An existing client keeps its own.
func (a *api) createClient(c *call) (reply, error) {
	var answer reply
	if c.refused != nil {
		switch problem.Of(c.refused).Kind {
		case problem.Unauthenticated, problem.Conflict:
		default:
			return reply{}, c.refused
		}
		_, token, err := a.Service.StartClient(c.Context())
		if err != nil {
			return reply{}, err
		}
		ctx, err := a.Service.WithClient(c.Context(), token)
		if err != nil {
			return reply{}, err
		}
		c.Request, answer.credential = c.WithContext(ctx), token
	}
	client, err := a.client(c)
	answer.body = enveloped{Response: client, Client: client}
	return answer, err
}

// devBrowser creates a development browser: a client whose token the page sends in the query.
func (a *api) devBrowser(c *call) (reply, error) {
	if !a.Development {
		return reply{}, problem.New(problem.NotFound)
	}
	_, token, err := a.Service.StartClient(c.Context())
	return reply{body: map[string]string{"object": "dev_browser", "id": token, "token": token}}, err
}

// endClient ends every live session of the client; removeSessions removes every session from it.
func (a *api) endClient(c *call) (reply, error) {
	return a.each(c, domain.SessionState.Live, func(id string) error {
		_, err := a.Service.EndSession(c.Context(), domain.SessionInput{SessionID: id})
		return err
	})
}

func (a *api) removeSessions(c *call) (reply, error) {
	return a.each(c, func(domain.SessionState) bool { return true }, func(id string) error {
		_, err := a.Service.RemoveSession(c.Context(), domain.SessionInput{SessionID: id})
		return err
	})
}

// each applies do to the sessions in some states until there are none left, since a client lists a limited number at a
// time. It ignores sessions that a concurrent call has changed first.
func (a *api) each(c *call, in func(domain.SessionState) bool, do func(id string) error) (reply, error) {
	for left := true; left; {
		_, listed, err := a.Service.ClientSessions(c.Context(), c.clientID())
		if err != nil {
			return reply{}, err
		}
		left = false
		for _, r := range listed {
			if !in(r.State) {
				continue
			}
			left = true
			if err := do(r.ID); err != nil && !problem.Has(err, problem.SessionNotLive) && !problem.Has(err, problem.NoSuchSession) {
				return reply{}, err
			}
		}
	}
	client, err := a.client(c)
	return reply{body: enveloped{Response: client, Client: client}}, err
}

// mySessions returns the live sessions of the customer on all clients, as a list without envelope.
func (a *api) mySessions(c *call) (reply, error) {
	ctx, err := a.acting(c)
	if err != nil {
		return reply{}, err
	}
	page, err := a.Service.Sessions(
		ctx, listing.Query{Limit: 100, Where: listing.OneWord("state", domain.SessionActive, domain.SessionPending)},
	)
	if err != nil {
		return reply{}, err
	}
	list := make([]*session, 0, len(page.Items))
	for _, r := range page.Items {
		one, err := a.session(c, r, false)
		if err != nil {
			return reply{}, err
		}
		list = append(list, one)
	}
	return reply{body: list}, nil
}

// revokeMySession ends a session of the customer on any client.
func (a *api) revokeMySession(c *call) (reply, error) {
	ctx, err := a.acting(c)
	if err != nil {
		return reply{}, err
	}
	id, err := reference(c)
	if err != nil {
		return reply{}, err
	}
	reason := "revoked by the customer"
	out, err := a.Service.EndSession(ctx, domain.SessionInput{SessionID: id, Reason: &reason, Guard: domain.Guard{IdempotencyKey: c.key}})
	answer := reply{replayed: out.Replayed}
	switch {
	case err != nil:
		return answer, describe(err, "revoke", id)
	case out.Record == nil:
		return answer, describe(problem.New(problem.NoSuchSession), "revoke", id)
	}
	shown, err := a.session(c, out.Record, false)
	if err != nil {
		return answer, err
	}
	client, err := a.client(c)
	answer.body = enveloped{Response: shown, Client: client}
	return answer, err
}

// environment returns the configuration of this server for a page. Sign-in and sign-up are not offered, because the
// login service of the institution provides them.
func (a *api) environment(*call) (reply, error) {
	kind, home := "production", a.Service.Settings.PublicURL
	if a.Development {
		kind = "development"
	}
	host := ""
	if u, err := url.Parse(home); err == nil {
		host = u.Host
	}
	type object = map[string]any
	none := object{}
	return reply{body: object{
		"object": "environment", "id": "env_gatehouse",
		"auth_config": object{
			"object": "auth_config", "id": "aconf_gatehouse", "single_session_mode": false, "claimed_at": nil,
			"reverification": false, "preferred_channels": none,
		},
		"display_config": object{
			"object": "display_config", "id": "display_config_gatehouse", "instance_environment_type": kind,
			"application_name": a.Service.Settings.InstitutionName, "backend_host": host, "home_url": home,
			"theme": object{}, "branded": false, "preferred_sign_in_strategy": "password",
			"logo_image_url": "", "favicon_image_url": "", "support_email": "",
			"sign_in_url": home, "sign_up_url": home, "user_profile_url": home, "organization_profile_url": home,
			"create_organization_url": home, "after_sign_in_url": home, "after_sign_up_url": home,
			"after_sign_out_all_url": home, "after_sign_out_one_url": home, "after_switch_session_url": home,
			"after_leave_organization_url": home, "after_create_organization_url": home,
			"captcha_public_key": nil, "captcha_public_key_invisible": nil, "captcha_widget_type": nil,
			"captcha_provider": "turnstile", "captcha_oauth_bypass": []string{},
		},
		"user_settings": object{
			"social": none, "attributes": none, "actions": object{"delete_self": false, "create_organization": false},
			"saml": object{"enabled": false}, "enterprise_sso": object{"enabled": false},
			"sign_in":           object{"second_factor": object{"required": false}},
			"sign_up":           object{"captcha_enabled": false, "progressive": true, "mode": "restricted"},
			"password_settings": none, "passkey_settings": none, "username_settings": none,
		},
		"organization_settings": object{
			"enabled": false, "max_allowed_memberships": 0, "actions": object{"admin_delete": false},
			"domains": object{"enabled": false, "enrollment_modes": []string{}, "default_role": nil},
		},
		"maintenance_mode": false,
	}}, nil
}
