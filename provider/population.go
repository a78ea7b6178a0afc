package provider

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/domain"
)

const (
	// sampleSize is the maximum number of records that are counted.
	sampleSize = 200_000
	// minRecords is the number of records that must have a value before it is shown to anybody.
	minRecords = 5
)

// RecordSource reads the bank's records.
type RecordSource interface {
	// RecordSeq returns the sequence number of the newest import of records.
	RecordSeq(ctx context.Context) (int64, error)
	// SampleIdentityRecords passes at most limit records to a function. If there are more, it selects them at random.
	SampleIdentityRecords(ctx context.Context, limit int, each func(*domain.IdentityRecord)) error
}

// Population holds in memory how frequent the values are that the records have: towns, employers, makes and family
// names, without a reference to a person. docs/decisions/0025-quiz-choices.md states the reasons and the cost.
type Population struct {
	source RecordSource

	mu      sync.Mutex // must be held to count
	counted bool
	seq     int64
	read    sync.RWMutex
	pools   map[string]pool
}

// NewPopulation returns an empty population; it is counted when it is first needed, or by Refresh.
func NewPopulation(source RecordSource) *Population { return &Population{source: source} }

// value is a value and the share of the facts that have it. The choices of a fact are of its class, and a person is asked
// for one fact of a class: if two facts had choices in common, those would be known to be wrong.
type value struct {
	key, text string
	weight    float64
	class     int
}

// pool has the values of a kind and group that enough records have, by key.
type pool []value

// poolOf returns the values of a kind and group. Without a population it has none.
func (p *Population) poolOf(ctx context.Context, kind, group string) (pool, error) {
	if p == nil {
		return nil, nil
	}
	p.read.RLock()
	pools := p.pools
	p.read.RUnlock()
	if pools == nil {
		if err := p.Refresh(ctx); err != nil {
			return nil, err
		}
		p.read.RLock()
		pools = p.pools
		p.read.RUnlock()
	}
	return pools[kind+"|"+group], nil
}

// Refresh counts the records again if records were imported since the last time.
func (p *Population) Refresh(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	seq, err := p.source.RecordSeq(ctx)
	if err != nil || p.counted && seq == p.seq {
		return err
	}
	counting := census{}
	if err := p.source.SampleIdentityRecords(ctx, sampleSize, counting.add); err != nil {
		return fmt.Errorf("the records cannot be counted: %w", err)
	}
	pools := counting.pools()
	p.read.Lock()
	p.pools = pools
	p.read.Unlock()
	p.counted, p.seq = true, seq
	return nil
}

// tally counts a value.
type tally struct {
	id, records int
	weight      float64
	spellings   map[string]int
}

// sighting is a fact of a person, with the values that it cannot have: the current one, and the person's other facts.
type sighting struct {
	weight float64
	others []int32
}

// count counts the values of a kind and group.
type count struct {
	values    map[string]*tally
	sightings []sighting
}

func (c *count) of(key string) *tally {
	t := c.values[key]
	if t == nil {
		t = &tally{id: len(c.values), spellings: map[string]int{}}
		c.values[key] = t
	}
	return t
}

// census counts values, by kind and group.
type census map[string]*count

func (c census) add(r *domain.IdentityRecord) {
	for _, kind := range questionKinds {
		facts := kind.factsOf(r)
		if len(facts) == 0 {
			continue
		}
		all := append(kind.current(r.Identity), facts...)
		for _, f := range facts {
			of := kind.name + "|" + f.group
			if c[of] == nil {
				c[of] = &count{values: map[string]*tally{}}
			}
			// A quiz asks for each of a person's facts equally often, so the facts of a person together weigh as one.
			seen := sighting{weight: 1 / float64(len(facts))}
			for _, g := range all {
				if g.group == f.group && g.key != f.key {
					seen.others = append(seen.others, int32(c[of].of(g.key).id)) //nolint:gosec // fewer than the records
				}
			}
			t := c[of].of(f.key)
			t.records++
			t.weight += seen.weight
			t.spellings[f.text]++
			c[of].sightings = append(c[of].sightings, seen)
		}
	}
}

// shares returns how often a fact has each value, by id, if it is not one that it cannot have. That is not the number of
// facts: many people cannot have moved away from the largest town, because they live there. The estimate is the most
// likely one; each round improves it.
func (c *count) shares() []float64 {
	shares, sum := make([]float64, len(c.values)), 0.0
	weights := make([]float64, len(c.values))
	for _, t := range c.values {
		weights[t.id] = t.weight
	}
	for _, w := range weights {
		sum += w
	}
	for id, w := range weights {
		shares[id] = w / sum
	}
	excluded := make([]float64, len(shares))
	for range 20 {
		clear(excluded)
		exposure := 0.0
		for _, s := range c.sightings {
			rest := 1.0
			for _, id := range s.others {
				rest -= shares[id]
			}
			x := s.weight / max(rest, 0.05)
			exposure += x
			for _, id := range s.others {
				excluded[id] += x
			}
		}
		sum = 0
		for id, w := range weights {
			if w > 0 {
				shares[id] = w / max(exposure-excluded[id], w)
			}
			sum += shares[id]
		}
		for id := range shares {
			shares[id] /= sum
		}
	}
	return shares
}

// valuesPerClass is the number of values for which a kind and group has one more class, up to maxClasses.
const valuesPerClass, maxClasses = 13, 3

// classes distributes values over classes, the most frequent first, so that each class has as many frequent values.
func (p pool) classes() {
	n := min(max(len(p)/valuesPerClass, 1), maxClasses)
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[b].weight, p[a].weight) })
	for rank, i := range order {
		p[i].class = rank % n
	}
}

// pools returns the values that enough records have, each in its most frequent spelling.
func (c census) pools() map[string]pool {
	out := map[string]pool{}
	for of, counted := range c {
		shares := counted.shares()
		var p pool
		for key, t := range counted.values {
			if t.records < minRecords {
				continue
			}
			best, most := "", 0
			for text, n := range t.spellings {
				if n > most || n == most && text < best {
					best, most = text, n
				}
			}
			p = append(p, value{key: key, text: best, weight: shares[t.id]})
		}
		slices.SortFunc(p, func(a, b value) int { return cmp.Compare(a.key, b.key) })
		p.classes()
		out[of] = p
	}
	return out
}

// classOf returns the class of a value. ok is false if it is not in the pool.
func (p pool) classOf(key string) (class int, ok bool) {
	at := slices.IndexFunc(p, func(v value) bool { return v.key == key })
	if at < 0 {
		return 0, false
	}
	return p[at].class, true
}

// rest returns the values of a class that are not excluded.
func (p pool) rest(class int, excluded map[string]bool) pool {
	out := make(pool, 0, len(p))
	for _, v := range p {
		if v.class == class && !excluded[v.key] {
			out = append(out, v)
		}
	}
	return out
}

// ceiling returns the weight to which the most frequent values are reduced, so that none has more than one nth of all.
func (p pool) ceiling(n int) float64 {
	weights := make([]float64, len(p))
	rest := 0.0
	for i, v := range p {
		weights[i] = v.weight
		rest += v.weight
	}
	sort.Sort(sort.Reverse(sort.Float64Slice(weights)))
	for k := range n - 1 {
		if weights[k] <= rest/float64(n-k) {
			return rest / float64(n-k)
		}
		rest -= weights[k]
	}
	return rest
}

// draw returns the texts of n values: first that of the key, then decoys. ok is false if there are too few values, or if
// the value is so frequent that only some of its holders may be asked for it and this one is not.
//
// The values lie on a circle in random order, each as long as it is frequent; the fact is a random point on it, and the
// decoys are the points at equal distances from it. Because the facts of people are as frequent as their values, every
// one of these points is the fact equally often: with the choices alone nothing is known about the answer. It needs that
// no value is longer than the distance, so a more frequent one is shortened, and asked for as much less often.
func (p pool) draw(rng *rand.Rand, key string, n int) (texts []string, ok bool) {
	at := slices.IndexFunc(p, func(v value) bool { return v.key == key })
	if at < 0 || len(p) < n {
		return nil, false
	}
	ceiling := p.ceiling(n)
	if rng.Float64()*p[at].weight >= ceiling {
		return nil, false
	}
	for range 50 { // a rounded number can hit a neighbor
		order := rng.Perm(len(p))
		ends := make([]float64, len(p))
		total, start, length := 0.0, 0.0, 0.0
		for i, of := range order {
			w := min(p[of].weight, ceiling)
			if of == at {
				start, length = total, w
			}
			total += w
			ends[i] = total
		}
		point := start + rng.Float64()*length
		seen := map[string]bool{key: true}
		texts = []string{p[at].text}
		for i := 1; i < n; i++ {
			if point += total / float64(n); point >= total {
				point -= total
			}
			hit := p[order[min(sort.Search(len(ends), func(j int) bool { return ends[j] > point }), len(ends)-1)]]
			if seen[hit.key] {
				break
			}
			seen[hit.key] = true
			texts = append(texts, hit.text)
		}
		if len(texts) == n {
			decoys := texts[1:]
			rng.Shuffle(len(decoys), func(i, j int) { decoys[i], decoys[j] = decoys[j], decoys[i] })
			return texts, true
		}
	}
	return nil, false
}

// Follow refreshes the population after imports until the context ends. failed reports each error.
func (p *Population) Follow(ctx context.Context, every time.Duration, failed func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := p.Refresh(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
