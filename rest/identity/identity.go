package identity

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/rest/hal"
	"github.com/gatehouse/gatehouse/rest/wire"
)

// The version and the profiles of the document.
const (
	apiVersion = "0.3.2"

	rootProfile         = "https://api.apiture.com/schemas/common/root/v1.0.0/profile.json"
	identityProfile     = schemas + "identity/v1.0.0/profile.json"
	reportProfile       = schemas + "fraudRiskReport/v1.0.0/profile.json"
	reportsProfile      = schemas + "fraudRiskReports/v1.0.0/profile.json"
	quizProfile         = schemas + "quiz/v1.0.0/profile.json"
	quizzesProfile      = schemas + "quizzes/v1.0.0/profile.json"
	questionsProfile    = schemas + "quizQuestions/v1.0.0/profile.json"
	verificationProfile = schemas + "contactVerification/v1.0.0/profile.json"
	approvalProfile     = schemas + "approval/v1.0.0/profile.json"

	errorResponseProfile = "https://api.apiture.com/schemas/common/errorResponse/v1.0.0/profile.json"
	errorProfile         = "https://api.apiture.com/schemas/common/error/v1.0.0/profile.json"

	schemas = "https://api.apiture.com/schemas/identity/"
)

// person is the complete schema identity (Identity, PII handling).
type person struct {
	Profile    string  `json:"_profile"`
	TaxID      *string `json:"taxId,omitempty"`
	FirstName  *string `json:"firstName,omitempty"`
	LastName   *string `json:"lastName,omitempty"`
	Address1   *string `json:"address1,omitempty"`
	Address2   *string `json:"address2,omitempty"`
	City       *string `json:"city,omitempty"`
	Region     *string `json:"region,omitempty"`
	PostalCode *string `json:"postalCode,omitempty"`
	Phone      *string `json:"phone,omitempty"`
	Birthdate  *string `json:"birthdate,omitempty"`
	Email      *string `json:"email,omitempty"`
	IPAddress  *string `json:"ipAddress,omitempty"`
}

type inputs struct {
	Identity person `json:"identity"`
}

// verified is the schema identityVerification, the common members of reports, quizzes and approvals.
type verified struct {
	hal.Resource
	Type      domain.VerificationType `json:"type"`
	ID        string                  `json:"_id"`
	CreatedAt string                  `json:"createdAt"`
	ExpiresAt string                  `json:"expiresAt,omitempty"`
}

type fraudRiskReport struct {
	verified
	Inputs  inputs        `json:"inputs"`
	Outputs reportOutputs `json:"outputs"`
}

type reportOutputs struct {
	Token      string              `json:"token,omitempty"`
	State      string              `json:"state"`
	Categories []fraudRiskCategory `json:"fraudRiskCategories"`
}

type fraudRiskCategory struct {
	Type        string `json:"type"`
	Description string `json:"description"`
}

type quiz struct {
	verified
	Inputs  inputs      `json:"inputs"`
	Outputs quizOutputs `json:"outputs"`
}

type quizOutputs struct {
	Token string `json:"token,omitempty"`
	State string `json:"state"`
}

type quizQuestions struct {
	hal.Resource
	Questions []coreQuizQuestion `json:"questions"`
	Token     string             `json:"token,omitempty"`
}

type coreQuizQuestion struct {
	ID       string   `json:"id"`
	Question string   `json:"question"`
	Choices  []string `json:"choices"`
}

type contactVerification struct {
	hal.Resource
	Verifications []verification `json:"verifications"`
}

type verification struct {
	Type       domain.VerificationType  `json:"type"`
	Links      hal.Links                `json:"_links"`
	State      domain.VerificationState `json:"state"`
	VerifiedAt string                   `json:"verifiedAt"`
}

func linked(self string, contactID *string) hal.Links {
	links := hal.Links{}
	links.Add("self", self)
	if contactID != nil {
		links.Add("apiture:contact", domain.ContactURI(*contactID))
	}
	return links
}

// reportResource returns a report with its token; an empty one is left out.
func reportResource(ctx context.Context, r *domain.FraudRiskReport, token string) *fraudRiskReport {
	out := &fraudRiskReport{
		verified: verified{
			Resource: hal.Resource{Profile: reportProfile, Links: linked(reportsPath+"/"+r.ID, r.ContactID)},
			Type:     domain.VerifiedByReport, ID: r.ID, CreatedAt: hal.Seconds(r.CreatedAt),
		},
		Inputs:  inputs{shownIdentity(domain.SentIdentity(ctx, r.Inputs, r.CreatedBy, r.ContactUserID))},
		Outputs: reportOutputs{Token: token, State: string(r.State), Categories: []fraudRiskCategory{}},
	}
	for _, c := range r.Categories(ctx) {
		out.Outputs.Categories = append(out.Outputs.Categories, fraudRiskCategory{Type: string(c.Type), Description: c.Description})
	}
	return out
}

func shownIdentity(i domain.Identity) person {
	return person{
		Profile: identityProfile, TaxID: i.TaxID, FirstName: i.FirstName, LastName: i.LastName,
		Address1: i.Address1, Address2: i.Address2, City: i.City, Region: i.Region, PostalCode: i.PostalCode,
		Phone: i.Phone, Birthdate: i.Birthdate, Email: i.Email, IPAddress: i.IPAddress,
	}
}

// quizResource returns the current quiz as visible to the caller. As in the example of the document, the link
// apiture:score is present before the questions have been requested; the call is then 409.
func (a *api) quizResource(ctx context.Context, pre *domain.Prefetched, q *domain.Quiz, token string) (*quiz, error) {
	actions, err := a.Service.Actions(ctx, q, pre)
	if err != nil {
		return nil, err
	}
	self := quizzesPath + "/" + q.ID
	links := linked(self, q.ContactID)
	for _, action := range actions {
		switch {
		case action.Name == "createQuizQuestions" && action.Allowed:
			links.Add("apiture:getQuestions", self+"/questions")
		case action.Name == "scoreQuiz" && (action.Allowed || q.State == domain.QuizPending && action.Problem.Kind == problem.Conflict):
			links.Add("apiture:score", self+"/answers")
		}
	}
	return &quiz{
		verified: verified{
			Resource: hal.Resource{Profile: quizProfile, Links: links},
			Type:     domain.VerifiedByQuiz, ID: q.ID, CreatedAt: hal.Seconds(q.CreatedAt), ExpiresAt: hal.Seconds(q.ExpiresAt),
		},
		Inputs:  inputs{shownIdentity(domain.SentIdentity(ctx, q.Inputs, q.CreatedBy, q.ContactUserID))},
		Outputs: quizOutputs{Token: token, State: string(q.State)},
	}, nil
}

func (a *api) approvalResource(r *domain.Approval) *verified {
	return &verified{
		Resource: hal.Resource{Profile: approvalProfile, Links: linked(approvalsPath+"/"+r.ID, &r.ContactID)},
		Type:     domain.VerifiedByApproval, ID: r.ID, CreatedAt: hal.Seconds(r.CreatedAt),
	}
}

// oneReport returns the reply with a report.
func (a *api) oneReport(r *http.Request, status int, out domain.Outcome[domain.FraudRiskReport], err error) (wire.Reply, error) {
	reply := wire.Reply{Status: status, Replayed: out.Replayed}
	if err != nil {
		return reply, err
	}
	if out.Record == nil {
		return reply, problem.New(problem.NoSuchFraudRiskReport)
	}
	tokens, err := a.Service.FraudRiskReportTokens(r.Context(), out.Record)
	if err != nil {
		return reply, err
	}
	reply.Body, reply.ETag = reportResource(r.Context(), out.Record, tokens[0]), wire.ETag(out.Record.ID, out.Record.Version)
	return reply, err
}

// oneQuiz returns the reply with a quiz.
func (a *api) oneQuiz(r *http.Request, status int, out domain.Outcome[domain.Quiz], err error) (wire.Reply, error) {
	reply := wire.Reply{Status: status, Replayed: out.Replayed}
	if err != nil {
		return reply, err
	}
	if out.Record == nil {
		return reply, problem.New(problem.NoSuchQuiz)
	}
	tokens, err := a.Service.QuizTokens(r.Context(), out.Record)
	if err != nil {
		return reply, err
	}
	resource, err := a.quizResource(r.Context(), nil, out.Record, tokens[0])
	reply.Body, reply.ETag = resource, wire.ETag(out.Record.ID, out.Record.Version)
	return reply, err
}

func (a *api) report(r *http.Request) (wire.Reply, error) {
	found, err := a.Service.FraudRiskReport(r.Context(), r.PathValue("fraudRiskReportId"))
	reply, err := a.oneReport(r, http.StatusOK, domain.Outcome[domain.FraudRiskReport]{Record: found}, err)
	reply.Private = true
	return reply, err
}

func (a *api) quiz(r *http.Request) (wire.Reply, error) {
	found, err := a.Service.Quiz(r.Context(), r.PathValue("quizId"))
	reply, err := a.oneQuiz(r, http.StatusOK, domain.Outcome[domain.Quiz]{Record: found}, err)
	reply.Private = true
	return reply, err
}

func (a *api) approval(r *http.Request) (wire.Reply, error) {
	found, err := a.Service.Approval(r.Context(), r.PathValue("approvalId"))
	if err != nil {
		return wire.Reply{}, err
	}
	return wire.Reply{Status: http.StatusOK, Body: a.approvalResource(found), ETag: wire.ETag(found.ID, found.Version), Private: true}, nil
}

func (a *api) reports(r *http.Request) (wire.Reply, error) {
	q, err := wire.List(r, domain.FraudRiskReportSchema, wire.Named{Name: "type"})
	if err != nil {
		return wire.Reply{}, err
	}
	page, err := a.Service.FraudRiskReports(r.Context(), q)
	if err != nil {
		return wire.Reply{}, err
	}
	tokens, err := a.Service.FraudRiskReportTokens(r.Context(), page.Items...)
	if err != nil {
		return wire.Reply{}, err
	}
	items := make([]*fraudRiskReport, 0, len(page.Items))
	for i, one := range page.Items {
		items = append(items, reportResource(r.Context(), one, tokens[i]))
	}
	slice := hal.Slice{Start: q.Start, Limit: q.Limit, Count: page.Count}
	return wire.Reply{Status: http.StatusOK, Body: hal.NewCollection(r, reportsProfile, "fraudRiskReports", items, slice, "type")}, nil
}

func (a *api) quizzes(r *http.Request) (wire.Reply, error) {
	q, err := wire.List(r, domain.QuizSchema)
	if err != nil {
		return wire.Reply{}, err
	}
	for _, named := range []struct{ name, field string }{{"createdAt", "createdAt"}, {"expiredAt", "expiresAt"}, {"expiresAt", "expiresAt"}} {
		p, err := instants(r, named.name, named.field)
		if err != nil {
			return wire.Reply{}, err
		}
		q.Where = listing.All(q.Where, p)
	}
	page, err := a.Service.Quizzes(r.Context(), q)
	if err != nil {
		return wire.Reply{}, err
	}
	pre, err := domain.Prefetch(r.Context(), a.Service, page.Items)
	if err != nil {
		return wire.Reply{}, err
	}
	tokens, err := a.Service.QuizTokens(r.Context(), page.Items...)
	if err != nil {
		return wire.Reply{}, err
	}
	items := make([]*quiz, 0, len(page.Items))
	for i, one := range page.Items {
		item, err := a.quizResource(r.Context(), pre, one, tokens[i])
		if err != nil {
			return wire.Reply{}, err
		}
		items = append(items, item)
	}
	slice := hal.Slice{Start: q.Start, Limit: q.Limit, Count: page.Count}
	return wire.Reply{
		Status: http.StatusOK,
		Body:   hal.NewCollection(r, quizzesProfile, "quizzes", items, slice, "createdAt", "expiredAt", "expiresAt"),
	}, nil
}

// instants reads a parameter of date-times; | and repetition separate alternatives. Resources have a precision of seconds, so a
// time without a fraction matches its whole second.
func instants(r *http.Request, name, field string) (listing.Predicate, error) {
	values, err := wire.Parameters(r)
	if err != nil {
		return nil, err
	}
	var ways []listing.Predicate
	for _, text := range values[name] {
		for _, one := range strings.Split(text, "|") {
			if one == "" {
				return nil, problem.New(problem.InvalidParameter).Because("The parameter %s has an empty alternative.", name).With("name", name)
			}
			at, ok := listing.ParseTime(one)
			if !ok {
				return nil, problem.New(problem.InvalidParameterValue).Because("The parameter %s must be a date-time.", name).With("name", name)
			}
			if !strings.Contains(one, ".") {
				ways = append(ways, listing.Within(listing.EQ, field, at))
			} else {
				ways = append(ways, listing.Eq(field, at))
			}
		}
	}
	if len(ways) == 0 {
		return listing.True, nil
	}
	return listing.Any(ways...), nil
}

// subject reads the body of createFraudRiskReport and createQuiz: members of an identity, a link to a contact, or both.
func (a *api) subject(r *http.Request) (domain.SubjectInput, error) {
	var in domain.SubjectInput
	key, err := wire.IdempotencyKey(r)
	if err != nil {
		return in, err
	}
	body, err := wire.Object(r, hal.Reading)
	if err != nil {
		return in, err
	}
	body.Into(&in.Identity)
	if links, ok := body.Object("_links"); ok {
		if contact, ok := links.Object("apiture:contact"); ok {
			href, _ := contact.String("href")
			if body.Err() == nil && a.Service.ContactOfURI(href) == "" {
				return in, problem.New(problem.InvalidContactLink)
			}
			in.ContactID = &href
		}
	}
	in.IdempotencyKey = key
	if body.Err() == nil {
		return in, nil
	}
	// The rules, which report missing members, are not called after a wrong type. Missing members are therefore also
	// reported here, so that the caller gets all violations at once.
	if in.ContactID == nil {
		for _, name := range in.Missing() {
			if !body.Has(name) {
				body.Refuse(name, "%s is required if no contact is named.", name)
			}
		}
	}
	return in, body.Err()
}

func (a *api) createReport(r *http.Request) (wire.Reply, error) {
	in, err := a.subject(r)
	if err != nil {
		return wire.Reply{}, err
	}
	out, err := a.Service.CreateFraudRiskReport(r.Context(), in)
	reply, err := a.oneReport(r, http.StatusCreated, out, err)
	if err == nil {
		reply.Location = reportsPath + "/" + out.Record.ID
	}
	return reply, err
}

func (a *api) createQuiz(r *http.Request) (wire.Reply, error) {
	in, err := a.subject(r)
	if err != nil {
		return wire.Reply{}, err
	}
	out, err := a.Service.CreateQuiz(r.Context(), in)
	reply, err := a.oneQuiz(r, http.StatusCreated, out, err)
	if err == nil {
		reply.Location = quizzesPath + "/" + out.Record.ID
	}
	return reply, err
}

// guard reads If-Match, which is supported although it is not in the document, and Idempotency-Key.
func guard(r *http.Request, id string) (domain.Guard, error) {
	version, _, err := wire.ParseIfMatch(r, id)
	if err != nil {
		return domain.Guard{}, err
	}
	key, err := wire.IdempotencyKey(r)
	return domain.Guard{ExpectedVersion: version, IdempotencyKey: key}, err
}

func (a *api) questions(r *http.Request) (wire.Reply, error) {
	id := r.PathValue("quizId")
	g, err := guard(r, id)
	if err != nil {
		return wire.Reply{}, err
	}
	out, questions, err := a.Service.CreateQuizQuestions(r.Context(), domain.CreateQuizQuestionsInput{QuizID: id, Guard: g})
	reply := wire.Reply{Status: http.StatusCreated, Replayed: out.Replayed}
	if err != nil {
		return reply, atPath(err)
	}
	if out.Record == nil {
		return reply, problem.New(problem.NoSuchQuiz)
	}
	tokens, err := a.Service.QuizTokens(r.Context(), out.Record)
	if err != nil {
		return reply, err
	}
	self := quizzesPath + "/" + out.Record.ID
	var links hal.Links
	links.Add("up", self)
	links.Add("apiture:score", self+"/answers")
	resource := quizQuestions{
		Resource: hal.Resource{Profile: questionsProfile, Links: links}, Token: tokens[0], Questions: []coreQuizQuestion{},
	}
	for _, q := range questions {
		resource.Questions = append(resource.Questions, coreQuizQuestion{ID: q.ID, Question: q.Question, Choices: q.Choices})
	}
	reply.Body = resource
	return reply, nil
}

func (a *api) answers(r *http.Request) (wire.Reply, error) {
	id := r.PathValue("quizId")
	g, err := guard(r, id)
	if err != nil {
		return wire.Reply{}, err
	}
	body, err := wire.Object(r, hal.Reading)
	if err != nil {
		return wire.Reply{}, err
	}
	in := domain.ScoreQuizInput{QuizID: id, Guard: g}
	var content struct {
		Answers []struct {
			QuestionID string `json:"questionId"`
			Answer     string `json:"answer"`
		} `json:"answers"`
	}
	body.Into(&content)
	if err := body.Err(); err != nil {
		return wire.Reply{}, err
	}
	if body.Has("answers") {
		in.Answers = []domain.QuizAnswer{}
	}
	for _, one := range content.Answers {
		in.Answers = append(in.Answers, domain.QuizAnswer{QuestionID: one.QuestionID, Answer: one.Answer})
	}
	out, err := a.Service.ScoreQuiz(r.Context(), in)
	return a.oneQuiz(r, http.StatusCreated, out, atPath(err))
}

// atPath replaces the error for a malformed id with NoSuchQuiz, because the id is part of the path.
func atPath(err error) error {
	if problem.Has(err, problem.InvalidInput) && slices.ContainsFunc(problem.Of(err).Causes, func(cause *problem.Problem) bool {
		return slices.Equal(cause.Path, []string{"quizId"})
	}) {
		return problem.New(problem.NoSuchQuiz)
	}
	return err
}

// about reads the parameters contactUri, and type with | between alternatives.
func (a *api) about(r *http.Request) (uri string, types []domain.VerificationType, err error) {
	uri, err = wire.Parameter(r, "contactUri")
	if err != nil {
		return "", nil, err
	}
	if a.Service.ContactOfURI(uri) == "" {
		return "", nil, problem.New(problem.InvalidContactLink).With("name", "contactUri")
	}
	values, err := wire.Parameters(r)
	if err != nil {
		return "", nil, err
	}
	for _, text := range values["type"] {
		for _, one := range strings.Split(text, "|") {
			switch t := domain.VerificationType(one); t {
			case domain.VerifiedByReport, domain.VerifiedByQuiz, domain.VerifiedByApproval:
				types = append(types, t)
			default:
				return "", nil, problem.New(problem.InvalidParameterWord).
					Because("The parameter type must be fraudRiskReport, quiz or adminApproval.").With("name", "type")
			}
		}
	}
	return uri, types, nil
}

// overrides reads the parameter of that name, which the document does not have: categories, with | between them.
func overrides(r *http.Request) ([]risk.Category, error) {
	values, err := wire.Parameters(r)
	if err != nil {
		return nil, err
	}
	var out []risk.Category
	for _, text := range values["overrides"] {
		for one := range strings.SplitSeq(text, "|") {
			c := risk.Category(one)
			if !slices.Contains(risk.Categories(), c) || slices.Contains(out, c) {
				return nil, problem.New(problem.InvalidParameterWord).
					Because("The parameter overrides must have distinct categories of risk, separated by |.").With("name", "overrides")
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// sources are the paths of the resources of each type.
var sources = map[domain.VerificationType]string{
	domain.VerifiedByReport: reportsPath, domain.VerifiedByQuiz: quizzesPath, domain.VerifiedByApproval: approvalsPath,
}

func (a *api) verification(r *http.Request) (wire.Reply, error) {
	uri, types, err := a.about(r)
	if err != nil {
		return wire.Reply{}, err
	}
	found, err := a.Service.ContactVerification(r.Context(), uri, types...)
	if err != nil {
		return wire.Reply{}, err
	}
	var links hal.Links
	links.Add("apiture:contact", domain.ContactURI(found.Contact.ID))
	out := contactVerification{Resource: hal.Resource{Profile: verificationProfile, Links: links}, Verifications: []verification{}}
	for _, v := range found.Verifications {
		if v.State == domain.VerificationSuperseded { // the document has no such state
			continue
		}
		var self hal.Links
		self.Add("self", sources[v.Type]+"/"+v.Source)
		out.Verifications = append(
			out.Verifications, verification{Type: v.Type, Links: self, State: v.State, VerifiedAt: hal.Seconds(v.VerifiedAt)},
		)
	}
	return wire.Reply{Status: http.StatusOK, Body: out}, nil
}

// approve ignores a body, because the document specifies none.
func (a *api) approve(r *http.Request) (wire.Reply, error) {
	key, err := wire.IdempotencyKey(r)
	if err != nil {
		return wire.Reply{}, err
	}
	uri, types, err := a.about(r)
	if err != nil {
		return wire.Reply{}, err
	}
	in := domain.CreateApprovalInput{ContactID: uri, IdempotencyKey: key}
	if len(types) > 1 {
		return wire.Reply{}, problem.New(problem.InvalidParameterWord).
			Because("The parameter type must have one value only.").
			With("name", "type")
	}
	if len(types) == 1 {
		in.Method = &types[0]
	}
	if in.Overrides, err = overrides(r); err != nil {
		return wire.Reply{}, err
	}
	out, err := a.Service.CreateApproval(r.Context(), in)
	reply := wire.Reply{Status: http.StatusCreated, Replayed: out.Replayed}
	if err != nil {
		return reply, err
	}
	if out.Record == nil {
		return reply, problem.New(problem.NoSuchApproval)
	}
	reply.Body, reply.ETag = a.approvalResource(out.Record), wire.ETag(out.Record.ID, out.Record.Version)
	reply.Location = approvalsPath + "/" + out.Record.ID
	return reply, nil
}
