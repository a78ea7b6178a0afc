package problem

// Codes, devices and second factors.
var (
	InvalidToken = define(Definition{
		Code: "invalidToken", Kind: Invalid, Source: "user sessions, error catalogue",
		Title:   "Invalid Token",
		Message: "The token is not valid.",
		Remedy:  "Use the link in the latest e-mail, or request a new one.",
	})
	InvalidCode = define(Definition{
		Code: "invalidCode", Kind: Invalid, Source: "user sessions, error catalogue",
		Title:   "Invalid Code",
		Message: "The code is not valid.",
		Remedy:  "Enter the code from the latest text message, or request a new one.",
	})
	TokenExpired = define(Definition{
		Code: "tokenExpired", Kind: Gone, Source: "user sessions, error catalogue",
		Title:   "Token Expired",
		Message: "The token has expired.",
		Remedy:  "Request a new e-mail.",
	})
	CodeExpired = define(Definition{
		Code: "codeExpired", Kind: Gone, Source: "user sessions, error catalogue",
		Title:   "Code Expired",
		Message: "The code has expired.",
		Remedy:  "Request a new code.",
	})
	AlreadyVerified = define(Definition{
		Code: "alreadyVerified", Kind: Conflict, Source: "user sessions, error catalogue",
		Title:   "Already Verified",
		Message: "The address or number is already verified.",
		Remedy:  "No action is needed.",
	})
	TooManyAttempts = define(Definition{
		Code: "tooManyAttempts", Kind: Limited, GraphQL: "TOO_MANY_REQUESTS", Source: "user sessions, error catalogue",
		Title:   "Too Many Attempts",
		Message: "Too many failed attempts.",
		Remedy:  "Wait until the given time, or request a new code.",
	})
	NoSuchCustomer = define(Definition{
		Code: "noSuchCustomer", Kind: Missing, GraphQL: "NOT_FOUND", Source: "Gatehouse",
		Title:   "No Such Customer",
		Message: "There is no such customer.",
		Remedy:  "Use the id of a customer in the directory.",
	})
	NothingToVerify = define(Definition{
		Code: "nothingToVerify", Kind: Unprocessable, Source: "Gatehouse",
		Title:   "Nothing to Verify",
		Message: "The customer has no such address or number.",
		Remedy:  "Add the address or number first.",
	})
	MissingClientID = define(Definition{
		Code: "missingClientId", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "user sessions, error catalogue",
		Title:   "Missing Client ID",
		Message: "The request does not identify the application that sends it.",
		Remedy:  "Send the header clientId, or the query parameter clientId.",
	})
	MissingChallenge = define(Definition{
		Code: "missingChallenge", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "user sessions, error catalogue",
		Title:   "Missing Challenge",
		Message: "The challenge of the device is missing.",
		Remedy:  "Create a challenge and send its id in the header X-AAZZUR-DEVICE-CHALLENGE.",
	})
	MissingSignature = define(Definition{
		Code: "missingSignature", Kind: Invalid, GraphQL: "INVALID_INPUT", Source: "user sessions, error catalogue",
		Title:   "Missing Signature",
		Message: "The signature of the device is missing.",
		Remedy:  "Sign the challenge and send the signature in the header X-AAZZUR-SIGNATURE.",
	})
	MissingPIN = define(Definition{
		Code: "missingPin", Kind: Invalid, Source: "user sessions, error catalogue",
		Title:   "Missing PIN",
		Message: "The application requires the PIN.",
		Remedy:  "Send the PIN together with the signature of a new challenge.",
	})
	MissingPassword = define(Definition{
		Code: "missingPassword", Kind: Invalid, Source: "user sessions, error catalogue",
		Title:   "Missing Password",
		Message: "The application requires the password.",
		Remedy:  "Send the password together with the signature of a new challenge.",
	})
	InvalidChallenge = define(Definition{
		Code: "invalidChallenge", Kind: Invalid, Source: "user sessions, error catalogue",
		Title:   "Invalid Challenge",
		Message: "The challenge is unknown, used, expired, or belongs to another customer.",
		Remedy:  "Create a new challenge and sign it.",
	})
	InvalidSignature = define(Definition{
		Code: "invalidSignature", Kind: Invalid, Source: "user sessions, error catalogue",
		Title:   "Invalid Signature",
		Message: "The signature does not match a registered device of the customer.",
		Remedy:  "Sign a new challenge with the key of a registered device.",
	})
	InvalidPIN = define(Definition{
		Code: "invalidPin", Kind: Invalid, Source: "user sessions, error catalogue",
		Title:   "Invalid PIN",
		Message: "The PIN is wrong.",
		Remedy:  "Enter the PIN again, with a new challenge.",
	})
	InvalidPassword = define(Definition{
		Code: "invalidPassword", Kind: Invalid, Source: "user sessions, error catalogue",
		Title:   "Invalid Password",
		Message: "The password is wrong.",
		Remedy:  "Enter the password again, with a new challenge.",
	})
	ClientMismatch = define(Definition{
		Code: "clientMismatch", Kind: Denied, GraphQL: "FORBIDDEN", Source: "user sessions, error catalogue",
		Title:   "Client Mismatch",
		Message: "The access token belongs to another application.",
		Remedy:  "Send the clientId of the application that the token was issued to.",
	})
	UsernameMismatch = define(Definition{
		Code: "usernameMismatch", Kind: Denied, GraphQL: "FORBIDDEN", Source: "user sessions, error catalogue",
		Title:   "Username Mismatch",
		Message: "The access token belongs to another username.",
		Remedy:  "Send the username of the access token.",
	})
	DeviceNotFound = define(Definition{
		Code: "deviceNotFound", Kind: Missing, Source: "user sessions, error catalogue",
		Title:   "Device Not Found",
		Message: "There is no such device.",
		Remedy:  "Use a registered device of the customer.",
	})
	DeviceIsRegistered = define(Definition{
		Code: "deviceAlreadyRegistered", Kind: Conflict, Source: "Gatehouse",
		Title:   "Device Already Registered",
		Message: "The key is already registered as a device of the customer.",
		Remedy:  "Use that device, or revoke it first.",
	})
	DeviceIsRevoked = define(Definition{
		Code: "deviceRevoked", Kind: Conflict, Source: "Gatehouse",
		Title:   "Device Revoked",
		Message: "The device is already revoked.",
		Remedy:  "No action is needed.",
	})
	RequestNotFound = define(Definition{
		Code: "requestNotFound", Kind: Missing, Source: "user sessions, error catalogue",
		Title:   "Request Not Found",
		Message: "There is no such two-factor request.",
		Remedy:  "Use a request of this customer and this application.",
	})
	AlreadyDecided = define(Definition{
		Code: "alreadyDecided", Kind: Conflict, Source: "user sessions, error catalogue",
		Title:   "Already Decided",
		Message: "The request is already decided.",
		Remedy:  "Fetch the request to see the decision.",
	})
	RequestExpired = define(Definition{
		Code: "requestExpired", Kind: Gone, Source: "user sessions, error catalogue",
		Title:   "Request Expired",
		Message: "The request expired without a decision.",
		Remedy:  "Open a new request.",
	})
	AmbiguousRequest = define(Definition{
		Code: "ambiguousRequest", Kind: Conflict, Source: "user sessions, error catalogue",
		Title:   "Ambiguous Request",
		Message: "Several requests are pending, and the request does not name one.",
		Remedy:  "Name the two-factor request.",
	})
)
