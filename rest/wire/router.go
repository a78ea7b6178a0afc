package wire

import (
	"fmt"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/domain/problem"
)

// Router routes the requests under the prefix of one dialect. Other requests go to the dialect's error writer: with
// NotFound for an unknown path, with MethodNotAllowed and the header Allow for an unknown method. It never redirects: a
// path with an empty, dotted or superfluous last segment is unknown, except that the prefix is the same with and
// without a trailing slash. A panic of a handler is an internal error of the dialect.
type Router struct {
	prefix  string
	refuse  func(http.ResponseWriter, *http.Request, *problem.Problem)
	mux     *http.ServeMux
	methods []string
}

// NewRouter returns a router. The prefix begins with a slash and does not end with one; refuse writes a problem.
func NewRouter(prefix string, refuse func(http.ResponseWriter, *http.Request, *problem.Problem)) *Router {
	return &Router{prefix: prefix, refuse: refuse, mux: http.NewServeMux()}
}

// Handle registers a method of a path below the prefix, in the syntax of http.ServeMux: "/invitations/{id}". The path
// "/" matches only the root of the dialect. GET serves HEAD too.
func (rt *Router) Handle(method, below string, handler http.Handler) {
	if below == "/" {
		below = "/{$}"
	}
	rt.mux.Handle(method+" "+rt.prefix+below, handler)
	for _, m := range []string{method, http.MethodHead} {
		if (m == method || method == http.MethodGet) && !slices.Contains(rt.methods, m) {
			rt.methods = append(rt.methods, m)
		}
	}
	slices.Sort(rt.methods)
}

// HandleFunc is Handle for a function.
func (rt *Router) HandleFunc(method, below string, handler func(http.ResponseWriter, *http.Request)) {
	rt.Handle(method, below, http.HandlerFunc(handler))
}

// ServeHTTP routes the request.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer rt.caught(w, r)
	if r.URL.Path == rt.prefix {
		r = at(r, r.Method, rt.prefix+"/")
	}
	escaped := r.URL.EscapedPath()
	clean := path.Clean(escaped)
	if clean != "/" && strings.HasSuffix(escaped, "/") {
		clean += "/"
	}
	if escaped != clean {
		rt.refuse(w, r, problem.New(problem.NotFound))
		return
	}
	if _, pattern := rt.mux.Handler(r); pattern != "" {
		rt.mux.ServeHTTP(w, r)
		return
	}
	allowed := rt.allowed(r)
	if len(allowed) == 0 {
		rt.refuse(w, r, problem.New(problem.NotFound))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	rt.refuse(w, r, problem.New(problem.MethodNotAllowed))
}

// caught writes an error if the handler has panicked. A handler writes at its end, so nothing has been written yet.
func (rt *Router) caught(w http.ResponseWriter, r *http.Request) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		rt.refuse(w, r, problem.Of(fmt.Errorf("panic: %v\n%s", p, debug.Stack())))
	}
}

// allowed returns the methods of the request's path.
func (rt *Router) allowed(r *http.Request) []string {
	var out []string
	for _, method := range rt.methods {
		if _, pattern := rt.mux.Handler(at(r, method, r.URL.Path)); pattern != "" {
			out = append(out, method)
		}
	}
	return out
}

// at returns a copy of the request with another method and path, for routing.
func at(r *http.Request, method, to string) *http.Request {
	out := new(http.Request)
	*out = *r
	out.Method = method
	if to != r.URL.Path {
		address := *r.URL
		address.Path, address.RawPath = to, ""
		out.URL = &address
	}
	return out
}
