package futures

// Parts of a pause that tests look at.
var (
	Backoff  = backoff
	Jittered = jittered
)
