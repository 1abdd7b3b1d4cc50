package pool

// chunksPerWorker is how many chunks each worker is to get of a list: few enough to make messages rare, enough to even
// out elements that take longer than others.
const chunksPerWorker = 4

// defaultChunk returns how many of n elements make a chunk when nobody says: n over four times the workers, rounded up,
// and at least 1.
func defaultChunk(n, workers int) int {
	parts := chunksPerWorker * max(workers, 1)
	return max(1, n/parts+min(1, n%parts))
}
