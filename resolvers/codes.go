package resolvers

// TopLevel describes the code of a top-level error for the documentation.
type TopLevel struct{ Code, Meaning, Remedy string }

// TopLevels returns every `extensions.code` of a top-level error.
func TopLevels() []TopLevel {
	return []TopLevel{
		{codeUnauthenticated, "The token is missing or not valid, or its session has ended.", "Send a valid access token."},
		{
			codeForbidden,
			"The token has none of the scopes of the operation, or the user has no right to a record that they may see.",
			"Use a token with another scope, or of another user.",
		},
		{codeBadDocument, "The document, its variables or an argument of a query is not valid.", "Correct the error named in the message."},
		{
			codeTooComplex,
			"The document exceeds a limit: it is too deep or too wide, or has too many aliases or root fields.",
			"Request less, or split it into several requests.",
		},
		{codeRateLimited, "The caller sent too many requests.", "Wait until the time in `extensions.availableAt`."},
		{codeUnavailable, "The database or the token issuer does not respond.", "Try again in a few seconds."},
		{codeInternal, "An internal error occurred. The response contains only an id.", "Report the id in `extensions.incident`."},
	}
}
