package domain

// Version describes the running program.
type Version struct {
	// Version is the release, Commit the commit of the build, Go the version of the compiler.
	Version, Commit, Go string
}
