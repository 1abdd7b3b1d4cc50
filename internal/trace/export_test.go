package trace

// Rouse has the writer write now.
func (p *Pool) Rouse() { p.file.rouse() }

// Scans is how many files were read to find their end since it was called last.
func Scans() int64 { return scans.Swap(0) }
