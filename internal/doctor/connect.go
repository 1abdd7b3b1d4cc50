package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/marked"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/owndir"
)

// Limits of trying to connect: in all, and for the name server to come up.
const (
	connectLimit = 10 * time.Second
	namesLimit   = 3 * time.Second
)

const connectSubject = "connecting"

// together is the advice where programs that were started apart cannot connect.
const together = "start master and workers together, with `mpiexec -n N`: that needs no connecting"

// connecting has two jobs that were started apart connect.
func (d *doctor) connecting(ctx context.Context, l findmpi.Launcher) {
	defer d.findings.during("connecting two jobs")()
	ctx, cancel := context.WithTimeout(ctx, d.limit(connectLimit))
	defer cancel()
	var options []string
	if l.Family == mpi.OpenMPI {
		names := namesBy(isPRRTE(l))
		server, err := names.find(l)
		if err != nil {
			d.findings.add(Finding{connectSubject, warning, fmt.Sprintf("there is no %s on the path, which programs that were started apart need to "+
				"find each other with this version of Open MPI", names.program), together, nil})
			return
		}
		uri, stop, err := names.start(ctx, server, d.limit(namesLimit))
		defer stop()
		if err != nil {
			d.findings.add(Finding{connectSubject, warning, fmt.Sprintf("the name server %s does not start: %v", server, err), together, nil})
			return
		}
		options = names.options(uri)
	}
	begin := time.Now()
	text, err := connectJobs(ctx, l, d.limit(connectLimit), options)
	if err != nil {
		d.findings.add(Finding{connectSubject, warning, "does not work: " + strings.TrimPrefix(err.Error(), "mpi: "), together, nil})
		return
	}
	took := time.Since(begin)
	d.findings.add(Finding{connectSubject, fine, text, "", map[string]float64{"seconds": took.Seconds()}})
}

// nameServer is the program by which jobs of an Open MPI that were started apart connect.
type nameServer struct {
	program string
	report  []string                  // its arguments, before the file in which it says where it is
	options func(uri string) []string // of mpiexec
}

// namesBy is that of version 4, and of version 5 and later.
func namesBy(prrte bool) nameServer {
	if prrte {
		return nameServer{"prte", []string{"--report-uri"}, func(uri string) []string { return []string{"--dvm", "uri:file:" + uri} }}
	}
	return nameServer{"ompi-server", []string{"--no-daemonize", "-r"}, func(uri string) []string { return []string{"--ompi-server", "file:" + uri} }}
}

// find returns the one beside a launcher, or on the path.
func (n nameServer) find(l findmpi.Launcher) (string, error) {
	if path, err := exec.LookPath(filepath.Join(filepath.Dir(l.Path), n.program)); err == nil {
		return path, nil
	}
	return exec.LookPath(n.program)
}

// start starts it and returns the file in which it says where it is, which may take until the limit. stop ends it.
func (n nameServer) start(ctx context.Context, path string, limit time.Duration) (uri string, stop func(), err error) {
	dir, remove, err := owndir.Scratch("", "rankpool-names-")
	if err != nil {
		return "", func() {}, err
	}
	uri = filepath.Join(dir.Name(), "uri")
	ctx, cancel := context.WithCancel(ctx)
	var last string
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out, err := marked.Run(ctx, findmpi.AsRoot(nil), path, append(slices.Clone(n.report), uri), nil)
		last = marked.LastWords(out, err)
	}()
	stop = func() {
		cancel()
		<-ended
		remove()
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for over := time.After(limit); ; {
		text, err := os.ReadFile(uri)
		if err == nil && strings.HasSuffix(string(text), "\n") {
			return uri, stop, nil
		}
		select {
		case <-ended:
			return "", stop, errors.New(last)
		case <-over:
			return "", stop, fmt.Errorf("it does not say where it is within %v", limit)
		case <-look.C:
		}
	}
}

// connectJobs starts a job that opens a port, and one that connects to it.
func connectJobs(ctx context.Context, l findmpi.Launcher, limit time.Duration, options []string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	job := func(enough func([]fact) bool, probe ...string) ([]fact, error) {
		args := append(append([]string{}, options...), "-n", "1", self, "doctor-probe", "--limit", limit.String())
		facts, out, err := probed(ctx, limit, l.Path, append(args, probe...), enough)
		if len(facts) == 0 && err == nil || err != nil && !told(facts) {
			err = errors.New(marked.LastWords(out, err))
		}
		return facts, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	port := make(chan fact, 1)
	var refused error
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		facts, err := job(func(all []fact) bool {
			last := all[len(all)-1]
			if last.Kind == aboutPort {
				select {
				case port <- last:
				default: // a launcher that prints a line twice: one is enough
				}
			}
			return last.Kind == aboutPort && last.Error != "" // else both jobs need each other until they end
		}, "accept")
		if err == nil {
			err = connectError(facts)
		}
		refused = err
	}()
	select {
	case p := <-port:
		if p.Error != "" {
			cancel()
			<-accepted
			return "", errors.New(p.Error)
		}
		facts, err := job(nil, "--port", p.Port, "connect")
		if err == nil {
			err = connectError(facts)
		}
		if err != nil {
			cancel()
		}
		if <-accepted; err == nil {
			err = refused
		}
		return "works, by way of a name server (rankpool serve)", err
	case <-accepted:
		if refused == nil {
			refused = errors.New("the job that was to open a port ended without a word")
		}
		return "", refused
	}
}

// told tells whether a job has come to its point, whatever its end.
func told(facts []fact) bool {
	for _, f := range facts {
		if f.Kind == aboutConnect || f.Kind == aboutPort && f.Error != "" {
			return true
		}
	}
	return false
}

// connectError is what the probe says about connecting.
func connectError(facts []fact) error {
	for _, f := range facts {
		if f.Kind == aboutConnect && f.Error == "" {
			return nil
		}
		if f.Error != "" {
			return errors.New(f.Error)
		}
	}
	return errors.New("it ended without a word")
}

// connectingInJob says whether programs that were started apart could connect to this job, as far as that can be told from inside.
func connectingInJob(family mpi.Family, lookup func(string) (string, bool)) Finding {
	if family != mpi.OpenMPI {
		return Finding{connectSubject, warning, "not tried inside a job; MPICH 4.0 with UCX cannot open a port", together, nil}
	}
	if err := mpi.CheckApart(lookup); err != nil {
		return Finding{connectSubject, warning, strings.TrimPrefix(err.Error(), "mpi: "), together, nil}
	}
	m, _ := mpi.FindMeeting(lookup)
	names, err := mpi.FindNameServer(lookup)
	switch {
	case err != nil:
		return Finding{connectSubject, warning, strings.TrimPrefix(err.Error(), "mpi: "), together, nil}
	case names.URI == "":
		return Finding{connectSubject, warning, "not tried inside a job; this one was started without a name server",
			fmt.Sprintf("to connect programs that were started apart, start each with `mpiexec %s` (see rankpool serve --help)", m.Option), nil}
	}
	return Finding{connectSubject, fine, "not tried inside a job; this one has the name server " + names.URI, "", nil}
}

// meetOther opens a port and accepts, or connects to one.
func meetOther(ctx context.Context, world *mpi.Comm, port string) {
	var comm *mpi.Comm
	var err error
	if port == "" {
		port, err = mpi.OpenPort()
		tell(fact{Kind: aboutPort, Port: port, Error: words(err)})
		if err != nil {
			return
		}
		comm, err = world.Accept(port)
	} else {
		comm, err = world.Connect(port, nil)
	}
	if err == nil {
		err = comm.Send(ctx, []byte{1}, 0, measureTag)
	}
	if err == nil {
		_, err = comm.Recv(ctx, make([]byte, 1), 0, measureTag)
	}
	if err == nil {
		err = comm.Disconnect()
	}
	tell(fact{Kind: aboutConnect, Error: words(err)})
}
