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

// batch has nothing to do.
type batch struct{}

func (*batch) begin()    {}
func (*batch) end()      {}
func (*batch) keep(bool) {}
