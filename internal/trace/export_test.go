package trace

// Rouse has the writer write now.
func (p *Pool) Rouse() { p.rouse() }
