package provider_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/domain/risk"
	"github.com/gatehouse/gatehouse/provider"
	"github.com/gatehouse/gatehouse/testkit"
)

// fullSize is the approximate number of entries of the published list; four in ten are people, and there are about as
// many further names as entries.
const fullSize = 17000

var syllables = strings.Fields("ab al am an ar as az ba be bo bu da de di do du ed el em en er fa fe fi ga ge go gu ha he hi ho hu ib il im in is iv ja je jo ju ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu om or os pa pe pi po qa ra re ri ro ru sa se si so su ta te ti to tu ul um va ve vi vo wa ya ye yo yu za ze zi zo")

func identifier(dice *rand.Rand) string {
	var b strings.Builder
	for range 2 + dice.IntN(3) {
		b.WriteString(syllables[dice.IntN(len(syllables))])
	}
	return strings.ToUpper(b.String()[:1]) + b.String()[1:]
}

// givenNames are names that many people share, as on the real list.
var givenNames = strings.Fields("Mohammed Ahmad Ali Hassan Hussein Abdul Ibrahim Mahmoud Khalid Omar Jose Carlos Luis Juan Maria Ivan Sergei Vladimir Aleksandr Dmitri Kim Ri Pak Wang Zhang Li Nicolas Jorge Fernando")

func fullList(t testing.TB, dir string) {
	t.Helper()
	dice := rand.New(rand.NewPCG(1, 2))
	write := func(name string, rows func(*bufio.Writer)) {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(f)
		rows(w)
		_, _ = w.WriteString("\x1a")
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("SDN.CSV", func(w *bufio.Writer) {
		for n := range fullSize {
			kind, remarks := "-0- ", "-0- "
			if n%10 < 4 {
				kind, remarks = `"individual"`, fmt.Sprintf(`"DOB %02d Jan %d; POB %s; nationality X; Gender Male; Passport A%07d (X)."`, 1+dice.IntN(28), 1930+dice.IntN(70), identifier(dice), n)
			}
			fmt.Fprintf(w, "%d,\"%s %s, %s %s\",%s,\"SDGT\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,%s\r\n", n, strings.ToUpper(identifier(dice)), strings.ToUpper(identifier(dice)), givenNames[dice.IntN(len(givenNames))], identifier(dice), kind, remarks)
		}
	})
	write("ALT.CSV", func(w *bufio.Writer) {
		for n := range fullSize {
			fmt.Fprintf(w, "%d,%d,\"aka\",\"%s, %s\",-0- \r\n", n, n, strings.ToUpper(identifier(dice)), givenNames[dice.IntN(len(givenNames))])
		}
	})
	write("ADD.CSV", func(w *bufio.Writer) {
		for n := range fullSize {
			fmt.Fprintf(w, "%d,%d,\"%d %s Street\",\"%s\",\"Xland\",-0- \r\n", n, n, n, identifier(dice), identifier(dice))
		}
	})
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

// BenchmarkFullListLoad loads a list of the size of the published one.
func BenchmarkFullListLoad(b *testing.B) {
	dir := b.TempDir()
	fullList(b, dir)
	before := heap()
	var kept []*provider.Lists
	for b.Loop() {
		lists := provider.NewLists(&entryTable{}, dir, testkit.NewClock().Now, slog.New(slog.DiscardHandler))
		if _, err := lists.Current(b.Context()); err != nil {
			b.Fatal(err)
		}
		kept = append(kept, lists)
	}
	b.ReportMetric((heap()-before)/float64(len(kept)), "MB/list")
}

// BenchmarkFullListSearch searches for one name in it.
func BenchmarkFullListSearch(b *testing.B) {
	dir := b.TempDir()
	fullList(b, dir)
	lists := provider.NewLists(&entryTable{}, dir, testkit.NewClock().Now, slog.New(slog.DiscardHandler))
	books, err := lists.Current(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for b.Loop() {
		books.Names(risk.GovernmentWatchlist, "Mohammed Hassan Kaderi", "1970-01-01", provider.DefaultNameMatch)
	}
}

// networks returns a book with n networks.
func networks(n int) *risk.Book {
	book := risk.NewBook()
	entries := make([]risk.Entry, 0, n)
	for i := range n {
		addr := netip.AddrFrom4([4]byte{byte(1 + i%200), byte(i / 200), byte(i / 51200), 0})
		entries = append(entries, risk.Entry{ID: fmt.Sprint(i), List: risk.RestrictedIP, Value: netip.PrefixFrom(addr, 24).String()})
	}
	book.Put(entries...)
	return book
}

// BenchmarkNetworks looks up an address among 200,000 networks.
func BenchmarkNetworks(b *testing.B) {
	book := networks(200_000)
	addr := netip.MustParseAddr("37.200.2.9")
	b.ResetTimer()
	for b.Loop() {
		book.Network(addr)
	}
}

// TestManyNetworksAreFound verifies what the benchmark measures.
func TestManyNetworksAreFound(t *testing.T) {
	t.Parallel()
	book := networks(50_000)
	if id, ok := book.Network(netip.MustParseAddr("1.3.0.77")); !ok || id != "600" {
		t.Errorf("got %s", id)
	}
	if _, ok := book.Network(netip.MustParseAddr("250.0.0.1")); ok {
		t.Error("a network that is not there is found")
	}
}
