//go:build race

package engine

// raceEnabled tells that the race detector runs, under which a sync.Pool drops
// at random what it is given.
const raceEnabled = true
