package domain

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/domain/lifecycle"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
)

// TwoFactorRequest asks a customer to decide, on a registered device, about a login or another act that an
// application has begun.
type TwoFactorRequest struct {
	// Meta has a UUID as the id.
	Meta
	State      TwoFactorRequestState
	CustomerID string
	// ClientID is the application that requests the decision.
	ClientID string
	// Statement describes the decision to people; personal data.
	Statement string
	ExpiresAt time.Time
	// DecidedAt and DecidedBy, a device, are nil before the decision.
	DecidedAt *time.Time
	DecidedBy *string
	// StatementSigned is set if the device signed the statement together with the challenge.
	StatementSigned bool
}

// Head returns the part that all records share.
func (r *TwoFactorRequest) Head() *Meta { return &r.Meta }

// KindTwoFactorRequest is the kind.
const KindTwoFactorRequest Kind = "twoFactorRequest"

// Kind names the machine.
func (*TwoFactorRequest) Kind() Kind { return KindTwoFactorRequest }

// TwoFactorRequestState is the state of a request.
type TwoFactorRequestState string

// The states; twoFactorMachine describes how each is reached.
const (
	TwoFactorPending  TwoFactorRequestState = "pending"
	TwoFactorApproved TwoFactorRequestState = "approved"
	TwoFactorRejected TwoFactorRequestState = "rejected"
	TwoFactorExpired  TwoFactorRequestState = "expired"
)

// TwoFactorRequestTransition is a verb of the machine.
type TwoFactorRequestTransition string

// The transitions.
const (
	TwoFactorApprove TwoFactorRequestTransition = "approve"
	TwoFactorReject  TwoFactorRequestTransition = "reject"
	TwoFactorExpire  TwoFactorRequestTransition = "expire"
)

type twoFactorRow = lifecycle.Row[TwoFactorRequestState, TwoFactorRequestTransition, Role]

var twoFactorMachine = &lifecycle.Machine[TwoFactorRequestState, TwoFactorRequestTransition, Role]{
	Name: string(KindTwoFactorRequest), Start: TwoFactorPending, Clock: RoleClock,
	Create: "openTwoFactorRequest", CreateBy: list(RoleAdmin),
	States: []lifecycle.State[TwoFactorRequestState]{
		{Name: TwoFactorPending, Help: "The customer may decide on a registered device until the request expires."},
		{Name: TwoFactorApproved, Help: "The customer approved; the application may continue. This state is final."},
		{Name: TwoFactorRejected, Help: "The customer rejected. This state is final."},
		{Name: TwoFactorExpired, Help: "It expired without a decision. This state is final; a new request may be opened."},
	},
	Transitions: []twoFactorRow{
		{On: TwoFactorApprove, From: list(TwoFactorPending), To: list(TwoFactorApproved), By: list(RoleOwner), Else: twoFactorUnlessPending},
		{On: TwoFactorReject, From: list(TwoFactorPending), To: list(TwoFactorRejected), By: list(RoleOwner), Else: twoFactorUnlessPending},
		{On: TwoFactorExpire, From: list(TwoFactorPending), To: list(TwoFactorExpired), By: list(RoleClock), Else: twoFactorUnlessPending},
	},
}

func twoFactorUnlessPending(state TwoFactorRequestState) *problem.Definition {
	if state == TwoFactorExpired {
		return problem.RequestExpired
	}
	return problem.AlreadyDecided
}

var twoFactorRequests = &life[TwoFactorRequest, TwoFactorRequestState, TwoFactorRequestTransition]{
	kind: KindTwoFactorRequest, machine: twoFactorMachine,
	shelf: func(s Store) Shelf[TwoFactorRequest] { return s.TwoFactorRequests() },
	head:  func(r *TwoFactorRequest) *Meta { return &r.Meta },
	state: func(r *TwoFactorRequest) *TwoFactorRequestState { return &r.State },
	rolesOf: func(_ context.Context, _ *Service, _ *Prefetched, a Actor, r *TwoFactorRequest) ([]Role, bool, error) {
		return customerRoles(a, r.CustomerID)
	},
	dummy: func() *TwoFactorRequest { return &TwoFactorRequest{} },
	due: func(r *TwoFactorRequest) (TwoFactorRequestTransition, TwoFactorRequestState, time.Time, bool) {
		return TwoFactorExpire, TwoFactorExpired, r.ExpiresAt, r.State == TwoFactorPending
	},
	concerns: func(r *TwoFactorRequest) []string { return list(r.CustomerID) },
	missing:  problem.RequestNotFound, denied: problem.AccessDenied,
}

// TwoFactorRequestSchema has the fields by which requests can be selected and ordered.
var TwoFactorRequestSchema = listing.Schema{Fields: []listing.Field{
	{Name: "_id", Type: listing.ID},
	{Name: "state", Type: listing.Enum, Values: twoFactorMachine.StateNames()},
	{Name: "customerId", Type: listing.ID},
	{Name: "clientId", Type: listing.ID},
	{Name: "createdAt", Type: listing.Time},
	{Name: "updatedAt", Type: listing.Time},
	{Name: "expiresAt", Type: listing.Time},
}}

// TwoFactorRequestValue reads a field of a request.
func TwoFactorRequestValue(r *TwoFactorRequest, field string) listing.Value {
	switch field {
	case "_id":
		return r.ID
	case "state":
		return string(r.State)
	case "customerId":
		return r.CustomerID
	case "clientId":
		return r.ClientID
	case "createdAt":
		return r.CreatedAt
	case "updatedAt":
		return r.UpdatedAt
	case "expiresAt":
		return r.ExpiresAt
	}
	return nil
}

// twoFactorLapse makes a list show a request as expired from the moment that a read of the request does.
func twoFactorLapse(state listing.Value, now time.Time) listing.Predicate {
	pending := listing.Eq("state", string(TwoFactorPending))
	switch state {
	case listing.Value(string(TwoFactorPending)):
		return listing.All(pending, listing.Is(listing.GT, "expiresAt", now))
	case listing.Value(string(TwoFactorExpired)):
		return listing.Any(listing.Eq("state", state), listing.All(pending, listing.Is(listing.LE, "expiresAt", now)))
	}
	return nil
}

// SecondFactor is a factor that a device must present in addition to its signature.
type SecondFactor string

// The second factors.
const (
	FactorPIN      SecondFactor = "PIN"
	FactorPassword SecondFactor = "PASSWORD"
)

// Application is a client application with its policy.
type Application struct {
	// ID is the claim client_id.
	ID string
	// SecondFactors is the policy; nil if the application has no policy.
	SecondFactors []SecondFactor
}

// Jurisdiction is the jurisdiction of customers, with its policy for applications that have none.
type Jurisdiction struct {
	ID            string
	SecondFactors []SecondFactor
}

// Policies has the requirements of the bank for decisions; it is a part of Directory.
type Policies interface {
	// Application returns an application, or ErrMissing.
	Application(ctx context.Context, id string) (*Application, error)
	// Jurisdiction returns a jurisdiction, or ErrMissing.
	Jurisdiction(ctx context.Context, id string) (*Jurisdiction, error)
}

// policy returns the factors that the application requires, otherwise the customer's jurisdiction. The challenge is always
// required and not in the result. The customer is nil if the directory has none.
func (s *Service) policy(ctx context.Context, clientID string, customer *Customer) ([]SecondFactor, error) {
	if clientID != "" {
		application, err := s.Directory.Application(ctx, clientID)
		if err != nil && !errors.Is(err, ErrMissing) {
			return nil, err
		}
		if err == nil && application.SecondFactors != nil {
			return application.SecondFactors, nil
		}
	}
	if customer == nil || customer.Jurisdiction == "" {
		return nil, nil
	}
	jurisdiction, err := s.Directory.Jurisdiction(ctx, customer.Jurisdiction)
	if errors.Is(err, ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return jurisdiction.SecondFactors, nil
}

// OpenTwoFactorRequestInput is a decision that an application requests of a customer.
type OpenTwoFactorRequestInput struct {
	CustomerID     string  `json:"customerId" validate:"required,max=255,printable"`
	ClientID       string  `json:"clientId" validate:"required,max=255,printable"`
	Statement      string  `json:"statement" validate:"required,max=500,line"`
	IdempotencyKey *string `json:"idempotencyKey" validate:"omitempty,min=1,max=255,printable"`
}

// OpenTwoFactorRequest requests a decision of a customer.
// Refuses with AccessDenied, InvalidInput and IdempotencyKeyReused.
func (s *Service) OpenTwoFactorRequest(ctx context.Context, in OpenTwoFactorRequestInput) (Outcome[TwoFactorRequest], error) {
	const operation = "openTwoFactorRequest"
	if _, err := s.begin(ctx, operation, in); err != nil {
		return Outcome[TwoFactorRequest]{}, err
	}
	c := call{operation: operation, guard: Guard{IdempotencyKey: in.IdempotencyKey}, parts: list(in.CustomerID, in.ClientID, in.Statement)}
	return create(ctx, s, twoFactorRequests, c, func(_ context.Context, n *creation) (*TwoFactorRequest, error) {
		return &TwoFactorRequest{
			Meta:  Meta{ID: newUUID(n.Now), Version: 1, CreatedAt: n.Now, UpdatedAt: n.Now},
			State: twoFactorMachine.Start, CustomerID: in.CustomerID, ClientID: in.ClientID, Statement: in.Statement,
			ExpiresAt: n.Now.Add(s.Settings.TwoFactorTTL),
		}, nil
	})
}

// Evidence is what a device presents with a decision.
type Evidence struct {
	ChallengeID string  `json:"challengeId" validate:"required,max=128"`
	Signature   string  `json:"signature" validate:"required,max=2048"`
	PIN         *string `json:"pin" validate:"omitempty,max=64"`
	Password    *string `json:"password" validate:"omitempty,max=1024"`
}

// ApproveTwoFactorRequestInput names a request, with the evidence of the device.
type ApproveTwoFactorRequestInput struct {
	TwoFactorRequestID string `json:"twoFactorRequestId" validate:"required,max=128"`
	Evidence
	Guard
}

// RejectTwoFactorRequestInput names a request, with the evidence of the device.
type RejectTwoFactorRequestInput struct {
	TwoFactorRequestID string `json:"twoFactorRequestId" validate:"required,max=128"`
	Evidence
	Guard
}

// ApproveTwoFactorRequest approves a request. The device signs the challenge and the customer's username, or these and
// the digest of the statement.
// Refuses with AccessDenied, InvalidInput, TooManyAttempts (failed device checks), InvalidChallenge, InvalidSignature,
// MissingPIN, InvalidPIN, MissingPassword, InvalidPassword, RequestNotFound, StaleVersion, AlreadyDecided,
// RequestExpired and IdempotencyKeyReused.
func (s *Service) ApproveTwoFactorRequest(ctx context.Context, in ApproveTwoFactorRequestInput) (Outcome[TwoFactorRequest], error) {
	return s.decideTwoFactor(ctx, "approveTwoFactorRequest", TwoFactorApprove, in, TwoFactorDecision{
		TwoFactorRequestID: &in.TwoFactorRequestID, Evidence: in.Evidence, Guard: in.Guard,
	})
}

// RejectTwoFactorRequest rejects a request. It requires the same evidence as ApproveTwoFactorRequest.
// Refuses with AccessDenied, InvalidInput, TooManyAttempts (failed device checks), InvalidChallenge, InvalidSignature,
// MissingPIN, InvalidPIN, MissingPassword, InvalidPassword, RequestNotFound, StaleVersion, AlreadyDecided,
// RequestExpired and IdempotencyKeyReused.
func (s *Service) RejectTwoFactorRequest(ctx context.Context, in RejectTwoFactorRequestInput) (Outcome[TwoFactorRequest], error) {
	return s.decideTwoFactor(ctx, "rejectTwoFactorRequest", TwoFactorReject, in, TwoFactorDecision{
		TwoFactorRequestID: &in.TwoFactorRequestID, Evidence: in.Evidence, Guard: in.Guard,
	})
}

// TwoFactorDecision is a decision in the form of the documented API: of one application, with the documented signature,
// and without an id if only one request is pending.
type TwoFactorDecision struct {
	// TwoFactorRequestID is nil for the only pending request of the customer and the application.
	TwoFactorRequestID *string `json:"twoFactorRequestId" validate:"omitempty,max=128"`
	Evidence
	Guard
	// ClientID is the application; nil: that of the token, otherwise that of the request.
	ClientID *string `json:"-"`
}

// ApproveTwoFactor is ApproveTwoFactorRequest in the form of the documented API.
// Refuses also with MissingClientID, ClientMismatch, MissingChallenge, MissingSignature and AmbiguousRequest.
func (s *Service) ApproveTwoFactor(ctx context.Context, in TwoFactorDecision) (Outcome[TwoFactorRequest], error) {
	return s.documented(ctx, "approveTwoFactorRequest", TwoFactorApprove, in)
}

// RejectSecondFactor is RejectTwoFactorRequest in the form of the documented API, with the refusals of ApproveTwoFactor.
func (s *Service) RejectSecondFactor(ctx context.Context, in TwoFactorDecision) (Outcome[TwoFactorRequest], error) {
	return s.documented(ctx, "rejectTwoFactorRequest", TwoFactorReject, in)
}

// documented makes the checks before the challenge in the order of the document.
func (s *Service) documented(
	ctx context.Context, operation string, on TwoFactorRequestTransition, in TwoFactorDecision,
) (Outcome[TwoFactorRequest], error) {
	if err := s.Permit(ctx, operation); err != nil {
		return Outcome[TwoFactorRequest]{}, err
	}
	if err := s.CheckTwoFactorHeaders(ctx, in); err != nil {
		return Outcome[TwoFactorRequest]{}, err
	}
	return s.decideTwoFactor(ctx, operation, on, in, in)
}

// CheckTwoFactorHeaders checks the parts of a decision that the document puts into headers, in its order, so that a caller
// can check them before it reads the body.
// Refuses with MissingClientID, ClientMismatch (the token was issued to another application), MissingChallenge and
// MissingSignature.
func (s *Service) CheckTwoFactorHeaders(ctx context.Context, in TwoFactorDecision) error {
	switch a := ActorFrom(ctx); {
	case in.ClientID == nil || *in.ClientID == "":
		return problem.New(problem.MissingClientID)
	case a.ClientID != "" && a.ClientID != *in.ClientID:
		return problem.New(problem.ClientMismatch)
	case in.ChallengeID == "":
		return problem.New(problem.MissingChallenge)
	case in.Signature == "":
		return problem.New(problem.MissingSignature)
	}
	return nil
}

// decideTwoFactor follows the order of the document (User Sessions, device challenge and signature): token and scope,
// application, shape, challenge, signature, further factors, and only then the request.
func (s *Service) decideTwoFactor(
	ctx context.Context, operation string, on TwoFactorRequestTransition, input any, in TwoFactorDecision,
) (_ Outcome[TwoFactorRequest], refusal error) {
	defer func() { _ = problem.Note(ctx, refusal) }()
	var none Outcome[TwoFactorRequest]
	d := &decision{s: s, actor: ActorFrom(ctx), in: in}
	if _, err := s.begin(ctx, operation, input, d.shape()...); err != nil {
		return none, err
	}
	requested := "-"
	if in.TwoFactorRequestID != nil {
		requested = "+" + *in.TwoFactorRequestID
	}
	c := call{operation: operation, guard: in.Guard, idFromLookup: true, parts: list(
		requested, optional(in.ClientID), in.ChallengeID, in.Signature, optional(in.PIN), optional(in.Password))}
	if out, done, err := recall(ctx, s, twoFactorRequests, d.actor, c); done {
		return out, err
	}
	if err := s.unlessFailed(ctx, s.failuresOfCustomer(d.actor.ID)); err != nil {
		return none, err
	}
	if err := d.locate(ctx); err != nil {
		return none, err
	}
	if p, err := d.check(ctx, c); p != nil || err != nil {
		if err != nil {
			return none, err
		}
		return refused(ctx, s, twoFactorRequests, d.actor, c, p, d.counters...)
	}
	id, err := d.request(ctx)
	if err != nil {
		if p := problem.Of(err); repeatable(p) {
			return refused(ctx, s, twoFactorRequests, d.actor, c, p)
		}
		return none, err
	}
	c.id = id
	return apply(ctx, s, deciding(d.client), c, on, func(_ context.Context, ch *change[TwoFactorRequest]) (TwoFactorRequestState, error) {
		if !ch.Now.Before(ch.Record.ExpiresAt) {
			return "", problem.New(problem.RequestExpired)
		}
		ch.Record.DecidedAt, ch.Record.DecidedBy, ch.Record.StatementSigned = &ch.Now, &d.device.ID, d.statementSigned
		if on == TwoFactorApprove {
			return TwoFactorApproved, nil
		}
		return TwoFactorRejected, nil
	})
}

// deciding is the life for a customer who decides for one application: requests of others are not found. An empty
// clientID permits any application.
func deciding(clientID string) *life[TwoFactorRequest, TwoFactorRequestState, TwoFactorRequestTransition] {
	l := *twoFactorRequests
	l.rolesOf = func(_ context.Context, _ *Service, _ *Prefetched, a Actor, r *TwoFactorRequest) ([]Role, bool, error) {
		if !a.Known() || a.ID != r.CustomerID || clientID != "" && clientID != r.ClientID {
			return nil, false, nil
		}
		return list(RoleOwner), true, nil
	}
	return &l
}

// decision has the state of one call during the checks.
type decision struct {
	s     *Service
	actor Actor
	in    TwoFactorDecision
	// signature is what In.Signature decodes to.
	signature []byte
	// client is the application whose policy applies; empty if it is unknown.
	client string
	// named is the request that the input names, if the caller may see it.
	named    *TwoFactorRequest
	device   *Device
	counters []failures
	// statementSigned is set if the signature covers the statement.
	statementSigned bool
}

// shape returns the problems of the input that its tags cannot express.
func (d *decision) shape() (problems []*problem.Problem) {
	bad := func(member, text string) {
		problems = append(problems, problem.New(problem.InvalidInput).Because("%s", text).At(member))
	}
	d.in.ChallengeID = strings.ToLower(d.in.ChallengeID)
	if !isUUID(d.in.ChallengeID) {
		bad("challengeId", "challengeId must be a UUID.")
	}
	var err error
	if d.signature, err = base64.StdEncoding.Strict().DecodeString(d.in.Signature); err != nil {
		bad("signature", "signature must be standard Base64 with padding.")
	}
	if id := d.in.TwoFactorRequestID; id != nil {
		lower := strings.ToLower(*id)
		d.in.TwoFactorRequestID = &lower
		if !isUUID(lower) {
			bad("twoFactorRequestId", "The id of a request must be a UUID.")
		}
	}
	return problems
}

// locate finds the request that the input names, for its application and its statement. If it does not exist, the refusal
// follows only after the device has been checked.
func (d *decision) locate(ctx context.Context) error {
	d.client = d.actor.ClientID
	if d.in.ClientID != nil {
		d.client = *d.in.ClientID
	}
	if d.in.TwoFactorRequestID == nil {
		return nil
	}
	read, err := find(ctx, d.s, twoFactorRequests, *d.in.TwoFactorRequestID)
	if errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, visible, _ := deciding(d.client).rolesOf(ctx, d.s, nil, d.actor, read.record); visible {
		d.named = read.record
		d.client = read.record.ClientID
	}
	return nil
}

// check implements steps 3 to 6 of the document. Its refusals are counted.
func (d *decision) check(ctx context.Context, c call) (*problem.Problem, error) {
	s := d.s
	d.counters = list(s.failuresOfCustomer(d.actor.ID))
	name, err := s.username(ctx, d.actor)
	if err != nil {
		return nil, err
	}
	use := ChallengeUse{ID: d.in.ChallengeID, CustomerID: d.actor.ID, UsernameHash: s.usernameHash(name), At: s.now()}
	if key := s.key(d.actor, c); key != nil {
		use.By = s.KeyedHash("challenge use", string(key), string(s.fingerprint(c)))
	}
	challenge, err := s.Store.UseChallenge(context.WithoutCancel(ctx), use)
	if errors.Is(err, ErrMissing) {
		return problem.New(problem.InvalidChallenge).At("challengeId"), nil
	}
	if err != nil {
		return nil, err
	}
	ofDevice := s.failuresOfDevice(challenge.DeviceID)
	if err := s.unlessFailed(ctx, ofDevice); err != nil {
		return nil, err
	}
	d.counters = append(d.counters, ofDevice)
	device, err := s.Store.Devices().Get(ctx, challenge.DeviceID)
	if err != nil && !errors.Is(err, ErrMissing) {
		return nil, err
	}
	if err != nil || device.State != DeviceRegistered || device.CustomerID != d.actor.ID || !d.signedBy(device, name) {
		return problem.New(problem.InvalidSignature).At("signature"), nil
	}
	d.device = device
	return d.factors(ctx)
}

// signedBy checks the signature of the documented string and, if the caller named a request through an API that
// permits it, of the string that binds the statement.
func (d *decision) signedBy(device *Device, name string) bool {
	data := d.in.ChallengeID + ":" + name
	if device.signed(data, d.signature) {
		return true
	}
	if d.in.ClientID != nil || d.named == nil {
		return false
	}
	d.statementSigned = device.signed(data+":"+StatementDigest(d.named.Statement), d.signature)
	return d.statementSigned
}

// StatementDigest returns the digest of a statement for signing: the lower-case hexadecimal SHA-256 of its UTF-8.
func StatementDigest(statement string) string {
	sum := sha256.Sum256([]byte(statement))
	return hex.EncodeToString(sum[:])
}

// factors implements step 6: the factors that the policy requires in addition to the signature, the PIN first.
func (d *decision) factors(ctx context.Context) (*problem.Problem, error) {
	s := d.s
	customer, err := s.Directory.Customer(ctx, d.actor.ID)
	if errors.Is(err, ErrMissing) {
		customer, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	policy, err := s.policy(ctx, d.client, customer)
	if err != nil {
		return nil, err
	}
	if customer == nil {
		customer = &Customer{}
	}
	for _, f := range []struct {
		factor         SecondFactor
		member         string
		said           *string
		hash           string
		missing, wrong *problem.Definition
	}{
		{FactorPIN, "pin", d.in.PIN, customer.PINHash, problem.MissingPIN, problem.InvalidPIN},
		{FactorPassword, "password", d.in.Password, customer.PasswordHash, problem.MissingPassword, problem.InvalidPassword},
	} {
		if !slices.Contains(policy, f.factor) {
			continue
		}
		if f.said == nil || *f.said == "" {
			return problem.New(f.missing).At(f.member), nil
		}
		right := false
		if f.hash == "" {
			err = s.Hasher.Burn(ctx, *f.said)
		} else {
			right, err = s.Hasher.Verify(ctx, *f.said, f.hash)
		}
		if err != nil {
			return nil, err
		}
		// Concurrent guesses may all have passed before the first was counted: check again before a right one is accepted.
		if err := s.unlessFailed(ctx, d.counters...); err != nil {
			return nil, err
		}
		if !right {
			return problem.New(f.wrong).At(f.member), nil
		}
	}
	return nil, nil
}

// request returns the id of the request: the named one, or the only pending one of customer and application.
// Refuses with RequestNotFound and AmbiguousRequest.
func (d *decision) request(ctx context.Context) (string, error) {
	if d.in.TwoFactorRequestID != nil {
		return *d.in.TwoFactorRequestID, nil
	}
	where := listing.All(listing.Eq("customerId", d.actor.ID), listing.Eq("clientId", d.client), listing.Eq("state", string(TwoFactorPending)))
	page, err := d.s.Store.TwoFactorRequests().List(ctx, listing.Query{Limit: 2, Where: settledStates(where, d.s.now(), twoFactorLapse)})
	switch {
	case err != nil:
		return "", err
	case len(page.Items) == 0:
		return "", problem.New(problem.RequestNotFound)
	case len(page.Items) > 1:
		return "", problem.New(problem.AmbiguousRequest)
	}
	return page.Items[0].ID, nil
}

// TwoFactorRequest finds a request that the caller may see.
// Refuses with RequestNotFound.
func (s *Service) TwoFactorRequest(ctx context.Context, id string) (*TwoFactorRequest, error) {
	if err := s.Permit(ctx, "twoFactorRequest"); err != nil {
		return nil, err
	}
	return show(ctx, s, twoFactorRequests, id)
}

// TwoFactorRequests lists the caller's requests, or all requests for a caller who sees all.
// Refuses with InvalidInput and InvalidParameter.
func (s *Service) TwoFactorRequests(ctx context.Context, q listing.Query) (listing.Page[TwoFactorRequest], error) {
	if err := s.Permit(ctx, "twoFactorRequests"); err != nil {
		return listing.Page[TwoFactorRequest]{}, err
	}
	if a := ActorFrom(ctx); !a.SeesAll() {
		q.Where = listing.All(listing.Eq("customerId", a.ID), q.Where)
	}
	q.Where = settledStates(q.Where, s.now(), twoFactorLapse)
	page, err := s.Store.TwoFactorRequests().List(ctx, q)
	settleAll(s, twoFactorRequests, page.Items)
	return page, err
}
