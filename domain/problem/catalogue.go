package problem

// The entries of the catalogue. Source "conventions" is the part common to the documented HAL and problem APIs
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
		Message: "The request body is missing or is not one JSON object.",
		Remedy:  "Send one well-formed JSON object.",
	})
	InvalidInput = define(Definition{
		Code: "invalidRequestBody", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Invalid Input",
		Message: "The input breaks a rule of its schema.",
		Remedy:  "Correct the members that are named and send the request again.",
	})
	InvalidParameter = define(Definition{
		Code: "invalidParameter", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Invalid Parameter",
		Message: "A parameter is malformed.",
		Remedy:  "Correct the parameter that is named.",
	})
	MissingParameter = define(Definition{
		Code: "missingParameter", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Missing Parameter",
		Message: "A required parameter is absent or empty.",
		Remedy:  "Send the parameter that is named.",
	})
	InvalidParameterValue = define(Definition{
		Code: "invalidParameterValue", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "conventions §9",
		Title:   "Invalid Parameter Value",
		Message: "A parameter has a value that is not one of those allowed.",
		Remedy:  "Use one of the documented values.",
	})
	InvalidFilter = define(Definition{
		Code: "invalidFilter", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §6",
		Title:   "Invalid Filter",
		Message: "The filter expression is malformed.",
		Remedy:  "Correct the expression at the position that is named.",
	})
	MeaninglessFilter = define(Definition{
		Code: "invalidFilterMeaning", Type: "invalidFilter", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "conventions §6",
		Title:   "Invalid Filter",
		Message: "The filter names a property, or compares it in a way, that is not possible.",
		Remedy:  "Filter by the documented properties only, each with a value of its own type.",
	})
	InvalidQuery = define(Definition{
		Code: "invalidQuery", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "conventions §7",
		Title:   "Invalid Query",
		Message: "The search text has an unbalanced quote or an 'and' without a term on each side.",
		Remedy:  "Balance the quotes and give 'and' two terms.",
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
		Remedy:  "Sort by the documented properties only.",
	})
)

// Missing authentication or permission.
var (
	InvalidAPIKey = define(Definition{
		Code: "invalidApiKey", Kind: Unauthenticated, GraphQL: "UNAUTHENTICATED", Source: "conventions §2",
		Title:   "Invalid API Key",
		Message: "The API key is missing or not known.",
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
		Message: "The access token, or the session behind it, is over.",
		Remedy:  "Authenticate again.",
	})
	AccessDenied = define(Definition{
		Code: "accessDenied", Kind: Denied, GraphQL: "FORBIDDEN", Source: "conventions §9",
		Title:   "Access Denied",
		Message: "The access token does not allow this operation.",
		Remedy:  "Ask for a token with one of the scopes of this operation.",
	})
	InvitationAccessDenied = define(Definition{
		Code: "invitationAccessDenied", Kind: Denied, GraphQL: "FORBIDDEN", Source: "invitations, error catalogue",
		Title:   "Invitation Access Denied",
		Message: "The credentials do not suffice for this access to the invitation.",
		Remedy:  "Check that the credentials are those of a person who may do this.",
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
		Message: "The resource has changed since the version that the request names.",
		Remedy:  "Fetch the resource again and decide on its current version.",
	})
	VersionRequired = define(Definition{
		Code: "ifMatchHeaderRequired", Kind: Required, Source: "conventions §8",
		Title:   "Version Required",
		Message: "The request must say which version of the resource it is meant for.",
		Remedy:  "Send the ETag of the resource in the header If-Match.",
	})
	TooManyRequests = define(Definition{
		Code: "tooManyRequests", Kind: Limited, Source: "conventions §9, §10",
		Title:   "Too Many Requests",
		Message: "There were too many requests of this kind.",
		Remedy:  "Wait until the time that is named, then try again.",
	})
	IdempotencyKeyReused = define(Definition{
		Code: "idempotencyKeyReused", Kind: Unprocessable, Source: "conventions §9, §10",
		Title:   "Idempotency Key Reused",
		Message: "This idempotency key was used for another operation or another input.",
		Remedy:  "Use a new key for a new request, and the same key only to repeat the same request.",
	})
	ServiceUnavailable = define(Definition{
		Code: "serviceUnavailable", Kind: Unavailable, Source: "conventions §9, §10",
		Title:   "Service Unavailable",
		Message: "The service cannot answer at the moment.",
		Remedy:  "Try again in a few seconds.",
	})
	InternalError = define(Definition{
		Code: "internalError", Kind: Internal, Source: "conventions §9, §10",
		Title:   "Internal Error",
		Message: "Something went wrong on our side.",
		Remedy:  "Try again; if it stays, report the id of this error.",
	})
)

// Requests refused by a door before an operation is reached.
var (
	MethodNotAllowed = define(Definition{
		Code: "methodNotAllowed", Kind: Protocol, Source: "conventions §1",
		Title:   "Method Not Allowed",
		Message: "The resource does not have this method.",
		Remedy:  "Use one of the methods that the header Allow lists.",
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
		Message: "The request body is not of a media type that is understood.",
		Remedy:  "Send the body as the documented media type, in UTF-8, and say so in the header Content-Type.",
	})
	RequestBodyTooLarge = define(Definition{
		Code: "requestBodyTooLarge", Kind: Protocol, Source: "conventions §1",
		Title:   "Request Body Too Large",
		Message: "The request body is larger than is allowed.",
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
		Message: "The parameter names no invitation that you may see.",
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
		Message: "The account accepts no further owner.",
		Remedy:  "Contact the institution.",
	})
	InvitationWrongState = define(Definition{
		Code: "invalidInvitationState", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invalid Invitation State",
		Message: "The invitation is in a state in which this is not possible.",
		Remedy:  "Fetch the invitation and follow one of the actions it offers.",
	})
	InvitationIsExpired = define(Definition{
		Code: "verificationInvitationExpired", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invitation Expired",
		Message: "The invitation to be accepted is expired.",
		Remedy:  "Use the newest mail, or ask the inviter for a new invitation.",
	})
	InvitationIsRevoked = define(Definition{
		Code: "verificationInvitationRevoked", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invitation Revoked",
		Message: "The invitation to be accepted is revoked.",
		Remedy:  "Use the newest mail, or ask the inviter for a new invitation.",
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
		Message: "The invitation was sent again as often as is allowed.",
		Remedy:  "Revoke the invitation and create a new one.",
	})
	InviteeNotVerified = define(Definition{
		Code: "inviteeNotVerified", Kind: Conflict, Source: "invitations, error catalogue",
		Title:   "Invitee Not Verified",
		Message: "The accepting user has not passed identity verification.",
		Remedy:  "Have the invitee pass a report, a quiz or an approval first.",
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
		Code: "noSuchSession", Type: "resource_not_found", Kind: Missing, GraphQL: "NOT_FOUND", Source: "client sessions §6; customer sessions: invalidSessionId",
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
		Message: "There is no JWT template of that name.",
		Remedy:  "Use the name of a template that exists.",
	})
	SessionNotLive = define(Definition{
		Code: "invalidActionForSession", Type: "invalid_action_for_session", Kind: Conflict, Source: "client sessions §5.5",
		Title:   "Invalid Action for Session",
		Message: "This cannot be done to a session in this state.",
		Remedy:  "Read the session again; one that is over needs a new login.",
	})
	SignedOut = define(Definition{
		Code: "signedOut", Type: "signed_out", Kind: Conflict, Source: "client sessions §5.5, §6",
		Title:   "Signed Out",
		Message: "The session is over and gives no tokens.",
		Remedy:  "Sign in again.",
	})
	ClientTokenInvalid = define(Definition{
		Code: "authenticationInvalid", Type: "authentication_invalid", Kind: Unauthenticated, GraphQL: "UNAUTHENTICATED", Source: "client sessions §3, §6",
		Title:   "Invalid Authentication",
		Message: "The client token does not verify.",
		Remedy:  "Send the client token that the login service handed out.",
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
		Remedy:  "Give each session a handle of its own.",
	})
	ReservedClaim = define(Definition{
		Code: "jwtTemplateReservedClaim", Type: "jwt_template_reserved_claim", Kind: Invalid, Source: "client sessions §8",
		Title:   "Reserved Claim",
		Message: "A template cannot define this claim.",
		Remedy:  "Leave out the claims that every token has.",
	})
	UnknownOrganization = define(Definition{
		Code: "organizationNotFoundOrUnauthorized", Type: "organization_not_found_or_unauthorized", Kind: Missing, Source: "client sessions §5.2, §6",
		Title:   "Organization Not Found",
		Message: "There is no such organization, or the user has no part in it.",
		Remedy:  "Name an organization that the user owns or signs for.",
	})
)

// Client session API: refusals that only its door can produce, before an operation is reached.
var (
	OriginAndAuthorization = define(Definition{
		Code: "originAuthorizationHeadersConflict", Type: "origin_authorization_headers_conflict", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §3",
		Title:   "Origin and Authorization Headers Conflict",
		Message: "A request has either the header Origin or the header Authorization.",
		Remedy:  "Send Origin from a browser, and Authorization with _is_native from a native application.",
	})
	RequestHeaderMissing = define(Definition{
		Code: "requestHeaderMissing", Type: "request_header_missing", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §3",
		Title:   "Request Header Missing",
		Message: "A header that says who calls is missing.",
		Remedy:  "Send Origin from a browser, and Authorization with _is_native from a native application.",
	})
	SeveralOrigins = define(Definition{
		Code: "multipleOriginHeaderValuesForbidden", Type: "multiple_origin_header_values_forbidden", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §3",
		Title:   "Multiple Origin Header Values Forbidden",
		Message: "The header Origin came more than once.",
		Remedy:  "Send one header Origin with one value.",
	})
	SeveralAuthorizations = define(Definition{
		Code: "multipleAuthorizationHeaderValuesForbidden", Type: "multiple_authorization_header_values_forbidden", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §3",
		Title:   "Multiple Authorization Header Values Forbidden",
		Message: "The header Authorization came more than once.",
		Remedy:  "Send one header Authorization with one value.",
	})
	OriginInvalid = define(Definition{
		Code: "originInvalid", Type: "origin_invalid", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §3",
		Title:   "Invalid Origin",
		Message: "Pages of this origin may not call.",
		Remedy:  "Call from an origin that the institution allows.",
	})
	APIVersionInvalid = define(Definition{
		Code: "apiVersionInvalid", Type: "api_version_invalid", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §2",
		Title:   "Invalid API Version",
		Message: "The API version is not the date of a version, or it is given twice.",
		Remedy:  "Give the date of a published version, as a parameter or as a header, or none.",
	})
	MalformedParameters = define(Definition{
		Code: "malformedRequestParameters", Type: "malformed_request_parameters", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "client sessions §6",
		Title:   "Malformed Request Parameters",
		Message: "The parameters of the request cannot be read.",
		Remedy:  "Encode the parameters as application/x-www-form-urlencoded, in UTF-8.",
	})
	FormParameterUnknown = define(Definition{
		Code: "formParamUnknown", Type: "form_param_unknown", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "client sessions §6",
		Title:   "Unknown Parameter",
		Message: "The operation has no such parameter.",
		Remedy:  "Send the parameters of the operation only.",
	})
	FormParameterTwice = define(Definition{
		Code: "formParamDuplicate", Type: "form_param_duplicate", Kind: Unprocessable, GraphQL: "INVALID_INPUT", Source: "client sessions §6",
		Title:   "Duplicate Parameter",
		Message: "A parameter came more than once.",
		Remedy:  "Send each parameter once.",
	})
	AuthorizationMalformed = define(Definition{
		Code: "authorizationHeaderFormatInvalid", Type: "authorization_header_format_invalid", Kind: Unauthenticated, GraphQL: "UNAUTHENTICATED", Source: "client sessions §6",
		Title:   "Invalid Authorization Header Format",
		Message: "The header Authorization is not a client token, with or without the word Bearer.",
		Remedy:  "Send back the text that the header Authorization of an answer had.",
	})
	DevBrowserUnknown = define(Definition{
		Code: "devBrowserUnauthenticated", Type: "dev_browser_unauthenticated", Kind: Unauthenticated, GraphQL: "UNAUTHENTICATED", Source: "client sessions §3, §6",
		Title:   "Browser Unauthenticated",
		Message: "The token of the development browser is not known.",
		Remedy:  "Make a new one with POST /v1/dev_browser.",
	})
)
