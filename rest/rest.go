// Package rest mounts the documented REST dialects under the paths that their documents specify.
//
// It knows the dialects and their dependencies. It must not know their operations: a dialect handles every request
// under its prefix itself.
package rest

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/rest/clientsessions"
	"github.com/gatehouse/gatehouse/rest/customersessions"
	"github.com/gatehouse/gatehouse/rest/identity"
	"github.com/gatehouse/gatehouse/rest/invitations"
	"github.com/gatehouse/gatehouse/rest/usersessions"
)

// Options configure the dialects.
type Options struct {
	// Service holds the rules; required.
	Service *domain.Service
	// Log gets the details of internal errors, which callers must not see; nil means slog.Default().
	Log *slog.Logger
	// Now is the clock; required.
	Now func() time.Time
	// RequireIfMatch refuses updates and actions without If-Match.
	RequireIfMatch bool
	// Version is the version of the program.
	Version string
	// AllowedOrigins are the browser origins that may call with cookies.
	AllowedOrigins []string
	// Development admits browsers that store no cookie of this server.
	Development bool
}

// dialect is one documented API.
type dialect struct {
	// prefix begins with a slash and does not end with one; the dialect serves it and all paths below.
	prefix string
	build  func(Options) http.Handler
}

// dialects lists all dialects.
var dialects = []dialect{
	{invitations.Prefix, func(o Options) http.Handler {
		return invitations.New(invitations.Options{Service: o.Service, Now: o.Now, Log: o.Log, RequireIfMatch: o.RequireIfMatch})
	}},
	{identity.Prefix, func(o Options) http.Handler {
		return identity.New(identity.Options{Service: o.Service, Now: o.Now, Log: o.Log})
	}},
	{customersessions.Prefix, func(o Options) http.Handler {
		return customersessions.New(customersessions.Options{Service: o.Service, Now: o.Now, Log: o.Log})
	}},
	{clientsessions.Prefix, func(o Options) http.Handler {
		return clientsessions.New(clientsessions.Options{
			Service: o.Service, Now: o.Now, Log: o.Log, AllowedOrigins: o.AllowedOrigins, Development: o.Development,
		})
	}},
	{usersessions.Prefix, func(o Options) http.Handler {
		return usersessions.New(usersessions.Options{Service: o.Service, Now: o.Now, Log: o.Log, Version: o.Version})
	}},
}

// New returns the handler of all dialects. Other paths are 404. It never redirects, because a redirected request may
// lose its body or change its method.
func New(o Options) http.Handler {
	handlers := make([]http.Handler, 0, len(dialects))
	for _, d := range dialects {
		handlers = append(handlers, d.build(o))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i, d := range dialects {
			if r.URL.Path == d.prefix || strings.HasPrefix(r.URL.Path, d.prefix+"/") {
				handlers[i].ServeHTTP(w, r)
				return
			}
		}
		http.NotFound(w, r)
	})
}
