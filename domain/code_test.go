package domain_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/domain/problem"
	"github.com/gatehouse/gatehouse/testkit"
)

// proving has the calls that the tests of this file make as alice.
type proving struct {
	*testkit.Kit
	t *testing.T
}

func newProving(t *testing.T, url string) *proving {
	t.Helper()
	k := testkit.New(t, url)
	k.Customers(t)
	return &proving{k, t}
}

var alice = testkit.As("alice", domain.ScopeSignup)

// register registers a device of alice.
func (p *proving) register(algorithm string, n int) (*testkit.Device, *domain.Device) {
	p.t.Helper()
	d := testkit.NewDevice(algorithm, n)
	out, err := p.RegisterDevice(alice, domain.RegisterDeviceInput{PublicKey: d.PublicKey()})
	if err != nil {
		p.t.Fatal(err)
	}
	return d, out.Record
}

func (p *proving) challenge(d *domain.Device) string {
	p.t.Helper()
	out, err := p.CreateDeviceChallenge(alice, domain.CreateDeviceChallengeInput{DeviceID: d.ID})
	if err != nil {
		p.t.Fatal(err)
	}
	return out.Record.ID
}

const statement = "Pay 100 EUR to Dora."

func (p *proving) open() *domain.TwoFactorRequest {
	p.t.Helper()
	out, err := p.OpenTwoFactorRequest(testkit.Admin(), domain.OpenTwoFactorRequestInput{CustomerID: "alice", ClientID: "web", Statement: statement})
	if err != nil {
		p.t.Fatal(err)
	}
	return out.Record
}

func evidence(challenge, signature string) domain.Evidence {
	return domain.Evidence{ChallengeID: challenge, Signature: signature}
}

// tally counts the outcomes of calls by the code of the problem, or "done" for a success.
type tally struct {
	sync.Mutex
	of map[string]int
}

func (c *tally) note(err error) {
	c.Lock()
	defer c.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	if p := problem.Of(err); p != nil {
		c.of[p.Code]++
		return
	}
	c.of["done"]++
}

// atOnce makes n calls at the same time.
func atOnce(n int, call func(int) error) *tally {
	c := &tally{}
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			c.note(call(i))
		})
	}
	close(begin)
	all.Wait()
	return c
}

// provingOnBoth runs a test on both databases.
func provingOnBoth(t *testing.T, test func(*testing.T, *proving)) {
	t.Helper()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newProving(t, database.URL(t)))
		})
	}
}

func TestManyDevicesOneDecision(t *testing.T) {
	t.Parallel()
	provingOnBoth(t, func(t *testing.T, p *proving) {
		const n = 64
		r := p.open()
		var devices []*testkit.Device
		var challenges []string
		for i := range n {
			d, record := p.register("ed25519", i)
			devices, challenges = append(devices, d), append(challenges, p.challenge(record))
		}
		got := atOnce(n, func(i int) error {
			e := evidence(challenges[i], devices[i].Sign(challenges[i], "alice"))
			if i%2 == 0 {
				_, err := p.ApproveTwoFactorRequest(alice, domain.ApproveTwoFactorRequestInput{TwoFactorRequestID: r.ID, Evidence: e})
				return err
			}
			_, err := p.RejectTwoFactorRequest(alice, domain.RejectTwoFactorRequestInput{TwoFactorRequestID: r.ID, Evidence: e})
			return err
		})
		if got.of["done"] != 1 || got.of["alreadyDecided"] != n-1 {
			t.Errorf("got %v", got.of)
		}
		after, err := p.Service.TwoFactorRequest(testkit.Admin(), r.ID)
		if err != nil || after.Version != 2 || after.DecidedBy == nil {
			t.Errorf("%+v, %v", after, err)
		}
		page, err := p.Timeline(testkit.Admin(), r, domain.Paging{})
		if err != nil || len(page.Items) != 2 {
			t.Errorf("%d events, %v", len(page.Items), err)
		}
	})
}

func TestOneChallengeOneUse(t *testing.T) {
	t.Parallel()
	provingOnBoth(t, func(t *testing.T, p *proving) {
		d, record := p.register("ecdsa", 0)
		challenge := p.challenge(record)
		var requests []*domain.TwoFactorRequest
		for range 16 {
			requests = append(requests, p.open())
		}
		signature := d.Sign(challenge, "alice")
		got := atOnce(16, func(i int) error {
			_, err := p.ApproveTwoFactorRequest(alice, domain.ApproveTwoFactorRequestInput{TwoFactorRequestID: requests[i].ID, Evidence: evidence(challenge, signature)})
			return err
		})
		if got.of["done"] != 1 || got.of["invalidChallenge"]+got.of["tooManyAttempts"] != 15 {
			t.Errorf("got %v", got.of)
		}
	})
}

func TestSameKeySameDecision(t *testing.T) {
	t.Parallel()
	provingOnBoth(t, func(t *testing.T, p *proving) {
		d, record := p.register("rsa", 0)
		r, challenge := p.open(), p.challenge(record)
		key, replayed := "once", 0
		var mu sync.Mutex
		got := atOnce(16, func(int) error {
			out, err := p.ApproveTwoFactorRequest(alice, domain.ApproveTwoFactorRequestInput{
				TwoFactorRequestID: r.ID, Evidence: evidence(challenge, d.Sign(challenge, "alice")), Guard: domain.Guard{IdempotencyKey: &key},
			})
			mu.Lock()
			defer mu.Unlock()
			if out.Replayed {
				replayed++
			}
			return err
		})
		if got.of["done"] != 16 || replayed != 15 {
			t.Errorf("got %v, %d replays", got.of, replayed)
		}
	})
}

func TestFiveOpenChallenges(t *testing.T) {
	t.Parallel()
	provingOnBoth(t, func(t *testing.T, p *proving) {
		d, record := p.register("ed25519", 0)
		made := make([]string, 32)
		got := atOnce(len(made), func(i int) error {
			out, err := p.CreateDeviceChallenge(alice, domain.CreateDeviceChallengeInput{DeviceID: d.ID()})
			if err == nil {
				made[i] = out.Record.ID
			}
			return err
		})
		if got.of["done"] != len(made) {
			t.Fatalf("got %v", got.of)
		}
		open := 0
		for _, id := range made {
			if c, err := p.DB.Challenge(context.Background(), id); err == nil && c.UsedAt == nil && c.DeviceID == record.ID {
				open++
			}
		}
		if open != 5 {
			t.Errorf("%d are open", open)
		}
	})
}

func TestWrongCodesAtOnce(t *testing.T) {
	t.Parallel()
	provingOnBoth(t, func(t *testing.T, p *proving) {
		wrong := testkit.WrongCode(p.TextedCode(t, "alice"))
		got := atOnce(64, func(int) error {
			_, err := p.VerifyPhone(alice, domain.VerifyPhoneInput{Code: wrong})
			return err
		})
		if got.of["invalidCode"] != 5 || got.of["tooManyAttempts"] != 59 {
			t.Errorf("got %v", got.of)
		}
	})
}

func TestOneTokenOneUse(t *testing.T) {
	t.Parallel()
	provingOnBoth(t, func(t *testing.T, p *proving) {
		token := p.MailedToken(t, "alice")
		got := atOnce(32, func(int) error {
			_, err := p.VerifyEmail(context.Background(), domain.VerifyEmailInput{Token: token})
			return err
		})
		if got.of["done"] != 1 || got.of["alreadyVerified"] != 31 {
			t.Errorf("got %v", got.of)
		}
	})
}

func TestResendsAtOnce(t *testing.T) {
	t.Parallel()
	provingOnBoth(t, func(t *testing.T, p *proving) {
		got := atOnce(16, func(int) error {
			_, err := p.RequestPhoneVerification(alice, domain.RequestPhoneVerificationInput{})
			return err
		})
		if got.of["done"] != 5 || got.of["tooManyRequests"] != 11 {
			t.Errorf("got %v", got.of)
		}
		page, err := p.Store.PhoneVerifications().List(context.Background(), listing.Query{Limit: 100})
		states := map[domain.PhoneVerificationState]int{}
		for _, r := range page.Items {
			states[r.State]++
		}
		if err != nil || states[domain.PhonePending] != 1 || states[domain.PhoneReplaced] != 4 {
			t.Errorf("%v, %v", states, err)
		}
		right := 0
		for _, m := range p.Posted(t) {
			if _, err := p.VerifyPhone(alice, domain.VerifyPhoneInput{Code: m.Values["code"]}); err == nil {
				right++
			}
			if strings.Count(m.Values["code"], "") != 7 {
				t.Errorf("a code of another length")
			}
		}
		if right > 1 {
			t.Errorf("%d codes are good", right)
		}
	})
}

// TestNothingOfACodeIsKept searches the stored records for the number, the address, the code and the token.
func TestNothingOfACodeIsKept(t *testing.T) {
	t.Parallel()
	p := newProving(t, testkit.SQLite(t))
	token, code := p.MailedToken(t, "alice"), p.TextedCode(t, "alice")
	mails, err := p.Store.EmailVerifications().List(context.Background(), listing.Query{Limit: 1})
	if err != nil || strings.Contains(mails.Items[0].TokenHash, token) {
		t.Errorf("%v", err)
	}
	texts, err := p.Store.PhoneVerifications().List(context.Background(), listing.Query{Limit: 1})
	if err != nil || !strings.HasPrefix(texts.Items[0].CodeHash, "$argon2id$") {
		t.Errorf("%v", err)
	}
	if right, err := p.Hasher.Verify(context.Background(), code, texts.Items[0].CodeHash); err != nil || right {
		t.Errorf("the hash is of the code alone: %v", err)
	}
}

func TestTheStatementIsSigned(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"rsa", "ecdsa", "ed25519"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			p := newProving(t, testkit.SQLite(t))
			d, record := p.register(algorithm, 0)
			r := p.open()
			approve := func(signed ...string) (domain.Outcome[domain.TwoFactorRequest], error) {
				challenge := p.challenge(record)
				return p.ApproveTwoFactorRequest(alice, domain.ApproveTwoFactorRequestInput{
					TwoFactorRequestID: r.ID, Evidence: evidence(challenge, d.Sign(challenge, "alice", signed...)),
				})
			}
			if _, err := approve("Pay 100 EUR to Eve."); !problem.Has(err, problem.InvalidSignature) {
				t.Errorf("another statement: %v", err)
			}
			out, err := approve(statement)
			if err != nil || !out.Record.StatementSigned || out.Record.State != domain.TwoFactorApproved {
				t.Errorf("%+v, %v", out.Record, err)
			}
			other := p.open()
			challenge := p.challenge(record)
			_, err = p.ApproveTwoFactor(alice, domain.TwoFactorDecision{
				TwoFactorRequestID: &other.ID, ClientID: new("web"), Evidence: evidence(challenge, d.Sign(challenge, "alice", statement)),
			})
			if !problem.Has(err, problem.InvalidSignature) {
				t.Errorf("the documented API keeps the documented string: %v", err)
			}
		})
	}
}

func TestWhoSeesAndDecides(t *testing.T) {
	t.Parallel()
	p := newProving(t, testkit.SQLite(t))
	_, record := p.register("ed25519", 0)
	r := p.open()
	bob := testkit.As("bob", domain.ScopeSignup)
	if _, err := p.Service.TwoFactorRequest(bob, r.ID); !problem.Has(err, problem.RequestNotFound) {
		t.Errorf("bob sees alice's request: %v", err)
	}
	if _, err := p.Service.Device(bob, record.ID); !problem.Has(err, problem.DeviceNotFound) {
		t.Errorf("bob sees alice's device: %v", err)
	}
	if _, err := p.RevokeDevice(bob, domain.RevokeDeviceInput{DeviceID: record.ID}); !problem.Has(err, problem.DeviceNotFound) {
		t.Errorf("bob revokes alice's device: %v", err)
	}
	if _, err := p.OpenTwoFactorRequest(alice, domain.OpenTwoFactorRequestInput{CustomerID: "alice", ClientID: "web", Statement: statement}); !problem.Has(err, problem.AccessDenied) {
		t.Errorf("alice opens a request: %v", err)
	}
	if _, err := p.RequestPhoneVerification(bob, domain.RequestPhoneVerificationInput{CustomerID: new("alice")}); !problem.Has(err, problem.AccessDenied) {
		t.Errorf("bob has alice texted: %v", err)
	}
	if _, err := p.RequestPhoneVerification(testkit.Admin(), domain.RequestPhoneVerificationInput{CustomerID: new("alice")}); err != nil {
		t.Errorf("an administrator has alice texted: %v", err)
	}
	if _, err := p.RequestPhoneVerification(testkit.Admin(), domain.RequestPhoneVerificationInput{CustomerID: new("nobody")}); !problem.Has(err, problem.NoSuchCustomer) {
		t.Errorf("nobody is texted: %v", err)
	}
	nodes, errs := p.Nodes(alice, []string{r.ID, record.ID})
	if errs[0] != nil || errs[1] != nil || nodes[0] == nil || nodes[1] == nil {
		t.Errorf("nodes: %v %v", nodes, errs)
	}
	actions, err := p.Actions(alice, r, nil)
	if err != nil || len(actions) != 2 || !actions[0].Allowed || !actions[1].Allowed {
		t.Errorf("%+v, %v", actions, err)
	}
	p.Clock.Pass(5 * time.Minute)
	page, err := p.Service.TwoFactorRequests(alice, listing.Query{Limit: 10, Where: listing.Eq("state", "expired")})
	if err != nil || len(page.Items) != 1 || page.Items[0].State != domain.TwoFactorExpired {
		t.Errorf("%+v, %v", page, err)
	}
	if n, err := p.Sweep(context.Background()); err != nil || n != 1 {
		t.Errorf("the sweeper settled %d, %v", n, err)
	}
}

func TestAnAddressThatChanged(t *testing.T) {
	t.Parallel()
	p := newProving(t, testkit.SQLite(t))
	token, code := p.MailedToken(t, "alice"), p.TextedCode(t, "alice")
	moved, err := p.ImportedCustomer(context.Background(), domain.ImportCustomerInput{
		ID: "alice", Username: new("alice"), Email: new("alice@example.org"), Phone: new("+19105550199"),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.DB.ImportBatch(context.Background(), []any{moved}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.VerifyEmail(context.Background(), domain.VerifyEmailInput{Token: token}); !problem.Has(err, problem.InvalidToken) {
		t.Errorf("a token of the old address: %v", err)
	}
	if _, err := p.VerifyPhone(alice, domain.VerifyPhoneInput{Code: code}); !problem.Has(err, problem.InvalidCode) {
		t.Errorf("a code of the old number: %v", err)
	}
	if _, err := p.VerifyPhone(alice, domain.VerifyPhoneInput{Code: p.TextedCode(t, "alice")}); err != nil {
		t.Errorf("a code of the new number: %v", err)
	}
}

func TestNamesToSign(t *testing.T) {
	t.Parallel()
	p := newProving(t, testkit.SQLite(t))
	for _, c := range []struct {
		actor domain.Actor
		want  string
	}{
		{domain.Actor{ID: "alice", Username: "alicia"}, "alicia"}, // the token's
		{domain.Actor{ID: "alice"}, "alice"},                      // the directory's
		{domain.Actor{ID: "stranger"}, "stranger"},                // the subject
	} {
		ctx := domain.WithActor(context.Background(), c.actor)
		d := testkit.NewDevice("ed25519", 0)
		if _, err := p.RegisterDevice(ctx, domain.RegisterDeviceInput{PublicKey: d.PublicKey()}); err != nil {
			t.Fatal(err)
		}
		out, err := p.CreateDeviceChallenge(ctx, domain.CreateDeviceChallengeInput{DeviceID: d.ID()})
		if err != nil || out.Record.Username != c.want {
			t.Errorf("%+v: %+v, %v", c.actor, out.Record, err)
		}
	}
}

func TestKeysOfDevices(t *testing.T) {
	t.Parallel()
	p := newProving(t, testkit.SQLite(t))
	d, record := p.register("ed25519", 0)
	if record.Fingerprint != d.ID() || record.Algorithm != domain.KeyEd25519 {
		t.Errorf("%+v", record)
	}
	if _, err := p.RegisterDevice(alice, domain.RegisterDeviceInput{PublicKey: d.PublicKey()}); !problem.Has(err, problem.DeviceIsRegistered) {
		t.Errorf("one key twice: %v", err)
	}
	got := atOnce(8, func(int) error {
		_, err := p.RegisterDevice(testkit.As("bob"), domain.RegisterDeviceInput{PublicKey: d.PublicKey()})
		return err
	})
	if got.of["done"] != 1 || got.of["deviceAlreadyRegistered"] != 7 {
		t.Errorf("one key at once: %v", got.of)
	}
	if out, err := p.RevokeDevice(alice, domain.RevokeDeviceInput{DeviceID: d.ID()}); err != nil || out.Record.State != domain.DeviceRevoked {
		t.Errorf("%v", err)
	}
	if _, err := p.RegisterDevice(alice, domain.RegisterDeviceInput{PublicKey: d.PublicKey()}); err != nil {
		t.Errorf("a revoked key may be registered anew: %v", err)
	}
	for _, key := range []string{"", "AAAA", "not base64", d.PublicKey() + "AAAA", smallRSA} {
		if _, err := p.RegisterDevice(alice, domain.RegisterDeviceInput{PublicKey: key}); !problem.Has(err, problem.InvalidInput) {
			t.Errorf("%.20q: %v", key, err)
		}
	}
}

// smallRSA is a key of 1024 bits.
const smallRSA = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDJrHVFRLVlkj6UzpHFvqFMhb2x7wxJ5nm0rRyhSAqy7Ad/SvGCEO8VR8A0r2XbIgb5iLmTiyH6Vj" +
	"8RCZ5jfx2aMNZ8QmmfUPFUMrMAWuQWFGlbNc2J1PRgTf0mN4+Zo1RXUTD6e5I0ENxoyJ0qLqlv5OwAlhrTwGtR9gSdQaBKIQIDAQAB"
