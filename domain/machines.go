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
		{RoleAnyone, "Any caller with a permitted scope. The presented secret, token or answer is the credential."},
		{RoleInviter, "The creator of the invitation."},
		{RoleInvitee, "A caller, other than the inviter, who presents the secret of the invitation. On the page that the e-mail links to, they need not be signed in."},
		{RoleOwner, "The user to whom the record belongs, or the client (a browser or a device) of a session. A record about a person belongs to its creator and to the contact's own user."},
		{RoleTarget, "A user who owns the account, or who owns or signs for the organization, that the invitation is for. They see the invitation while it is open."},
		{RoleAdmin, "A caller with the scope admin/write or admin/full."},
		{RoleAuditor, "A caller with the scope admin/read, who may see what an administrator sees and change nothing."},
		{RoleProvider, "The provider of the quiz, when it reports the score."},
		{RoleClock, "The passage of time. Readers see the transition at once; the sweeper stores it within about a second."},
	}
}

// Concerned says in words whom the events of a kind concern, beside those who see everything: what the `concerns` of
// its life lists.
func Concerned(kind Kind) string { return concernedBy[kind] }

var concernedBy = map[Kind]string{
	KindInvitation:        "the inviter, and the user who accepted it while signed in",
	KindSession:           "the signed-in user",
	KindEmailVerification: "the customer",
	KindPhoneVerification: "the customer",
	KindDevice:            "the customer who owns the device",
	KindTwoFactorRequest:  "the customer who must decide",
	KindContact:           "the user that the contact represents, if there is one",
	KindFraudRiskReport:   "its creator, and the contact's own user",
	KindQuiz:              "its creator, and the contact's own user",
	KindApproval:          "the administrator, and the contact's own user",
}
