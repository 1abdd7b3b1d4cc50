package futures

import (
	"errors"
	"fmt"
)

// OnWorkers has [SubmitEach] call its function on exactly k workers, at the same time, and not on all. Gangs of several sizes run side
// by side, and beside other tasks. Inside, [CommWorkers] is the communicator of the k members, with ranks from 0 to k-1.
//
// Such a gang is one of the calls that wait ([Submit]) and has its turn as they do. Then it is first: it has every worker that becomes free, until there are k. Meanwhile what
// has proven short (under 2 ms on average; nothing is known of a function that has not run) goes to the workers that it has, as long as it
// lacks others, and nothing else. So it begins when k workers have ended what they had when it was first, and a batch of short
// tasks each. Only tasks that come back, to run again, still pass it. With [WithMaxTasksPerChild] nothing short does. Gangs are collected one after another.
//
// The members are on one host if one host has as many workers free; [OnOneHost] demands that.
//
// A k below 1 is an error of [SubmitEach], and so is one above the number of workers, which matches [ErrTooFewWorkers]; where that number is
// not known yet, or workers are lost and not replaced later, it is the error of the future.
func OnWorkers(k int) EachOption {
	return eachOption(func(c *taskConfig) error {
		if k < 1 {
			return fmt.Errorf("OnWorkers(%d): a gang has at least 1 worker", k)
		}
		c.gang = k
		return nil
	})
}

// OnOneHost has the members of a gang of [OnWorkers] be on one host. If no host has as many workers the error matches
// [ErrTooFewWorkers]. It waits for workers of one host, which is chosen when the gang is first.
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
	return nil
}
