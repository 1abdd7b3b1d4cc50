// Package comm is the communicator of the workers: how tasks that run at the same time talk to each other. A task gets it
// from futures.CommWorkers; futures.SubmitEach starts one task on every worker, or on some (futures.OnWorkers), whose ranks then begin with 0.
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
// The words are MPI's: a rank is a worker's number from 0. Between two ranks there are [Send], [Recv], [Sendrecv] and [Probe], and
// with requests, which are futures, [Isend] and [Irecv]. The collective operations must be called by the tasks of all ranks, in the same order:
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
// What is sent is a number, a slice or any other value that an argument of a task could be; both sides must name the same type. Slices of
// 256 KiB and more travel as they are, beside the message. Operations combine along one tree, in the order of the ranks, so sums of
// floating-point numbers are equal bit for bit whatever the root and the backend.
//
// Ranks that are in different operations, or name different roots, are told so by an error that names both, where messages between them meet, and after a
// second of waiting for each other. A wrong count is an error on all ranks.
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
