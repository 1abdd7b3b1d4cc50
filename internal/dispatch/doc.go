// Package dispatch is the one scheduler, for every kind of worker.
//
// It deals in bytes and function numbers and has no type parameters: package futures encodes arguments and decodes
// results, package link carries frames. A Master hands the units of Jobs to workers; Serve is what a worker runs.
//
// # Jobs, units, elements
//
// A Job is one or more calls of one function that were submitted together. Its units are what is scheduled: a unit runs
// on one worker, is cancelled, retried or lost as a whole. A unit is one element, or a chunk of them where the user asked
// for chunks. A submitted call is a job of one unit of one element; a map is one job of many units.
//
// # Order and numbers
//
// Units go out first in, first out. For each worker they are numbered from 1 in the order in which they were sent; a
// worker runs them in that order and answers in that order, so a number never travels with a result.
//
// # Coalescing
//
// A worker has one unit at a time, until its function has been measured and found tiny. Then units travel in batches
// that take about as long as a round trip is worth, and a second batch is on the way while the first runs. So is a
// second unit where the function is merely short, unless workers share the master's memory. When a unit turns out to be
// long, the worker gives back what waits behind it.
package dispatch
