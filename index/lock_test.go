package index

import (
	"path/filepath"
	"testing"
	"time"
)

// TestTurns: who takes the lock again and again, as a daemon under load, leaves others their turn.
func TestTurns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var locks [2]*fileLock // of two processes: open file descriptions are what counts
	for i := range locks {
		l, err := openFileLock(path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.close()
		locks[i] = l
	}
	greedy := make(chan int)
	stop := make(chan struct{})
	go func() {
		turns := 0
		for {
			select {
			case <-stop:
				greedy <- turns
				return
			default:
			}
			if err := locks[0].acquire(time.Minute); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Millisecond)
			locks[0].release()
			turns++
		}
	}()
	const wanted = 20
	for range wanted {
		if err := locks[1].acquire(time.Minute); err != nil {
			t.Fatal(err)
		}
		locks[1].release()
	}
	close(stop)
	if turns := <-greedy; turns > 20*wanted {
		t.Errorf("%d turns of the other for %d", turns, wanted)
	}
	// What one holds the other does not get.
	if err := locks[0].acquire(0); err != nil {
		t.Fatal(err)
	}
	if err := locks[1].acquire(20 * time.Millisecond); err == nil {
		t.Error("two have the lock")
	}
	locks[0].release()
	if err := locks[1].acquire(0); err != nil {
		t.Error(err)
	}
}
