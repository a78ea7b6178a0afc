package risk

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gaissmai/bart"
	"golang.org/x/net/idna"
)

// List is the name of a list that an institution maintains.
type List string

// The lists.
const (
	GovernmentWatchlist List = "governmentWatchlist"
	AlertList           List = "alertList"
	RestrictedIP        List = "restrictedIp"
	RestrictedEmail     List = "restrictedEmail"
	HighRiskAddress     List = "highRiskAddress"
	NonApprovedAddress  List = "nonApprovedAddress"
)

// ListNames holds the names of all lists.
var ListNames = []List{GovernmentWatchlist, AlertList, RestrictedIP, RestrictedEmail, HighRiskAddress, NonApprovedAddress}

// Entry is one entry of a list.
type Entry struct {
	ID   string
	List List
	// Value is a name, a network, an e-mail address or a domain, or a postal address, depending on the list.
	Value string
	// Others holds further names of the same person.
	Others []string
	// Births holds the known dates of birth: a day, a month (2006-01), a year, or a span of years (1960/1962).
	Births []string
}

// Check returns an error that describes what is wrong with an entry, without its value, or nil.
func (e Entry) Check() error {
	switch e.List {
	case GovernmentWatchlist, AlertList:
		if Fold(e.Value) == "" {
			return errors.New("value: a name has letters")
		}
		for _, b := range e.Births {
			if _, err := time.Parse(time.DateOnly, b); err != nil {
				return errors.New("birthdate: expected a date, yyyy-mm-dd")
			}
		}
		return nil
	case RestrictedIP:
		if _, err := network(e.Value); err != nil {
			return errors.New("value: expected a network in CIDR form or an IP address")
		}
	case RestrictedEmail:
		if mailKey(e.Value) == "" {
			return errors.New("value: expected an e-mail address or a domain")
		}
	case HighRiskAddress, NonApprovedAddress:
		if _, ok := ParsePlace(e.Value); !ok {
			return errors.New("value: expected an address as: address1, city, region postalCode")
		}
	default:
		return errors.New("list: there is no such list")
	}
	if len(e.Births) > 0 {
		return errors.New("birthdate: only names have one")
	}
	return nil
}

func network(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if prefix, err := netip.ParsePrefix(text); err == nil {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		return prefix.Masked(), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, errors.New("no network")
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// mailKey returns an address or a domain in the form used for comparison: in lower case, the domain as A-labels (UTS 46),
// and without a plus-sign suffix, which does not name another mailbox. It returns "" for any other text.
func mailKey(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	local, domain, ok := strings.Cut(text, "@")
	if !ok {
		domain, local = text, ""
	}
	domain = asciiDomain(strings.Trim(domain, "."))
	if !strings.Contains(domain, ".") || strings.ContainsAny(domain, " @/") || ok && strings.ContainsAny(local, " ") {
		return ""
	}
	if local == "" {
		return domain
	}
	local, _, _ = strings.Cut(local, "+")
	return local + "@" + domain
}

// asciiDomain returns a domain as A-labels, or as it is if it has none.
func asciiDomain(domain string) string {
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		return ascii
	}
	return domain
}

// Book holds lists in memory. It may be read while entries are added.
type Book struct {
	mu       sync.RWMutex
	networks bart.Table[string]
	mails    map[string]string
	// places holds the addresses of each list by their lines.
	places map[List]map[string][]listedPlaceAt
	names  map[List]*names
	// entries holds what each entry added to the indexes, so that it can be replaced.
	entries map[string]Entry
	// versions holds the version of each entry; sum is their combination, regardless of order.
	versions map[string][sha256.Size]byte
	sum      [sha256.Size]byte
}

// listedPlaceAt is an address of a list.
type listedPlaceAt struct {
	entry string
	at    Place
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{
		mails:   map[string]string{},
		places:  map[List]map[string][]listedPlaceAt{HighRiskAddress: {}, NonApprovedAddress: {}},
		names:   map[List]*names{GovernmentWatchlist: newNames(), AlertList: newNames()},
		entries: map[string]Entry{}, versions: map[string][sha256.Size]byte{},
	}
}

// version returns a hash of all members of the entry.
func (e Entry) version() [sha256.Size]byte {
	h := sha256.New()
	for _, part := range slices.Concat([]string{e.ID, string(e.List), e.Value, "\x01"}, e.Others, []string{"\x01"}, e.Births) {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Version identifies the content of an entry; "" if there is no such entry.
func (b *Book) Version(id string) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	v, ok := b.versions[id]
	if !ok {
		return ""
	}
	return shortVersion(v)
}

// Version identifies the content of the entry.
func (e Entry) Version() string { return shortVersion(e.version()) }

func shortVersion(v [sha256.Size]byte) string { return hex.EncodeToString(v[:8]) }

// Sum identifies the content of the book, regardless of the order of the entries.
func (b *Book) Sum() string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return hex.EncodeToString(b.sum[:])
}

// mark combines the version of an entry with the sum. Adding and removing are the same operation.
func (b *Book) mark(v [sha256.Size]byte) {
	for i := range v {
		b.sum[i] ^= v[i]
	}
}

// Len returns the number of entries.
func (b *Book) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.entries)
}

// Put adds entries and replaces those with the same id. It ignores entries that Check rejects.
func (b *Book) Put(entries ...Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		if old, ok := b.entries[e.ID]; ok {
			b.remove(old)
		}
		b.add(e)
	}
}

func (b *Book) add(e Entry) {
	version := e.version()
	switch e.List {
	case GovernmentWatchlist, AlertList:
		b.names[e.List].insert(e)
		// The name index holds the names; only the list is needed to remove the entry.
		e = Entry{ID: e.ID, List: e.List}
	case RestrictedIP:
		prefix, err := network(e.Value)
		if err != nil {
			return
		}
		b.networks.Insert(prefix, e.ID)
	case RestrictedEmail:
		key := mailKey(e.Value)
		if key == "" {
			return
		}
		b.mails[key] = e.ID
	case HighRiskAddress, NonApprovedAddress:
		at, ok := ParsePlace(e.Value)
		if !ok {
			return
		}
		line := at.line()
		b.places[e.List][line] = append(b.places[e.List][line], listedPlaceAt{e.ID, at})
	default:
		return
	}
	b.entries[e.ID], b.versions[e.ID] = e, version
	b.mark(version)
}

// remove removes what the entry added, unless another entry has replaced it.
func (b *Book) remove(e Entry) {
	b.mark(b.versions[e.ID])
	delete(b.entries, e.ID)
	delete(b.versions, e.ID)
	switch e.List {
	case GovernmentWatchlist, AlertList:
		b.names[e.List].remove(e.ID)
	case RestrictedIP:
		prefix, _ := network(e.Value)
		if id, ok := b.networks.Get(prefix); ok && id == e.ID {
			b.networks.Delete(prefix)
		}
	case RestrictedEmail:
		if key := mailKey(e.Value); b.mails[key] == e.ID {
			delete(b.mails, key)
		}
	case HighRiskAddress, NonApprovedAddress:
		at, _ := ParsePlace(e.Value)
		line := at.line()
		kept := slices.DeleteFunc(b.places[e.List][line], func(l listedPlaceAt) bool { return l.entry == e.ID })
		if b.places[e.List][line] = kept; len(kept) == 0 {
			delete(b.places[e.List], line)
		}
	}
}

// Names returns the listed people whose names resemble name.
func (b *Book) Names(list List, name, birthdate string, floor float64) []NameMatch {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := b.names[list]
	if n == nil {
		return nil
	}
	return n.search(name, birthdate, floor)
}

// Network returns the entry of a restricted network that contains the address.
func (b *Book) Network(addr netip.Addr) (string, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.networks.Lookup(addr.Unmap())
}

// Mail returns the entry of a restricted address or domain.
func (b *Book) Mail(address string) (string, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	key := mailKey(address)
	if id, ok := b.mails[key]; ok {
		return id, true
	}
	_, domain, ok := strings.Cut(key, "@")
	if !ok {
		return "", false
	}
	for _, d := range domainsOf(domain) {
		if id, ok := b.mails[d]; ok {
			return id, true
		}
	}
	return "", false
}

// Place returns the entry of a listed address: the same line and unit, in the same town or with the same postal code.
func (b *Book) Place(list List, at Place) (string, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, l := range b.places[list][at.line()] {
		if l.at.Same(at) {
			return l.entry, true
		}
	}
	return "", false
}

// Books is several books queried as one.
type Books []*Book

// Names returns the listed people of all books, best match first.
func (bs Books) Names(list List, name, birthdate string, floor float64) []NameMatch {
	var out []NameMatch
	for _, b := range bs {
		out = append(out, b.Names(list, name, birthdate, floor)...)
	}
	slices.SortStableFunc(out, better)
	return out
}

// Version identifies the content of an entry of one of the books; "" if there is no such entry.
func (bs Books) Version(id string) string {
	for _, b := range bs {
		if v := b.Version(id); v != "" {
			return v
		}
	}
	return ""
}

// Network returns the entry of a restricted network from one of the books.
func (bs Books) Network(addr netip.Addr) (string, bool) {
	return first(bs, func(b *Book) (string, bool) { return b.Network(addr) })
}

// Mail returns the entry of a restricted address or domain from one of the books.
func (bs Books) Mail(address string) (string, bool) {
	return first(bs, func(b *Book) (string, bool) { return b.Mail(address) })
}

// Place returns the entry of a listed address from one of the books.
func (bs Books) Place(list List, at Place) (string, bool) {
	return first(bs, func(b *Book) (string, bool) { return b.Place(list, at) })
}

func first(bs Books, ask func(*Book) (string, bool)) (string, bool) {
	for _, b := range bs {
		if id, ok := ask(b); ok {
			return id, true
		}
	}
	return "", false
}
