// Package comm is the communicator of the workers: how tasks that run at the same time talk to each other. A task gets it
// from futures.CommWorkers; futures.SubmitEach starts one task on every worker.
//
//	var share = futures.RegisterContext("share", func(ctx context.Context, n int) (float64, error) {
//		c, err := futures.CommWorkers(ctx)
//		if err != nil {
//			return 0, err
//		}
//		sum := 0.0
//		for i := c.Rank(); i < n; i += c.Size() {
//			sum += term(i)
//		}
//		return comm.Allreduce(ctx, c, sum, comm.Sum[float64])
//	})
//
// The words are MPI's: a rank is a worker's number from 0, and the collective operations ([Comm.Barrier], [Bcast], [Reduce], [Allreduce],
// [Gather], [Allgather], [Scatter], [Alltoall]) must be called by the tasks of all ranks, in the same order. What is sent is a
// number, a slice or any other value that an argument of a task could be; both sides must name the same type. Slices of
// 256 KiB and more travel as they are, beside the message.
//
// Every wait ends: with the message, with the context, or with an error that matches futures.ErrBroken when a worker that
// is waited for was lost, or when its task in the same SubmitEach has returned or failed. Nobody waits without end because
// another has gone.
//
// Code that calls MPI itself is given a communicator of the same workers by [Comm.Handle], as the library's own handle, and by package
// mpicomm as one of github.com/emer/empi.
//
// Messages travel by way of the master. They arrive in the order in which they were sent, from one rank to another. What a
// task leaves unread ends with it. The calls of one SubmitEach have their messages for themselves. Between tasks of Submit, of a
// rank whose messages a task has read, those of later tasks are left for the next; of other ranks, those that came while it ran.
package comm
