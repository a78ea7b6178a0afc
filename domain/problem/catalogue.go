package problem

// The entries of the catalogue. Source "conventions" is the common part of the documented HAL and problem APIs
// (docs/dialects/conventions.md), "invitations" the Invitations API 0.3.3 (docs/dialects/invitations.md).

var catalogue []*Definition

// byCode indexes the catalogue for Lookup.
var byCode = map[string]*Definition{}

func define(d Definition) *Definition {
	if byCode[d.Code] != nil {
		panic("problem: defined twice: " + d.Code)
	}
	if d.Type == "" {
		d.Type = d.Code
	}
	if d.GraphQL == "" {
		d.GraphQL = upperSnake(d.Code)
	}
	catalogue = append(catalogue, &d)
	byCode[d.Code] = &d
	return &d
}

// All returns the catalogue in the order of definition.
func All() []*Definition { return append([]*Definition(nil), catalogue...) }

// Lookup returns the definition with the given code, or nil.
func Lookup(code string) *Definition { return byCode[code] }

func upperSnake(code string) string {
	out := make([]byte, 0, len(code)+8)
	for i := 0; i < len(code); i++ {
		c := code[i]
		if c >= 'A' && c <= 'Z' {
			out = append(out, '_', c)
			continue
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}

// Malformed input.
var (
	MalformedBody = define(Definition{
		Code: "malformedRequestBodyBadRequest", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Malformed Request Body",
		Message: "The request body must be a single JSON object.",
		Remedy:  "Send one well-formed JSON object.",
	})
	InvalidInput = define(Definition{
		Code: "invalidRequestBody", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Invalid Input",
		Message: "The input violates its schema.",
		Remedy:  "Correct the named fields and send the request again.",
	})
	InvalidParameter = define(Definition{
		Code: "invalidParameter", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Invalid Parameter",
		Message: "A parameter is malformed.",
		Remedy:  "Correct the named parameter.",
	})
	MissingParameter = define(Definition{
		Code: "missingParameter", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Missing Parameter",
		Message: "A required parameter is absent or empty.",
		Remedy:  "Send the named parameter.",
	})
	InvalidParameterValue = define(Definition{
		Code: "invalidParameterValue", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Invalid Parameter Value",
		Message: "A parameter has a value that is not permitted.",
		Remedy:  "Use one of the documented values.",
	})
	InvalidFilter = define(Definition{
		Code: "invalidFilter", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §6",
		Title:   "Invalid Filter",
		Message: "The filter expression is malformed.",
		Remedy:  "Correct the expression at the given position.",
	})
	MeaninglessFilter = define(Definition{
		Code: "invalidFilterMeaning", Type: "invalidFilter", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "conventions §6",
		Title:   "Invalid Filter",
		Message: "The filter uses a property or a comparison that is not supported.",
		Remedy:  "Filter only by documented properties, and compare each with a value of its type.",
	})
	InvalidQuery = define(Definition{
		Code: "invalidQuery", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §7",
		Title:   "Invalid Query",
		Message: "The search text has an unbalanced quote, or an 'and' without a term on both sides.",
		Remedy:  "Balance the quotes, and put a term on both sides of 'and'.",
	})
	InvalidSort = define(Definition{
		Code: "invalidSortCriteria", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §5",
		Title:   "Invalid Sort Criteria",
		Message: "The sort criteria are malformed.",
		Remedy:  "Separate property names by commas, each with at most one leading hyphen.",
	})
	MeaninglessSort = define(Definition{
		Code: "invalidSortCriteriaMeaning", Type: "invalidSortCriteria", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "conventions §5",
		Title:   "Invalid Sort Criteria",
		Message: "The list cannot be sorted by this property.",
		Remedy:  "Sort only by documented properties.",
	})
)

// Missing authentication or permission.
var (
	InvalidAPIKey = define(Definition{
		Code: "invalidApiKey", Kind: Unauthenticated, GraphQL: "UNAUTHENTICATED", Source: "conventions §2",
		Title:   "Invalid API Key",
		Message: "The API key is missing or unknown.",
		Remedy:  "Send the key of your client application in the header API-Key.",
	})
	Unauthorized = define(Definition{
		Code: "unauthorized", Kind: Unauthenticated, GraphQL: "UNAUTHENTICATED", Source: "conventions §9, §10",
		Title:   "Unauthorized",
		Message: "The access token is missing or not valid.",
		Remedy:  "Authenticate and send the access token as a bearer token.",
	})
	SessionExpired = define(Definition{
		Code: "sessionExpired", Kind: Unauthenticated, GraphQL: "UNAUTHENTICATED", Source: "conventions §9, §10",
		Title:   "Session Expired",
		Message: "The access token has expired, or its session has ended.",
		Remedy:  "Authenticate again.",
	})
	AccessDenied = define(Definition{
		Code: "accessDenied", Kind: Denied, GraphQL: "FORBIDDEN", Source: "conventions §9",
		Title:   "Access Denied",
		Message: "The access token does not allow this operation.",
		Remedy:  "Request a token with one of the scopes of this operation.",
	})
	InvitationAccessDenied = define(Definition{
		Code: "invitationAccessDenied", Kind: Denied, GraphQL: "FORBIDDEN", Source: "invitations, error catalogue",
		Title:   "Invitation Access Denied",
		Message: "The credentials do not permit this access to the invitation.",
		Remedy:  "Use the credentials of a user who has this access.",
	})
)

// Missing records, outdated versions and exceeded limits.
var (
	NotFound = define(Definition{
		Code: "notFound", Kind: Missing, Source: "conventions §9",
		Title:   "Not Found",
		Message: "There is no such resource.",
		Remedy:  "Use an address or an id that exists.",
	})
	StaleVersion = define(Definition{
		Code: "ifMatchHeaderDoesNotMatch", Kind: Stale, GraphQL: "VERSION_STALE", Source: "conventions §8",
		Title:   "Stale Version",
		Message: "The resource has changed since the version named in the request.",
		Remedy:  "Fetch the resource again and base the request on its current version.",
	})
	VersionRequired = define(Definition{
		Code: "ifMatchHeaderRequired", Kind: Required, Source: "conventions §8",
		Title:   "Version Required",
		Message: "The request must name the version of the resource that it applies to.",
		Remedy:  "Send the ETag of the resource in the header If-Match.",
	})
	TooManyRequests = define(Definition{
		Code: "tooManyRequests", Kind: Limited, Source: "conventions §9, §10",
		Title:   "Too Many Requests",
		Message: "Too many requests of this kind.",
		Remedy:  "Wait until the given time, then try again.",
	})
	IdempotencyKeyReused = define(Definition{
		Code: "idempotencyKeyReused", Kind: Unprocessable, Source: "conventions §9, §10",
		Title:   "Idempotency Key Reused",
		Message: "This idempotency key was already used for another operation or other input.",
		Remedy:  "Use a new key for each request, and reuse a key only to repeat the same request.",
	})
	ServiceUnavailable = define(Definition{
		Code: "serviceUnavailable", Kind: Unavailable, Source: "conventions §9, §10",
		Title:   "Service Unavailable",
		Message: "The service is temporarily unavailable.",
		Remedy:  "Try again in a few seconds.",
	})
	InternalError = define(Definition{
		Code: "internalError", Kind: Internal, Source: "conventions §9, §10",
		Title:   "Internal Error",
		Message: "An internal error occurred.",
		Remedy:  "Try again. If the error persists, report its id.",
	})
)

// Requests that a door refuses before it reaches an operation.
var (
	MethodNotAllowed = define(Definition{
		Code: "methodNotAllowed", Kind: Protocol, Source: "conventions §1",
		Title:   "Method Not Allowed",
		Message: "The resource does not support this method.",
		Remedy:  "Use one of the methods in the header Allow.",
	})
	NotAcceptable = define(Definition{
		Code: "notAcceptable", Kind: Protocol, Source: "conventions §1",
		Title:   "Not Acceptable",
		Message: "The resource is not available in a media type that the request accepts.",
		Remedy:  "Accept the documented media type.",
	})
	UnsupportedMediaType = define(Definition{
		Code: "unsupportedMediaType", Kind: Protocol, Source: "conventions §1",
		Title:   "Unsupported Media Type",
		Message: "The media type of the request body is not supported.",
		Remedy:  "Send the body in the documented media type and in UTF-8, and name the media type in the header Content-Type.",
	})
	RequestBodyTooLarge = define(Definition{
		Code: "requestBodyTooLarge", Kind: Protocol, Source: "conventions §1",
		Title:   "Request Body Too Large",
		Message: "The request body exceeds the maximum size.",
		Remedy:  "Send a smaller body.",
	})
)

// Invitations.
var (
	NoSuchInvitation = define(Definition{
		Code: "noSuchInvitation", Kind: Missing, GraphQL: "NOT_FOUND", Source: "invitations, error catalogue",
		Title:   "No Such Invitation",
		Message: "There is no such invitation.",
		Remedy:  "Use the id of an invitation that you may see.",
	})
	InvalidInvitationID = define(Definition{
		Code: "invalidInvitationId", Kind: Unprocessable, GraphQL: "NOT_FOUND", Source: "invitations, error catalogue",
		Title:   "Invalid Invitation ID",
		Message: "The parameter does not identify an invitation that you may see.",
		Remedy:  "Use the id or the link of an invitation that you may see.",
	})
	JointOwnersDisabled = define(Definition{
		Code: "jointOwnersDisabled", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Joint Owners Disabled",
		Message: "The account does not support joint owners.",
		Remedy:  "Contact the institution.",
	})
	AdditionalOwnersNotAllowed = define(Definition{
		Code: "additionalOwnersNotAllowed", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Additional Owners Not Allowed",
		Message: "The account does not accept further owners.",
		Remedy:  "Contact the institution.",
	})
	InvitationWrongState = define(Definition{
		Code: "invalidInvitationState", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invalid Invitation State",
		Message: "The state of the invitation does not permit this.",
		Remedy:  "Fetch the invitation and use one of the actions that it offers.",
	})
	InvitationIsExpired = define(Definition{
		Code: "verificationInvitationExpired", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invitation Expired",
		Message: "The invitation has expired.",
		Remedy:  "Use the link in the latest e-mail, or ask the inviter for a new invitation.",
	})
	InvitationIsRevoked = define(Definition{
		Code: "verificationInvitationRevoked", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invitation Revoked",
		Message: "The invitation was revoked.",
		Remedy:  "Use the link in the latest e-mail, or ask the inviter for a new invitation.",
	})
	InvitationIsFailed = define(Definition{
		Code: "verificationInvitationFailed", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invitation Failed",
		Message: "The invitation is locked after too many wrong secrets.",
		Remedy:  "Ask the inviter for a new invitation.",
	})
	InvitationResendLimit = define(Definition{
		Code: "invitationResendLimitReached", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Resend Limit Reached",
		Message: "The invitation was resent as often as permitted.",
		Remedy:  "Revoke the invitation and create a new one.",
	})
	InviteeNotVerified = define(Definition{
		Code: "inviteeNotVerified", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invitee Not Verified",
		Message: "The accepting user has not passed identity verification.",
		Remedy:  "The invitee must first pass a report, a quiz or an approval.",
	})
	InvitationVerificationFailed = define(Definition{
		Code: "invitationVerificationFailed", Kind: Invalid, Source: "invitations, error catalogue",
		Title:   "Invitation Verification Failed",
		Message: "The secret and the id do not match an open invitation.",
		Remedy:  "Check both with the inviter; after too many wrong secrets the invitation is locked.",
	})
)

// Sessions.
var (
	NoSuchSession = define(Definition{
		Code:    "noSuchSession",
		Type:    "resource_not_found",
		Kind:    Missing,
		GraphQL: "NOT_FOUND",
		Source:  "client sessions §6; customer sessions: invalidSessionId",
		Title:   "Session Not Found",
		Message: "There is no such session.",
		Remedy:  "Use a session that you may see.",
	})
	NoSuchClient = define(Definition{
		Code: "noSuchClient", Type: "client_not_found", Kind: Missing, GraphQL: "NOT_FOUND", Source: "client sessions §6",
		Title:   "No Client Found",
		Message: "There is no such client.",
		Remedy:  "Send the token of a client that exists.",
	})
	NoSuchTemplate = define(Definition{
		Code: "noSuchTemplate", Type: "resource_not_found", Kind: Missing, GraphQL: "NOT_FOUND", Source: "client sessions §6, §8",
		Title:   "JWT Template Not Found",
		Message: "No JWT template has this name.",
		Remedy:  "Use the name of a template that exists.",
	})
	SessionNotLive = define(Definition{
		Code: "invalidActionForSession", Type: "invalid_action_for_session", Kind: Conflict, Source: "client sessions §5.5",
		Title:   "Invalid Action for Session",
		Message: "The state of the session does not permit this.",
		Remedy:  "Fetch the session again. If it has ended, the user must sign in again.",
	})
	SignedOut = define(Definition{
		Code: "signedOut", Type: "signed_out", Kind: Conflict, Source: "client sessions §5.5, §6",
		Title:   "Signed Out",
		Message: "The session has ended and issues no tokens.",
		Remedy:  "Sign in again.",
	})
	ClientTokenInvalid = define(Definition{
		Code:    "authenticationInvalid",
		Type:    "authentication_invalid",
		Kind:    Unauthenticated,
		GraphQL: "UNAUTHENTICATED",
		Source:  "client sessions §3, §6",
		Title:   "Invalid Authentication",
		Message: "The client token is not valid.",
		Remedy:  "Send the client token that the login service issued.",
	})
	SessionTerminated = define(Definition{
		Code: "sessionTerminated", Kind: Conflict, Source: "customer sessions, problem catalogue",
		Title:   "Session Terminated",
		Message: "The session has ended; ended sessions cannot be revived.",
		Remedy:  "Have the customer log in again.",
	})
	SessionLifetimeExceeded = define(Definition{
		Code: "sessionLifetimeExceeded", Kind: Conflict, Source: "customer sessions, problem catalogue",
		Title:   "Session Lifetime Exceeded",
		Message: "The session is too old to be resumed.",
		Remedy:  "Have the customer log in again.",
	})
	SessionHandleTaken = define(Definition{
		Code: "sessionHandleTaken", Kind: Unprocessable, Source: "Gatehouse",
		Title:   "Session Handle Taken",
		Message: "Another session has this handle.",
		Remedy:  "Use a different handle for each session.",
	})
	ReservedClaim = define(Definition{
		Code: "jwtTemplateReservedClaim", Type: "jwt_template_reserved_claim", Kind: Invalid, Source: "client sessions §8",
		Title:   "Reserved Claim",
		Message: "A template must not define this claim.",
		Remedy:  "Remove the claims that every token has.",
	})
	UnknownOrganization = define(Definition{
		Code:    "organizationNotFoundOrUnauthorized",
		Type:    "organization_not_found_or_unauthorized",
		Kind:    Missing,
		Source:  "client sessions §5.2, §6",
		Title:   "Organization Not Found",
		Message: "The organization does not exist, or the user is not a member of it.",
		Remedy:  "Name an organization that the user owns or signs for.",
	})
)

// Refusals that only the door of the client session API produces, before it reaches an operation.
var (
	OriginAndAuthorization = define(Definition{
		Code:    "originAuthorizationHeadersConflict",
		Type:    "origin_authorization_headers_conflict",
		Kind:    Invalid,
		GraphQL: "INVALID_INPUT",
		Source:  "client sessions §3",
		Title:   "Origin and Authorization Headers Conflict",
		Message: "A request must have either the header Origin or the header Authorization, not both.",
		Remedy:  "Send Origin from a browser, and Authorization with _is_native from a native application.",
	})
	RequestHeaderMissing = define(Definition{
		Code: "requestHeaderMissing", Type: "request_header_missing", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §3",
		Title:   "Request Header Missing",
		Message: "A header that identifies the caller is missing.",
		Remedy:  "Send Origin from a browser, and Authorization with _is_native from a native application.",
	})
	SeveralOrigins = define(Definition{
		Code:    "multipleOriginHeaderValuesForbidden",
		Type:    "multiple_origin_header_values_forbidden",
		Kind:    Invalid,
		GraphQL: "INVALID_INPUT",
		Source:  "client sessions §3",
		Title:   "Multiple Origin Header Values Forbidden",
		Message: "The header Origin must not occur more than once.",
		Remedy:  "Send one header Origin with one value.",
	})
	SeveralAuthorizations = define(Definition{
		Code:    "multipleAuthorizationHeaderValuesForbidden",
		Type:    "multiple_authorization_header_values_forbidden",
		Kind:    Invalid,
		GraphQL: "INVALID_INPUT",
		Source:  "client sessions §3",
		Title:   "Multiple Authorization Header Values Forbidden",
		Message: "The header Authorization must not occur more than once.",
		Remedy:  "Send one header Authorization with one value.",
	})
	OriginInvalid = define(Definition{
		Code: "originInvalid", Type: "origin_invalid", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §3",
		Title:   "Invalid Origin",
		Message: "Requests from this origin are not permitted.",
		Remedy:  "Send the request from an origin that the institution permits.",
	})
	APIVersionInvalid = define(Definition{
		Code: "apiVersionInvalid", Type: "api_version_invalid", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §2",
		Title:   "Invalid API Version",
		Message: "The API version is not the date of a published version, or is given twice.",
		Remedy:  "Send the date of a published version once, as a parameter or as a header, or omit it.",
	})
	MalformedParameters = define(Definition{
		Code:    "malformedRequestParameters",
		Type:    "malformed_request_parameters",
		Kind:    Invalid,
		GraphQL: "INVALID_INPUT",
		Source:  "client sessions §6",
		Title:   "Malformed Request Parameters",
		Message: "The request parameters are malformed.",
		Remedy:  "Encode the parameters as application/x-www-form-urlencoded, in UTF-8.",
	})
	FormParameterUnknown = define(Definition{
		Code: "formParamUnknown", Type: "form_param_unknown", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "client sessions §6",
		Title:   "Unknown Parameter",
		Message: "The operation does not have this parameter.",
		Remedy:  "Send only parameters of the operation.",
	})
	FormParameterTwice = define(Definition{
		Code: "formParamDuplicate", Type: "form_param_duplicate", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "client sessions §6",
		Title:   "Duplicate Parameter",
		Message: "A parameter must not occur more than once.",
		Remedy:  "Send each parameter once.",
	})
	AuthorizationMalformed = define(Definition{
		Code:    "authorizationHeaderFormatInvalid",
		Type:    "authorization_header_format_invalid",
		Kind:    Unauthenticated,
		GraphQL: "UNAUTHENTICATED",
		Source:  "client sessions §6",
		Title:   "Invalid Authorization Header Format",
		Message: "The header Authorization must contain a client token, with or without the prefix Bearer.",
		Remedy:  "Send the value of the header Authorization of an earlier response.",
	})
	DevBrowserUnknown = define(Definition{
		Code:    "devBrowserUnauthenticated",
		Type:    "dev_browser_unauthenticated",
		Kind:    Unauthenticated,
		GraphQL: "UNAUTHENTICATED",
		Source:  "client sessions §3, §6",
		Title:   "Browser Unauthenticated",
		Message: "The token of the development browser is unknown.",
		Remedy:  "Create a new token with POST /v1/dev_browser.",
	})
)
