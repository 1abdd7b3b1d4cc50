// Package futures runs functions on a pool of workers: goroutines, processes of this machine, or the ranks of an MPI job. The same program
// runs on all of them.
//
// A program registers its functions at package level, gives its body to [Main], and uses an executor inside:
//
//	var square = futures.Register("square", func(x int) (int, error) { return x * x, nil })
//
//	func main() { futures.Main(run) }
//
//	func run(ctx context.Context) error {
//		return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
//			for y, err := range futures.Map(ctx, ex, square, []int{1, 2, 3}) {
//				if err != nil {
//					return err
//				}
//				fmt.Println(y)
//			}
//			return nil
//		})
//	}
//
// Master and workers run the same program. A worker runs it from the start and stays in [Main], so code before [Main] runs in every worker.
//
// # Executors
//
// The workers of an [MPIPoolExecutor] depend on how the program was started, or on RANKPOOL_BACKEND. A [ProcessPoolExecutor] always has
// local processes, a [ThreadPoolExecutor] always goroutines.
//
// [With] makes an executor and ends it. When its function returns nil, [With] waits until everything queued has run. After an error or a
// panic it cancels queued calls, so a program that has failed stops. [Submit] returns a [Future]; [Map] and [Starmap] yield results one by
// one. [Wait], [AsCompleted], [Collect], [Compose], [Then] and [Catch] accept futures of any executor.
//
// # What workers have
//
// An initializer ([WithInitializer]) prepares a process. It runs once, however many workers the process has. A global ([RegisterGlobal]) is
// a value that the master sends to all workers. A state ([RegisterState]) is a value that each worker opens for itself and closes when it
// leaves, such as a connection or a model with scratch memory. Tasks reach globals and states through their context.
//
// # What an argument may be
//
// The table is for arguments, results, globals and messages that go to another process, and for the values inside them:
//
//	numbers, strings, bools, time.Time    as they are
//	slices, arrays, maps, pointers        as they are; shared parts and cycles inside a value are kept
//	structs                               all fields, unexported ones too, except those named _
//	types with AppendBinary, MarshalBinary or GobEncode and the inverse method
//	                                      by these methods, which are made for programs that read the value again
//	types with MarshalText only           by their fields: a text is made for people and may omit part of the value
//	such types whose fields cannot travel by the text, after [RegisterType], which must come before the types that contain them
//	error                                 like the error of a task, see [RegisterError]
//	interfaces                            basic types, slices and maps of them, errors, and types given to [RegisterType]; others
//	                                      fail with "type is not registered"
//	sync.Mutex, sync.RWMutex              unlocked
//	sync/atomic's numbers                 by their value
//	channels                              refused: "a channel lives in one process"
//	functions                             refused: "a function lives in one process"
//	sync.Once, WaitGroup, Cond, Pool, Map refused: "it holds the state of one process's goroutines"
//	unsafe.Pointer, unique.Handle, container/list, strings.Builder, reflect.Value, os.File
//	                                      refused, with what to send in their place
//
// Registering a refused type panics. A refused value inside an interface fails the call that sends it. A [ThreadPoolExecutor] sends
// nothing: it shares arguments and results of any type.
//
// # Guarantees
//
// Single calls begin in the order in which they were submitted, or in which their inputs became ready ([SubmitAfter]). The elements of a
// map begin in order. Each map gets an equal share of the workers' time, and all single calls together get one such share; [WithPriority]
// changes that. After a Cancel that returns true the task never runs. No task runs twice unless [WithRetries] allows it.
//
// When a local process dies, the task that it was running fails with a [*BrokenError]. A new process takes its place, and all other tasks
// go on. When a rank dies, everything that had been sent to it fails: a chunk, or several tiny tasks. The rank is not replaced.
//
// No wait for a worker is endless: options limit its start, its initializer, its silence and its departure. Close waits until all queued
// tasks have run.
//
// # Where a task runs
//
// In a task, an initializer or a function of a state, [Worker] returns which worker runs it: its number among all workers, and among those
// of its host, which selects a GPU, a core, a port or a scratch directory. Which worker runs an element is not determined, and differs from
// run to run. Anything that a result depends on, above all a random seed, belongs to the element: derive it from one seed and the element's
// index.
//
// # What a program sets
//
// Tasks on every backend find the flags, the environment and the working directory that the program has set before the executor started, in
// [Main]'s function or before it:
//
//   - Flags of package flag that [flag.Parse] or [flag.Set] has set. A worker sets those that it knows, and flag.Parsed and flag.Args return
//     what they return in the master. A flag of a type of your own is set to its values on the command line, one after another. Other flag
//     libraries have their own variables: parse before [Main], in every worker, or send the values in arguments or in a [Global].
//   - Variables that were set or unset since [Main] began. Variables that a launcher has given to each rank stay.
//   - The working directory, if it has changed since [Main] began. On other hosts it must exist.
//   - On Linux the umask, if it has changed since then.
//
// Later changes do not reach other processes, not even workers that start later. Goroutines share the process and see every change at once.
// Ranks of an MPI job have one set of settings at a time: while an executor is open, another executor with the same ranks and different
// settings returns an error when it starts. [WithEnv] and [WithDir] are applied last. The ranks of an [MPICommExecutor] run the program
// themselves and keep their own settings.
//
// Local processes share the machine. Unless GOMAXPROCS is set, each gets the cores divided by the number of processes. A GOMEMLIMIT covers
// all of them: each gets it divided by the number of processes plus one, and the master keeps the whole as its own limit. Values of
// [WithEnv] are not divided. Ranks have what their launcher gives them.
//
// # Testing
//
// Tests of a program that uses processes are started by futures.TestMain:
//
//	func TestMain(m *testing.M) { futures.TestMain(m) }
//
// A [ThreadPoolExecutor] can be used inside a bubble of testing/synctest, and outside before and after it. Processes cannot: the clock of a
// bubble stands still while it waits for them.
//
// # Environment
//
// docs/environment.md lists all variables. An executor reads these when it starts, among others: RANKPOOL_BACKEND (auto, mpi, processes,
// threads), RANKPOOL_MAX_WORKERS, RANKPOOL_SLOTS (see [WithSlots]), RANKPOOL_USE_PKL5 (whether large slices travel beside the message: yes,
// the default, or no), RANKPOOL_PKL5_THRESHOLD (bytes; default 262144), RANKPOOL_BACKOFF (seconds or a duration), RANKPOOL_SERVICE (workers
// that were started separately, see [WithService]), RANKPOOL_PROC_SOCKET (1: local processes send large slices through their sockets and do
// not read each other's memory).
//
// A local process finds these set before its program begins: RANKPOOL_WORKER_INDEX, RANKPOOL_WORKER_COUNT, RANKPOOL_WORKER_HOST_INDEX and
// RANKPOOL_WORKER_HOST_COUNT. They are the numbers of [WorkerInfo].
package futures
