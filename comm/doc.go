// Package comm is the communicator of the workers: tasks that run at the same time exchange messages through it. A task gets it from
// futures.CommWorkers. futures.SubmitEach starts one task on every worker, or on some of them (futures.OnWorkers), whose ranks then begin
// with 0.
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
// The terms are MPI's: a rank is a worker's number from 0. Between two ranks there are [Send], [Recv], [Sendrecv] and [Probe], and [Isend]
// and [Irecv], which return requests (futures). The tasks of all ranks must call the collective operations, in the same order:
//
//	verb                    each rank passes           each rank gets
//	[Comm.Barrier]          nothing                    nothing, when all have come
//	[Bcast]                 v (root's counts)          root's v
//	[Reduce], [Allreduce]   v                          v0 ∘ v1 ∘ …; of Reduce, root only
//	[Scan], [Exscan]        v                          v0 ∘ … ∘ vr, without vr for Exscan
//	[ReduceScatter]         a slice, one per rank      element r of all slices, combined
//	[Gather], [Allgather]   v                          a slice, one per rank; of Gather, root only
//	[Scatter]               root: one per rank         its element
//	[Alltoall]              one per rank               one per rank
//	[Gatherv], [Allgatherv] a slice                    all of them as one, and the counts
//	[Scatterv]              root: a slice and counts   its part
//	[Alltoallv]             a slice and counts         all parts for it as one, and the counts
//	[Comm.Split], [Comm.Dup] a color and a key         a communicator
//
// A message is a number, a slice or any other value that can be an argument of a task; both sides must name the same type. Slices of 256
// KiB and more travel as they are, beside the message. Operations combine values along one tree, in the order of the ranks, so sums of
// floating-point numbers are equal bit for bit for any root and backend.
//
// If ranks are in different operations, or name different roots, they get an error that names both: when messages between them meet, or
// after they have waited for each other for a second. A wrong count is an error on all ranks.
//
// Every wait ends: with the message, with the context, or with an error that matches futures.ErrBroken. The latter comes when the awaited
// worker was lost, or when its task in the same SubmitEach has returned or failed.
//
// Code that calls MPI itself can have a communicator of the same ranks, also after [Comm.Split] and [Comm.Dup]: [Comm.Handle] returns it as the library's
// own handle, and mpicomm.Of as one of github.com/emer/empi.
//
// Messages travel through the master. From one rank to another they arrive in the order in which they were sent. A task's unread messages
// are dropped when it ends. The calls of one SubmitEach have their messages for themselves. Between tasks of Submit, some messages are kept
// for the next task: from a rank whose messages the ended task has read, those of later tasks; from other ranks, those that came while the
// ended task ran.
package comm
