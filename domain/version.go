package domain

// Version is the program that answers.
type Version struct {
	// Version is the release, Commit what it was built from, Go the compiler's version.
	Version, Commit, Go string
}
