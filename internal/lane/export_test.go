package lane

// Waiting returns how many records the handler has not been given yet, and those it has not returned from.
func (l Logger) Waiting() int { return l.root.log.lane.Len() }
