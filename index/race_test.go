//go:build race

package index

// underRace: the race detector makes SQLite, which is Go here, some thirty times slower.
const underRace = true
