// Package spelling finds what a misspelt word was meant to be, for the remedy in an error message.
package spelling

// maxLetters bounds the words that are compared: beyond it nothing is near.
const maxLetters = 64

// Nearest gives the known word that is the fewest edits away from word, at most edits and fewer than it has letters; "" if there is none. The first of
// equals is taken.
func Nearest(word string, known []string, edits int) string {
	best, least := "", edits+1
	for _, k := range known {
		if d := Distance(word, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// Distance counts the letters to insert, drop, change or swap with their neighbour to get from a to b (optimal string alignment).
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > maxLetters || len(y) > maxLetters {
		return max(len(x), len(y))
	}
	var before []int
	last := make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := range x {
		row := make([]int, len(y)+1)
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}
