package pool

// DefaultChunk is the rule for the size of chunks.
var DefaultChunk = defaultChunk
