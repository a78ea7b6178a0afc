package risk_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain/risk"
)

func FuzzListEntry(f *testing.F) {
	for _, seed := range []struct{ list, value, birth string }{
		{"governmentWatchlist", "EXAMPLOV, Viktor", "1961-03-09"},
		{"alertList", "Жанна д'Арк", ""},
		{"restrictedIp", "203.0.113.64/26", ""},
		{"restrictedIp", "::ffff:1.2.3.4/120", ""},
		{"restrictedEmail", "a+b@Example.COM", ""},
		{"highRiskAddress", "13 Mule Lane, Wilmington, NC 28401", ""},
		{"nonApprovedAddress", ",,", ""},
		{"restrictedIp", "fe80::1%eth0", ""},
		{"", "", ""},
	} {
		f.Add(seed.list, seed.value, seed.birth)
	}
	f.Fuzz(func(t *testing.T, list, value, birth string) {
		e := risk.Entry{ID: "one", List: risk.List(list), Value: value}
		if birth != "" {
			e.Births = []string{birth}
		}
		if err := e.Check(); err != nil {
			if len(value) > 16 && strings.Contains(err.Error(), value) {
				t.Fatalf("the refusal repeats the value: %v", err)
			}
			return
		}
		book := risk.NewBook()
		book.Put(e)
		if book.Len() != 1 {
			t.Fatalf("%+v is taken, and is not there", e)
		}
		// What is listed is found by its own words.
		switch e.List {
		case risk.GovernmentWatchlist, risk.AlertList:
			hits := book.Names(e.List, value, birth, 0)
			if len(strings.Fields(risk.Fold(value))) <= 16 && !slices.ContainsFunc(hits, func(m risk.NameMatch) bool { return m.Entry == "one" && m.Score >= 0.9 }) {
				t.Fatalf("%q does not find itself: %v", value, hits)
			}
		case risk.RestrictedIP:
			prefix, err := netip.ParsePrefix(strings.TrimSpace(value))
			addr := prefix.Addr()
			if err != nil {
				addr = netip.MustParseAddr(strings.TrimSpace(value))
			}
			if _, ok := book.Network(addr.Unmap()); !ok && (!addr.Is4In6() || err != nil || prefix.Bits() >= 96) {
				t.Fatalf("%q does not hold its own address", value)
			}
		case risk.RestrictedEmail:
			address := strings.TrimSpace(value)
			if !strings.Contains(address, "@") {
				address = "somebody@" + address
			} else if strings.HasPrefix(address, "@") {
				address = "somebody" + address
			}
			if _, ok := book.Mail(address); !ok {
				t.Fatalf("%q does not find itself", value)
			}
		case risk.HighRiskAddress, risk.NonApprovedAddress:
			place, ok := risk.ParsePlace(value)
			if !ok {
				t.Fatalf("%q is taken, and no place", value)
			}
			book.Place(e.List, place)
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, seed := range [][3]string{{"EXAMPLOV, Viktor", "Viktor Examplov", "1961-03-09"}, {"Müller", "Mueller", "1961"}, {"a b c d e f g h i j k l m n o p q r", "x", "/"}, {"al", "al", "1960/1962"}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, listed, asked, birth string) {
		if len(listed) > 500 || len(asked) > 500 {
			return // an input's names are shorter
		}
		book := risk.NewBook()
		book.Put(risk.Entry{ID: "one", List: risk.GovernmentWatchlist, Value: listed, Others: []string{asked}, Births: []string{birth}})
		for _, m := range book.Names(risk.GovernmentWatchlist, asked, birth, 0.5) {
			if m.Score < 0.5 || m.Score > 1.1 || m.Entry != "one" {
				t.Fatalf("%q against %q: %+v", asked, listed, m)
			}
		}
		if folded := risk.Fold(asked); risk.Fold(folded) != folded {
			t.Fatalf("%q folds to %q, and that to %q", asked, folded, risk.Fold(folded))
		}
	})
}
