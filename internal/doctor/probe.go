package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/saturate"
)

// fact is what a probe prints.
type fact struct {
	Kind  string // one of the kinds below
	Error string

	Library  string
	Chosen   string
	Family   mpi.Family
	Level    string
	Multiple bool
	Host     string
	World    int
	Promised int // by the launcher
	Launcher string

	Known    bool // the universe size is
	Universe int

	Ranks []rankFact

	From, To   string // hosts
	RoundTrip  time.Duration
	Bandwidth  float64 // bytes a second
	SameHost   bool
	Spawned    int
	Rank       int
	Restored   int
	Port       string
	RoundTrips int
}

// rankFact is one rank's surroundings.
type rankFact struct {
	Rank int
	Host string
	mpi.Binding
}

// kinds of facts.
const (
	aboutStart    = "start"
	aboutUniverse = "universe"
	aboutRanks    = "ranks"
	aboutSpeed    = "speed"
	aboutSpawn    = "spawn"
	aboutLife     = "life" // this rank lives after another was killed
	aboutPort     = "port"
	aboutConnect  = "connect"
	aboutEnd      = "end"
)

// factMark begins the line of a fact. Launchers put words before it.
const factMark = "RANKPOOL-FACT "

func tell(f fact) {
	text, err := json.Marshal(f)
	if err != nil {
		text = fmt.Appendf(nil, `{"Kind":%q,"Error":%q}`, f.Kind, err.Error())
	}
	fmt.Printf("%s%s\n", factMark, text)
}

// Probe is the small MPI program that the doctor starts. It prints facts, one a line, as soon as it knows them, so that what hangs or
// crashes later does not take them along. It ends by itself at its limit, whatever hangs.
func Probe(what, port string, limit time.Duration) error {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT) // the doctor decides
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	time.AfterFunc(saturate.Add(limit, time.Second), func() { os.Exit(command.Failure) })
	env, err := mpi.Init(mpi.Options{AnyLauncher: true})
	if err != nil {
		tell(fact{Kind: aboutStart, Error: err.Error()})
		return err
	}
	world, err := mpi.World()
	if err != nil {
		return err
	}
	switch what {
	case "child":
		err = beChild(ctx)
	case "spawn":
		trySpawn(ctx, world)
	case "all":
		if err = look(ctx, env, world); err == nil && world.Size() >= env.Launcher.Size {
			trySpawn(ctx, world)
		}
	case "lose":
		return lose(ctx, world)
	case "accept", "connect":
		meetOther(ctx, world, port)
	default:
		err = look(ctx, env, world)
	}
	return errors.Join(err, mpi.Finalize(ctx))
}

// look is what every rank of a job does; rank 0 tells.
func look(ctx context.Context, env *mpi.Environment, world *mpi.Comm) error {
	first := world.Rank() == 0
	if first {
		f := fact{
			Kind: aboutStart, Library: env.Library, Chosen: env.Chosen, Family: env.Family, Level: env.Level.String(), Multiple: env.Level == mpi.Multiple,
			Host: env.Host, World: world.Size(), Promised: env.Launcher.Size, Launcher: env.Launcher.Name, Restored: len(env.Restored),
		}
		if err := mpi.CheckLauncher(os.LookupEnv, env.Family, world.Size()); err != nil {
			f.Error = err.Error()
		}
		tell(f)
		n, known, err := mpi.UniverseSize()
		tell(fact{Kind: aboutUniverse, Known: known, Universe: n, World: world.Size(), Error: words(err)})
	}
	mine, err := json.Marshal(rankFact{Rank: world.Rank(), Host: env.Host, Binding: mpi.FindBinding()})
	if err != nil {
		return err
	}
	all, err := mpi.GatherBytes(world, mine, 0)
	if err != nil {
		return err
	}
	hosts := make([]rankFact, len(all))
	for i, text := range all {
		if err := json.Unmarshal(text, &hosts[i]); err != nil {
			return err
		}
	}
	if first {
		tell(fact{Kind: aboutRanks, Ranks: hosts})
	}
	// The first other rank, and the first on another host: what a master talks to.
	partners := make([]int32, 2)
	for _, h := range hosts {
		switch {
		case h.Rank == 0:
		case partners[0] == 0:
			partners[0] = int32(h.Rank)
		case partners[1] == 0 && h.Host != hosts[0].Host && hosts[partners[0]].Host == hosts[0].Host:
			partners[1] = int32(h.Rank)
		}
	}
	if err := mpi.Bcast(world, partners, 0); err != nil {
		return err
	}
	for _, p := range partners {
		if p == 0 {
			continue
		}
		f, err := measure(ctx, world, int(p))
		if err != nil {
			return err
		}
		if first {
			f.From, f.To = hosts[0].Host, hosts[p].Host
			f.SameHost = f.From == f.To
			tell(f)
		}
	}
	if err := world.Barrier(); err != nil {
		return err
	}
	if first {
		tell(fact{Kind: aboutEnd})
	}
	return nil
}

// What measure sends.
const (
	shortRounds  = 2000
	shortBytes   = 64
	longRounds   = 8
	longBytes    = 16 << 20
	measureTag   = 7
	loseTag      = 8
	measureLimit = 2 * time.Second // for the short ones; a slow network is measured by fewer
)

// measure sends messages between rank 0 and another, first short ones there and back, then long ones there.
func measure(ctx context.Context, world *mpi.Comm, other int) (fact, error) {
	f := fact{Kind: aboutSpeed}
	if world.Rank() != 0 && world.Rank() != other {
		return f, nil
	}
	partner := other - world.Rank()
	short, long := make([]byte, shortBytes), make([]byte, longBytes)
	for i := range long { // touched before, as the pages of a program's own data are
		long[i] = byte(i)
	}
	exchange := func(buf []byte) error {
		if world.Rank() == 0 {
			if err := world.Send(ctx, buf, partner, measureTag); err != nil {
				return err
			}
			_, err := world.Recv(ctx, buf[:min(len(buf), shortBytes)], partner, measureTag)
			return err
		}
		if _, err := world.Recv(ctx, buf, partner, measureTag); err != nil {
			return err
		}
		return world.Send(ctx, buf[:min(len(buf), shortBytes)], partner, measureTag)
	}
	// The first byte says whether there is another round, which rank 0 decides.
	rounds := func(buf []byte, n int) (took time.Duration, done int, err error) {
		if err := exchange(buf); err != nil { // connections are made by the first message
			return 0, 0, err
		}
		begin := time.Now()
		for buf[0] = 1; buf[0] == 1; done++ {
			if world.Rank() == 0 && (done+1 >= n || time.Since(begin) > measureLimit) {
				buf[0] = 0
			}
			if err := exchange(buf); err != nil {
				return 0, 0, err
			}
		}
		return time.Since(begin), done, nil
	}
	took, done, err := rounds(short, shortRounds)
	if err != nil {
		return f, err
	}
	f.RoundTrip, f.RoundTrips = took/time.Duration(done), done
	took, done, err = rounds(long, longRounds)
	if err != nil {
		return f, err
	}
	f.Bandwidth = float64(longBytes) * float64(done) / took.Seconds()
	return f, nil
}

// trySpawn spawns one process that runs beChild. Every rank of world calls it; rank 0 tells.
func trySpawn(ctx context.Context, world *mpi.Comm) {
	first := world.Rank() == 0
	spawned, err := func() (int, error) {
		// Open MPI's mpiexec may end a job of several ranks whose spawn it has no room for.
		n, known, err := mpi.UniverseSize()
		if err != nil || known && n <= world.Size() {
			return 0, errors.Join(err, fmt.Errorf("the launcher has room for %d processes, and all are in use", n))
		}
		self, err := os.Executable()
		if err != nil {
			return 0, err
		}
		child, err := world.Spawn(mpi.SpawnRequest{Command: self, Args: []string{"doctor-probe", "child"}, N: 1})
		if err != nil {
			return 0, err
		}
		if first {
			if _, err := child.Recv(ctx, make([]byte, 1), 0, measureTag); err != nil {
				return 0, err
			}
		}
		return child.RemoteSize(), child.Disconnect()
	}()
	if refused := (*mpi.Error)(nil); errors.As(err, &refused) { // the doctor has advice of its own
		plain := *refused
		plain.Hint = ""
		err = &plain
	}
	if first {
		tell(fact{Kind: aboutSpawn, Spawned: spawned, Error: words(err)})
	}
}

// beChild is a spawned process: it greets its parent and leaves.
func beChild(ctx context.Context) error {
	parent, err := mpi.Parent()
	if err != nil {
		return err
	}
	if parent == nil {
		return errors.New("this process was not spawned")
	}
	if err := parent.Send(ctx, []byte{1}, 0, measureTag); err != nil {
		return err
	}
	return parent.Disconnect()
}

// afterLoss is how long the others must live to count, lifeBeats how often they say so meanwhile.
const (
	afterLoss = 1500 * time.Millisecond
	lifeBeats = 5
)

// lose kills rank 1; the others say whether they live on. They never call Finalize, which would hang or kill them. It dies with
// a large message to rank 0 under way, as a worker does whose result is being fetched: there is a transport (UCX's cma) that
// ends its own process when it cannot read the memory of the other one.
func lose(ctx context.Context, world *mpi.Comm) error {
	if world.Rank() == 1 {
		for other := range world.Size() {
			if other == 1 {
				continue
			}
			if _, err := world.Recv(ctx, make([]byte, 1), other, measureTag); err != nil {
				return err
			}
		}
		if _, err := world.Isend(make([]byte, longBytes), 0, loseTag); err != nil {
			return err
		}
		// It comes after what says that there is a large one.
		if err := world.Send(ctx, fmt.Appendf(nil, "%8d", os.Getpid()), 0, measureTag); err != nil {
			return err
		}
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		return self.Kill()
	}
	if err := world.Send(ctx, []byte{1}, 1, measureTag); err != nil {
		return err
	}
	if world.Rank() == 0 {
		if err := fetchFromTheDead(ctx, world); err != nil {
			return err
		}
	}
	// Launchers look after their ranks when one of these has something to say.
	for range lifeBeats {
		time.Sleep(afterLoss / lifeBeats)
		fmt.Println("rank", world.Rank(), "lives")
	}
	tell(fact{Kind: aboutLife, Rank: world.Rank()})
	time.Sleep(afterLoss) // until the doctor has read that
	os.Exit(0)
	return nil
}

// fetchFromTheDead waits until rank 1 has ended, and then receives its large message, or tries to.
func fetchFromTheDead(ctx context.Context, world *mpi.Comm) error {
	pid := make([]byte, 8)
	if _, err := world.Recv(ctx, pid, 1, measureTag); err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		return err
	}
	dead, err := os.FindProcess(n)
	for begin := time.Now(); err == nil && time.Since(begin) < afterLoss; time.Sleep(10 * time.Millisecond) {
		err = dead.Signal(syscall.Signal(0))
	}
	r, err := world.Irecv(make([]byte, longBytes), 1, loseTag)
	if err != nil {
		return nil // the library has noticed, and lives
	}
	for begin := time.Now(); time.Since(begin) < afterLoss/lifeBeats; time.Sleep(time.Millisecond) {
		if _, over, _ := r.Test(); over {
			break
		}
	}
	return nil
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
