package db_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/domain"
	"github.com/gatehouse/gatehouse/domain/listing"
	"github.com/gatehouse/gatehouse/testkit"
)

// codeRecord returns a record of a kind in a state, with personal data to search for.
func codeRecord(kind domain.Kind, state string, now time.Time) any {
	m := domain.Meta{Version: 1, CreatedAt: now, UpdatedAt: now}
	switch kind {
	case domain.KindEmailVerification:
		m.ID = domain.NewID("emv", now)
		return &domain.EmailVerification{Meta: m, State: domain.EmailVerificationState(state), CustomerID: m.ID, Address: "findme@example.net", TokenHash: m.ID, ExpiresAt: now}
	case domain.KindPhoneVerification:
		m.ID = domain.NewID("phv", now)
		return &domain.PhoneVerification{Meta: m, State: domain.PhoneVerificationState(state), CustomerID: m.ID, Number: "findme-number", CodeHash: "hash", ExpiresAt: now}
	case domain.KindDevice:
		m.ID = domain.NewID("dev", now)
		name := "findme device"
		return &domain.Device{Meta: m, State: domain.DeviceState(state), CustomerID: m.ID, Name: &name, PublicKey: []byte("key"), Fingerprint: m.ID, Algorithm: domain.KeyEd25519}
	case domain.KindTwoFactorRequest:
		m.ID = domain.NewID("tfr", now)
		return &domain.TwoFactorRequest{Meta: m, State: domain.TwoFactorRequestState(state), CustomerID: "c", ClientID: "web", Statement: "findme statement", ExpiresAt: now}
	case domain.KindInvitation, domain.KindSession:
	}
	return nil
}

var codeKinds = []domain.Kind{domain.KindEmailVerification, domain.KindPhoneVerification, domain.KindDevice, domain.KindTwoFactorRequest}

func TestTheDatabaseKnowsTheStatesOfCodes(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			url := database.URL(t)
			k := testkit.New(t, url)
			write := func(record any) error {
				return commit(context.Background(), k.DB, &domain.Unit{Changes: []domain.Change{{Record: record}}})
			}
			for _, kind := range codeKinds {
				machine, _ := domain.Lifecycle(kind)
				for _, state := range machine.States {
					record := codeRecord(kind, state.Name, k.Clock.Now())
					if err := write(record); err != nil {
						t.Errorf("%s %s: %v", kind, state.Name, err)
					}
					if err := write(record); !errors.Is(err, domain.ErrStale) {
						t.Errorf("%s %s a second time: %v", kind, state.Name, err)
					}
				}
				record := codeRecord(kind, "lost", k.Clock.Now())
				if err := write(record); err == nil {
					t.Errorf("%s in a state that there is not was written", kind)
				}
			}
			page, err := k.DB.TwoFactorRequests().List(context.Background(), listing.Query{Limit: 10, Where: listing.Eq("state", "pending")})
			if err != nil || len(page.Items) != 1 || page.Items[0].Statement != "findme statement" {
				t.Errorf("%+v, %v", page, err)
			}
			for _, due := range []func() ([]string, error){
				func() ([]string, error) {
					return k.DB.EmailVerifications().Due(context.Background(), k.Clock.Now(), 10)
				},
				func() ([]string, error) {
					return k.DB.PhoneVerifications().Due(context.Background(), k.Clock.Now(), 10)
				},
				func() ([]string, error) {
					return k.DB.TwoFactorRequests().Due(context.Background(), k.Clock.Now(), 10)
				},
			} {
				if ids, err := due(); err != nil || len(ids) != 1 {
					t.Errorf("due: %v, %v", ids, err)
				}
			}
			path, ok := strings.CutPrefix(url, "sqlite://")
			if !ok {
				return
			}
			for _, end := range []string{"", "-wal"} {
				text, err := os.ReadFile(path + end)
				if err != nil || bytes.Contains(text, []byte("findme")) {
					t.Errorf("the file holds personal data: %v", err)
				}
			}
		})
	}
}

func TestImportOfDevicesAndPolicies(t *testing.T) {
	t.Parallel()
	for _, database := range testkit.Databases {
		t.Run(database.Name, func(t *testing.T) {
			t.Parallel()
			k := testkit.New(t, database.URL(t))
			ctx := context.Background()
			load := func(records ...any) {
				t.Helper()
				if err := k.DB.ImportBatch(ctx, records); err != nil {
					t.Fatal(err)
				}
			}
			one, two := testkit.NewDevice("ed25519", 0), testkit.NewDevice("ecdsa", 0)
			device := func(id string, d *testkit.Device) *domain.Device {
				r, err := k.ImportedDevice(id, "alice", d.PublicKey())
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			load(device("d-1", one), device("d-1", one), device("d-2", one)) // one key once
			page, err := k.DB.Devices().List(ctx, listing.Query{Limit: 10})
			if err != nil || len(page.Items) != 1 || page.Items[0].ID != "d-1" || page.Items[0].Version != 1 {
				t.Fatalf("%+v, %v", page.Items, err)
			}
			load(device("d-1", two))
			r, err := k.DB.Devices().Get(ctx, "d-1")
			if err != nil || r.Fingerprint != two.ID() || r.Version != 2 {
				t.Errorf("%+v, %v", r, err)
			}
			if _, err := k.RevokeDevice(testkit.As("alice"), domain.RevokeDeviceInput{DeviceID: "d-1"}); err != nil {
				t.Fatal(err)
			}
			load(device("d-1", two))
			if r, err := k.DB.Devices().Get(ctx, "d-1"); err != nil || r.State != domain.DeviceRevoked {
				t.Errorf("an import brought a revoked device back: %+v, %v", r, err)
			}
			load(&domain.Application{ID: "web", SecondFactors: []domain.SecondFactor{domain.FactorPassword, domain.FactorPIN}},
				&domain.Application{ID: "none"}, &domain.Application{ID: "empty", SecondFactors: []domain.SecondFactor{}})
			for id, want := range map[string]int{"web": 2, "none": 0, "empty": 0} {
				a, err := k.DB.Application(ctx, id)
				if err != nil || len(a.SecondFactors) != want || (a.SecondFactors == nil) != (id == "none") {
					t.Errorf("%s: %+v, %v", id, a, err)
				}
			}
			if _, err := k.DB.Jurisdiction(ctx, "web"); !errors.Is(err, domain.ErrMissing) {
				t.Errorf("%v", err)
			}
			if err := k.DB.Purge(ctx, k.Clock.Now().Add(48*time.Hour)); err != nil {
				t.Error(err)
			}
		})
	}
}
