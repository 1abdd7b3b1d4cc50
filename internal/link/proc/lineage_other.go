//go:build unix && !linux

package proc

// Here what tasks have started may outlive their worker.

func newMark() uint64                       { return 0 }
func setMark(int, uint64) error             { return nil }
func endMarked(uint64, int, bool) (_ []int) { return nil }
func becomeGuardian()                       {}
func needGuardian()                         {}
func haveGuardian()                         {}
func dropGuardian()                         {}

// unit has nothing to do.
type unit struct{}

func (*unit) begin() {}
func (*unit) end()   {}
