package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// facts is what a tree holds that can be asked for.
type facts struct {
	messages int
	octets   int64
	words    map[string]int // how many subjects have the word
	deepest  string         // Message-ID of the message with the most ancestors
	depth    int
}

// answer is what is written to standard output.
type answer struct {
	Messages  int    `json:"messages"`
	Octets    int64  `json:"octets"`
	Frequent  string `json:"frequent"`  // the word most subjects have
	Common    string `json:"common"`    // a word in about one subject of 200
	Rare      string `json:"rare"`      // a word in about five subjects
	MessageID string `json:"messageid"` // of a message deep in a thread, without brackets
}

func newFacts() *facts {
	return &facts{words: map[string]int{}, depth: -1}
}

// message notes one message.
func (f *facts) message(id, subject string, depth int) {
	f.messages++
	words := strings.Fields(subject)
	slices.Sort(words)
	for _, w := range slices.Compact(words) {
		f.words[w]++
	}
	f.deeper(id, depth)
}

// deeper keeps the deepest message; of equals, the one with the smaller Message-ID, so that the order of work does not matter.
func (f *facts) deeper(id string, depth int) {
	if depth > f.depth || depth == f.depth && id < f.deepest {
		f.depth, f.deepest = depth, id
	}
}

// add takes over what another worker noted.
func (f *facts) add(g *facts) {
	f.messages += g.messages
	f.octets += g.octets
	for w, n := range g.words {
		f.words[w] += n
	}
	f.deeper(g.deepest, g.depth)
}

// answer chooses what to search for.
func (f *facts) answer() answer {
	most := 0
	for _, n := range f.words {
		most = max(most, n)
	}
	return answer{Messages: f.messages, Octets: f.octets, MessageID: f.deepest,
		Frequent: f.near(most), Common: f.near(max(1, f.messages/200)), Rare: f.near(min(5, max(1, f.messages/1000)))}
}

// near is the word whose number of subjects is nearest to n, the first by alphabet among equals.
func (f *facts) near(n int) string {
	words := slices.Sorted(maps.Keys(f.words))
	if len(words) == 0 {
		return ""
	}
	return slices.MinFunc(words, func(a, b string) int { return cmp.Compare(distance(f.words[a], n), distance(f.words[b], n)) })
}

func distance(a, b int) int { return max(a-b, b-a) }
