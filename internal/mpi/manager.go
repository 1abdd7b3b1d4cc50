package mpi

import (
	"encoding/binary"
	"math"
	"os"
)

// manager is a launcher that numbers its processes by a variable of its own.
type manager struct {
	name, rank string
	size       string                                        // the variable that says how many there are
	count      func(e environ, size string) (n int, ok bool) // reads it
	pmi        bool                                          // it may set PMI's variables as well
}

// managers are those that are known. Flux sets the variables of PALS too where it starts programs with Cray's library, so it comes first.
var managers = []manager{
	{"Flux", "FLUX_TASK_RANK", "FLUX_JOB_SIZE", environ.number, true},
	{"PALS", "PALS_RANKID", "PALS_APINFO", environ.countOfPALS, true},
	{"MVAPICH's mpirun_rsh", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", environ.number, false},
	{"jsrun", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", environ.number, false},
}

// manager is the name of a launcher that sets PMI's variables and starts programs of every family: it numbers processes by a variable of its
// own as well. An mpiexec that was started in one of these processes leaves that variable as it is.
func (e environ) manager() string {
	for _, m := range managers {
		if rank := e.text(m.rank); m.pmi && rank != "" && rank == e.text("PMI_RANK") && !e.hydra() {
			return m.name
		}
	}
	return ""
}

// counted is a launcher that tells by means of its own which process this is and of how many, as it must where it offers PMIx only.
func (e environ) counted() (Launcher, bool) {
	for _, m := range managers {
		rank, ok := e.number(m.rank)
		if !ok {
			continue
		}
		if size, ok := m.count(e, m.size); ok && rank < size {
			return Launcher{Name: m.name, Variable: m.size, Size: size, Rank: rank}, true
		}
	}
	return Launcher{Rank: -1}, false
}

// countOfPALS reads the file that a variable names, which PALS writes on each host for its own library. On Cray EX srun sets its variables too.
func (e environ) countOfPALS(variable string) (n int, ok bool) {
	if ofJob(e.text("PALS_APID"), e.text("SLURM_JOB_ID")) {
		return 0, false
	}
	return palsCount(e.text(variable))
}

// palsCount reads how many processes PALS has started. Its file begins with a header in the memory layout of C, the same in all versions: a
// number of the version, and then the place, size and count of each table, of which the fourth is that of the processes.
func palsCount(path string) (n int, known bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var header struct {
		Version int32
		_       int32
		Size    uint64
		Tables  [3]struct { // connections, commands, processes
			Each, At uint64
			Count    int32
			_        int32
		}
	}
	if binary.Read(f, binary.NativeEndian, &header) != nil {
		return 0, false
	}
	all, p := uint64(info.Size()), header.Tables[2]
	fits := p.Count > 0 && p.Each > 0 && p.Each < math.MaxUint32 && p.At < all && uint64(p.Count)*p.Each <= all-p.At
	return int(p.Count), header.Version > 0 && fits
}
