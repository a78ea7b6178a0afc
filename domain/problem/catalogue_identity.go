package problem

// Contacts, reports, quizzes and approvals.
var (
	NoSuchContact = define(Definition{
		Code: "noSuchContact", Kind: Missing, GraphQL: "NOT_FOUND", Source: "Gatehouse",
		Title:   "No Such Contact",
		Message: "There is no such contact.",
		Remedy:  "Use the id of a contact that you may see.",
	})
	NoSuchFraudRiskReport = define(Definition{
		Code: "noSuchFraudRiskReport", Kind: Missing, GraphQL: "NOT_FOUND", Source: "identity, error catalogue",
		Title:   "No Such Fraud Risk Report",
		Message: "There is no such fraud-risk report.",
		Remedy:  "Use the id of a report that you may see.",
	})
	NoSuchQuiz = define(Definition{
		Code: "noSuchQuiz", Kind: Missing, GraphQL: "NOT_FOUND", Source: "identity, error catalogue",
		Title:   "No Such Quiz",
		Message: "There is no such quiz.",
		Remedy:  "Use the id of a quiz that you may see.",
	})
	NoSuchApproval = define(Definition{
		Code: "noSuchApproval", Kind: Missing, GraphQL: "NOT_FOUND", Source: "identity, error catalogue",
		Title:   "No Such Approval",
		Message: "There is no such approval.",
		Remedy:  "Use the id of an approval that you may see.",
	})
	NoSuchReview = define(Definition{
		Code: "noSuchReview", Kind: Missing, GraphQL: "NOT_FOUND", Source: "Gatehouse",
		Title:   "No Such Review",
		Message: "There is no such review.",
		Remedy:  "Use the id of a review that you may see.",
	})
	NoSuchMatch = define(Definition{
		Code: "noSuchMatch", Kind: Unprocessable, Source: "Gatehouse",
		Title:   "No Such Match",
		Message: "The report has no match with this list entry.",
		Remedy:  "Use the entry of a match with a list of people in the evidence of the report.",
	})
	ReviewTaken = define(Definition{
		Code: "reviewTaken", Kind: Conflict, Source: "Gatehouse",
		Title:   "Review Taken",
		Message: "Another reviewer has taken the review.",
		Remedy:  "Choose another review, or release this one first.",
	})
	ReviewNotTaken = define(Definition{
		Code: "reviewNotTaken", Kind: Conflict, Source: "Gatehouse",
		Title:   "Review Not Taken",
		Message: "Nobody has taken the review.",
		Remedy:  "Take or decide the review.",
	})
	ReviewAlreadyDecided = define(Definition{
		Code: "reviewAlreadyDecided", Kind: Conflict, Source: "Gatehouse",
		Title:   "Review Already Decided",
		Message: "The review is already decided.",
		Remedy:  "Fetch the review to see the decision. A new report opens a new review.",
	})
	ReviewNotDecided = define(Definition{
		Code: "reviewNotDecided", Kind: Conflict, Source: "Gatehouse",
		Title:   "Review Not Decided",
		Message: "The review is not decided yet.",
		Remedy:  "Decide the review; another person can then confirm the decision.",
	})
	SecondPersonRequired = define(Definition{
		Code: "secondPersonRequired", Kind: Conflict, Source: "Gatehouse",
		Title:   "Second Person Required",
		Message: "A person who took no part in the decision must confirm it.",
		Remedy:  "Ask another reviewer to confirm the decision.",
	})
	InvalidContactLink = define(Definition{
		Code: "invalidContactLink", Kind: Invalid, Source: "identity, error catalogue",
		Title:   "Invalid Contact Link",
		Message: "The link does not identify a contact that you may see.",
		Remedy:  "Use the link of a contact that you may see.",
	})
	InvalidContactURI = define(Definition{
		Code: "invalidContactUri", Kind: Unprocessable, Source: "identity, error catalogue",
		Title:   "Invalid Contact URI",
		Message: "No contact has this URI.",
		Remedy:  "Use the URI of a contact that exists.",
	})
	IncompleteIdentity = define(Definition{
		Code: "incompleteIdentity", Kind: Invalid, Source: "identity, error catalogue",
		Title:   "Incomplete Identity",
		Message: "The contact lacks required fields.",
		Remedy:  "Complete the contact, or send the missing fields together with the link.",
	})
	InvalidQuizAnswers = define(Definition{
		Code: "invalidQuizAnswers", Kind: Invalid, Source: "identity, error catalogue",
		Title:   "Invalid Quiz Answers",
		Message: "The answers do not match the questions: each question must be answered once, with one of its choices.",
		Remedy:  "Correct the answers to the named questions and send all answers again; the quiz is still open.",
	})
	InvalidQuizState = define(Definition{
		Code: "invalidQuizState", Kind: Conflict, Source: "identity, error catalogue",
		Title:   "Invalid Quiz State",
		Message: "The state of the quiz does not permit this.",
		Remedy:  "Fetch the quiz and use one of the actions that it offers.",
	})
	QuizQuestionsUnavailable = define(Definition{
		Code: "quizQuestionsUnavailable", Kind: Conflict, Source: "identity, error catalogue",
		Title:   "Quiz Questions Unavailable",
		Message: "No questions can be generated for this identity.",
		Remedy:  "Create a new quiz with other data, or have an administrator approve the person.",
	})
	ProviderUnavailable = define(Definition{
		Code: "providerUnavailable", Kind: Unavailable, Source: "identity, error catalogue",
		Title:   "Provider Unavailable",
		Message: "The provider is not available; nothing was changed.",
		Remedy:  "Try again later.",
	})
	InvalidParameterWord = define(Definition{
		Code:    "invalidParameterWord",
		Type:    "invalidParameterValue",
		Kind:    Invalid,
		GraphQL: "INVALID_INPUT",
		Source:  "identity, contact verification and approvals",
		Title:   "Invalid Parameter Value",
		Message: "A parameter has a value that is not permitted.",
		Remedy:  "Use one of the documented values.",
	})
)
