package domain

import "github.com/gatehouse/gatehouse/domain/lifecycle"

// Lifecycles gives every machine as plain text, in the order of the documentation.
func Lifecycles() []lifecycle.Map {
	return []lifecycle.Map{
		invitationMachine.Map(), sessionMachine.Map(),
		emailMachine.Map(), phoneMachine.Map(), deviceMachine.Map(), twoFactorMachine.Map(),
		contactMachine.Map(), reportMachine.Map(), quizMachine.Map(), approvalMachine.Map(),
	}
}

// Lifecycle gives the machine of a kind as plain text.
func Lifecycle(kind Kind) (lifecycle.Map, bool) {
	for _, m := range Lifecycles() {
		if m.Name == string(kind) {
			return m, true
		}
	}
	return lifecycle.Map{}, false
}

// RoleHelp explains a role.
type RoleHelp struct {
	Name Role
	Help string
}

// Roles explains every role, for the documentation.
func Roles() []RoleHelp {
	return []RoleHelp{
		{RoleAnyone, "Everybody whom the scopes let in; what is presented is the credential."},
		{RoleInviter, "Created the invitation."},
		{RoleInvitee, "Presents the invitation's secret, and is not the inviter. Need not be signed in on the page that the mail links to."},
		{RoleOwner, "The user it belongs to, or the client (a browser or a device) it is on. What is about a person belongs to its creator and to the contact's own user."},
		{RoleTarget, "Owns the account, or owns or signs for the organization, that the invitation leads to. Sees it while it is outstanding."},
		{RoleAdmin, "Holds the scope admin/write or admin/full."},
		{RoleAuditor, "Holds the scope admin/read: sees what an administrator sees and does nothing."},
		{RoleProvider, "The provider of quizzes, once it has scored the answers."},
		{RoleClock, "Time itself. A reader sees the transition at once, a sweeper writes it within a second or so."},
	}
}

// Concerned says in words whom the events of a kind concern, beside those who see everything: what the `concerns` of
// its life lists.
func Concerned(kind Kind) string { return concernedBy[kind] }

var concernedBy = map[Kind]string{
	KindInvitation:        "the inviter, and who accepted it while signed in",
	KindSession:           "the user who is signed in",
	KindEmailVerification: "the customer",
	KindPhoneVerification: "the customer",
	KindDevice:            "the customer whose device it is",
	KindTwoFactorRequest:  "the customer who is to decide",
	KindContact:           "the user whom the contact is; nobody where it is nobody's",
	KindFraudRiskReport:   "who made it, and the contact's own user",
	KindQuiz:              "who made it, and the contact's own user",
	KindApproval:          "the administrator, and the contact's own user",
}
