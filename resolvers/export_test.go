package resolvers

// Generated returns a handler that uses only the generated executor.
func Generated(o *Options) { o.generated = true }
