package resolvers

// TopLevel describes the code of a top-level error for the documentation.
type TopLevel struct{ Code, Meaning, Remedy string }

// TopLevels returns every `extensions.code` of a top-level error.
func TopLevels() []TopLevel {
	return []TopLevel{
		{codeUnauthenticated, "No token came, or none that is believed; or the session that it speaks for is over.", "Send a valid access token."},
		{codeForbidden, "The token has none of the scopes of the operation, or its user no right to a record that he or she may see.", "Ask for a token with another scope, or let somebody else ask."},
		{codeBadDocument, "The document, its variables or an argument of a query is not valid.", "Correct what the message names."},
		{codeTooComplex, "The document asks for too much at once: too deep, too wide, too many aliases or root fields.", "Ask for less, or in several requests."},
		{codeRateLimited, "Too many requests came from the caller.", "Wait until the time in `extensions.availableAt`."},
		{codeUnavailable, "The database, or the issuer of tokens, does not answer.", "Try again in a few seconds."},
		{codeInternal, "Something went wrong on our side: the answer has an id and nothing else.", "Report the id in `extensions.incident`."},
	}
}
