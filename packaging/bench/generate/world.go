package main

import (
	"fmt"
	"math/rand/v2"
	"net/mail"
	"strings"
	"time"
)

const (
	domain      = "bench.example" // of the accounts
	vocabulary  = 20_000
	people      = 5_000
	blockOctets = 4 << 20
	replies     = 3    // one in so many messages begins a thread
	scatter     = 7919 // prime to the number of words, so that neighbours by frequency do not look alike
	lookBack    = 20   // a reply answers one of so many messages before it in the account
)

// Streams keep the draws for one purpose apart from those for another.
const (
	streamThread = iota + 1
	streamMessage
	streamPerson
	streamBody
)

// world is what all messages share. It is not changed once made, so any number of workers may read it.
type world struct {
	options
	names []mail.Address // people, the busiest first
	block []byte         // lines of words; a body is a piece of it
	lines []int          // where the lines of block begin
}

// dice is a source of chance that can be set to any message's place.
type dice struct {
	*rand.Rand
	pcg    *rand.PCG
	word   *rand.Zipf
	person *rand.Zipf
}

func newDice() *dice {
	pcg := rand.NewPCG(0, 0)
	r := rand.New(pcg)
	return &dice{Rand: r, pcg: pcg, word: rand.NewZipf(r, 1.1, 8, vocabulary-1), person: rand.NewZipf(r, 1.2, 10, people-1)}
}

// set makes what follows depend on the seed, the stream and i alone.
func (d *dice) set(seed uint64, stream, i int) {
	d.pcg.Seed(seed<<8|uint64(stream), uint64(i)*0x9E3779B97F4A7C15+1)
}

func domains() []string {
	return strings.Fields(`acme.example initech.example globex.example umbrella.example hooli.example stark.example wayne.example
		tyrell.example cyberdyne.example soylent.example vandelay.example bluth.example`)
}

func givenNames() []string {
	return strings.Fields(`Anna Bill Carla Dmitri Elena Farid Grace Henrik Ines Jürgen Keiko Liam Mona Nils Olga Pedro Quentin Rosa
		Sybil Tomás Uma Viktor Wanda Xavier Yusuf Zoë Abdul Billie Chiara Dana Emil Fatima Gustav Hana Igor Jana Kofi Lucía Marek Nadia`)
}

// newWorld makes the people and the text.
func newWorld(o options) *world {
	w := &world{options: o, names: make([]mail.Address, people)}
	d, given, houses := newDice(), givenNames(), domains()
	for i := range w.names {
		d.set(o.seed, streamPerson, i)
		first, last := given[d.IntN(len(given))], word(400+d.IntN(100_000))
		local := fmt.Sprintf("%s.%s%d", strings.ToLower(first), last, i)
		local = strings.NewReplacer("ü", "ue", "á", "a", "ë", "e", "í", "i").Replace(local)
		w.names[i] = mail.Address{Name: first + " " + strings.ToUpper(last[:1]) + last[1:], Address: local + "@" + houses[d.IntN(len(houses))]}
	}
	d.set(o.seed, streamBody, 0)
	for len(w.block) < blockOctets {
		w.lines = append(w.lines, len(w.block))
		for range 11 {
			w.block = append(append(w.block, word(int(d.word.Uint64()))...), ' ')
		}
		w.block[len(w.block)-1] = '\n'
	}
	return w
}

// word is the n-th word: two syllables, three for the rarer ones, never two words alike.
func word(n int) string {
	const consonants, vowels = "bdfghklmnprstvwz", "aeiou"
	const syllables = len(consonants) * len(vowels)
	length, all := 2, syllables*syllables
	if n >= all {
		length, all = 3, all*syllables
	}
	n = n % all * scatter % all
	var b strings.Builder
	for range length {
		s := n % syllables
		b.WriteByte(consonants[s%len(consonants)])
		b.WriteByte(vowels[s/len(consonants)])
		n /= syllables
	}
	return b.String()
}

// date is when message i is sent. One million of them, 15 minutes apart, end in 2024.
func (w *world) date(i int) time.Time {
	return time.Date(1996, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * w.step)
}

// messageID is that of message i, without its brackets.
func (w *world) messageID(i int) string {
	return fmt.Sprintf("%d.%x@mail.bench.example", i, (uint64(i)+w.seed)*0x9E3779B97F4A7C15)
}

// ancestors are the messages before i in its thread, the oldest first.
func (w *world) ancestors(d *dice, i int) []int {
	d.set(w.seed, streamThread, i)
	parent := i - w.accounts*(1+d.IntN(lookBack))
	if parent < 0 || d.IntN(replies) == 0 {
		return nil
	}
	return append(w.ancestors(d, parent), parent)
}

// subject is that of a thread that begins with message i.
func (w *world) subject(d *dice, i int) string {
	d.set(w.seed, streamThread, -i-1)
	words := make([]string, 4+d.IntN(5))
	for k := range words {
		words[k] = word(int(d.word.Uint64()))
	}
	return strings.Join(words, " ")
}
