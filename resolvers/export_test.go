package resolvers

// Generated makes a door that leaves everything to the generated executor.
func Generated(o *Options) { o.generated = true }
