package futures

import (
	"errors"
	"fmt"
)

// OnWorkers makes [SubmitEach] call its function on exactly k workers, at the same time, and not on all. Gangs of several sizes run side by
// side, and beside other tasks. Inside a gang, [CommWorkers] is the communicator of the k members, with ranks from 0 to k-1.
//
// Such a gang is queued like a single call ([Submit]). When its turn comes it reserves every worker that becomes free, until there are k.
// Meanwhile the reserved workers run only tasks that have proven short: under 2 ms on average, by a function that has run before. So the
// gang begins when k workers have ended what they ran when its turn came, and a batch of short tasks each. Only tasks that come back to run
// again still pass it. With [WithMaxTasksPerChild] the reserved workers run no short tasks. Gangs are assembled one after another.
//
// The members are on one host if one host has enough free workers; [OnOneHost] demands that.
//
// A k below 1 is an error of [SubmitEach], and so is one above the number of workers, which matches [ErrTooFewWorkers]. If that number is
// not known yet, or if workers are lost later and not replaced, it is the error of the future.
func OnWorkers(k int) EachOption {
	return eachOption(func(c *taskConfig) error {
		if k < 1 {
			return fmt.Errorf("OnWorkers(%d): a gang has at least 1 worker", k)
		}
		c.gang = k
		return nil
	})
}

// OnOneHost requires the members of a gang of [OnWorkers] to be on one host. The gang waits for workers of one host, which is chosen when
// its turn comes. If no host has enough workers the error matches [ErrTooFewWorkers].
func OnOneHost() EachOption {
	return eachOption(func(c *taskConfig) error {
		c.oneHost = true
		return nil
	})
}

// eachOption is an option that makes sense for gangs only.
type eachOption func(*taskConfig) error

func (o eachOption) forEach(c *taskConfig) error { return o(c) }

// applyEach sets what options of SubmitEach say.
func applyEach(c *taskConfig, opts []EachOption) error {
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.forEach(c); err != nil {
			return err
		}
	}
	if c.oneHost && c.gang == 0 {
		return errors.New("OnOneHost needs OnWorkers(k), which sets the size of the gang")
	}
	if c.journal != nil && c.gang == 0 {
		return errors.New("WithJournal needs OnWorkers(k): a gang is recorded with its size, and that of all workers is not known in advance")
	}
	return nil
}
