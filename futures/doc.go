// Package futures runs functions on a pool of workers: goroutines, processes of this machine, or the ranks of an MPI job,
// without a change to the program.
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
// The same program is the master and the workers: workers run it from its start and stay in [Main]. So code before [Main]
// runs in every worker.
//
// # Executors
//
// An [MPIPoolExecutor] takes its workers from how the program was started, or from RANKPOOL_BACKEND. A [ProcessPoolExecutor]
// always has local processes, a [ThreadPoolExecutor] always goroutines. With makes one and ends it: when its function returns
// nil, what is queued is finished; after an error or a panic it is cancelled, and the program that failed stops. Submit
// returns a [Future]; [Map] and [Starmap] return results one by one. Wait, [AsCompleted], [Collect], [Compose], [Then] and
// [Catch] work with futures of any executor.
//
// # What workers have
//
// An initializer ([WithInitializer]) prepares a process, once, whatever number of workers it has. A global ([RegisterGlobal]) is a value
// that the master sends to all workers. A state ([RegisterState]) is what each worker opens for itself and closes when it leaves: a
// connection, a model with scratch memory. Tasks reach the latter two by their context.
//
// # What an argument may be
//
// What follows holds for arguments, results, globals and messages that go to another process, and for what stands inside them:
//
//	numbers, strings, bools, time.Time    as they are
//	slices, arrays, maps, pointers        as they are; what is shared or a cycle in a value is so again
//	structs                               all fields, unexported ones too, but for those called _
//	types with AppendBinary, MarshalBinary or GobEncode and the way back
//	                                      by these methods, which are made for programs that read the value again
//	types with MarshalText only           by their fields; a text is made for people and may be less than the value
//	the same, if the fields cannot travel by the text, after [RegisterType], which comes before what contains them
//	error                                 as the error of a task does, see [RegisterError]
//	interfaces                            basic types, slices and maps of them, errors, and what [RegisterType] was told of; else
//	                                      "type is not registered"
//	sync.Mutex, sync.RWMutex              unlocked
//	sync/atomic's numbers                 by their value
//	channels                              refused: "a channel lives in one process"
//	functions                             refused: "a function lives in one process"
//	sync.Once, WaitGroup, Cond, Pool, Map refused: "it holds the state of one process's goroutines"
//	unsafe.Pointer, unique.Handle, container/list, strings.Builder, reflect.Value, os.File
//	                                      refused, with what to send in their place
//
// A type that is refused panics where it is registered; a value inside an interface fails the call that sends it. A
// [ThreadPoolExecutor] shares arguments and results, whatever they are.
//
// # Guarantees
//
// Single calls begin in the order in which they were submitted, or in which their inputs became ready ([SubmitAfter]). The
// elements of a map begin in their order. Each map has an equal part of the workers' time, and all single calls together have
// one such part; [WithPriority] changes that. After a Cancel that returns true the task never runs. No task runs twice,
// unless [WithRetries] allows it.
//
// When a local process dies, the task that it was running fails with a [*BrokenError]. A new process takes its place, and all
// other tasks go on. When a rank dies, the tasks that had been sent to it fail, a chunk or several tiny tasks; it is not
// replaced.
//
// No wait for a worker is endless: options bound the start, the initializer, the silence of a worker and its departure. Close
// waits until all queued tasks have run.
//
// # Where a task runs
//
// Worker tells a task, an initializer or a function of a state which worker it runs on: its number among all and among those of its
// host, by which it chooses a GPU, a core, a port or a scratch directory. Which worker runs an element is chance, and differs from run
// to run. What a result depends on, a random seed above all, belongs to the element: derive it from one seed and the element's index.
//
// # What a program sets
//
// Tasks find the flags, the environment and the working directory that the program has set before the executor started, whether in
// [Main]'s function or before it, on every backend:
//
//   - the flags of package flag that were set, by [flag.Parse] or [flag.Set]: a worker sets those that it knows, and flag.Parsed and flag.Args say the
//     same. A flag of a type of your own gets the values of the command line, one after another. Other libraries for flags have their
//     own variables: parse before [Main], on every worker, or send what tasks need in their arguments or by a [Global].
//   - the variables that were set or unset since [Main] began. Those that a launcher has given to each rank stay.
//   - the working directory, if it has changed since [Main] began. On other hosts it must exist.
//   - on Linux the umask, if it has changed since then.
//
// What is set later is not seen outside this process, not by workers that are started later either. Goroutines share the process: there
// everything is seen at once. Ranks of an MPI job have one setting at a time: while an executor is open, another one with the same ranks
// that would have a different setting returns an error when it starts. [WithEnv] and [WithDir] come after all that. The ranks of an
// [MPICommExecutor] run the program themselves, and are not set.
//
// Local processes share the machine. Unless GOMAXPROCS is set, each has the cores divided by the number of workers. A GOMEMLIMIT is for
// all: each has it divided by the number of workers and one, and the master keeps the whole for its own limit. What [WithEnv] says
// is not divided. Ranks have what their launcher gives them.
//
// # Testing
//
// Tests of a program that uses processes begin in futures.TestMain:
//
//	func TestMain(m *testing.M) { futures.TestMain(m) }
//
// A [ThreadPoolExecutor] may be used inside a bubble of testing/synctest, and outside before and after. Processes cannot: the
// clock of a bubble stands still while it waits for them.
//
// # Environment
//
// docs/environment.md has all variables. An executor reads when it starts, among others: RANKPOOL_BACKEND (auto, mpi,
// processes, threads), RANKPOOL_MAX_WORKERS, RANKPOOL_SLOTS (see [WithSlots]), RANKPOOL_USE_PKL5 (large slices beside the message: yes, the default, or no), RANKPOOL_PKL5_THRESHOLD (bytes; default
// 262144), RANKPOOL_BACKOFF (seconds or a duration), RANKPOOL_SERVICE (workers that were started apart, see [WithService]),
// RANKPOOL_PROC_SOCKET (1: local processes send large slices by their sockets and do not read each other's memory).
//
// Set for local processes before their program begins: RANKPOOL_WORKER_INDEX, RANKPOOL_WORKER_COUNT, RANKPOOL_WORKER_HOST_INDEX and
// RANKPOOL_WORKER_HOST_COUNT, which are the numbers of [WorkerInfo].
package futures
