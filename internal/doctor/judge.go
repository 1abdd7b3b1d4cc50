package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/marked"
	"github.com/rankpool/rankpool/internal/mpi"
)

// judge turns the facts of a job that looked around into findings, and tells whether the job was what it should be. err and
// out are how it ended.
func (d *doctor) judge(facts []fact, out string, err error) bool {
	ended := false
	if len(facts) > 0 && facts[0].Error != "" {
		d.judgeStart(facts[0])
		return false // the rest would be about a world of one
	}
	for _, f := range facts {
		switch f.Kind {
		case aboutStart:
			d.judgeStart(f)
		case aboutUniverse:
			d.findings.add(universe(f))
		case aboutRanks:
			d.findings.add(binding(f.Ranks, d.family))
		case aboutSpeed:
			d.findings.add(speed(f))
		case aboutEnd:
			ended = true
		}
	}
	switch {
	case len(facts) == 0:
		d.findings.add(Finding{"start", Broken, "no MPI program starts here: " + marked.LastWords(out, err),
			"try `mpiexec -n 2 hostname`: if that fails too, it is the launcher; else the library (LD_LIBRARY_PATH, module list)", nil})
	case !ended:
		d.findings.add(Finding{"talking", Broken, "the ranks started, but did not finish what they had to tell each other: " + marked.LastWords(out, err),
			"a firewall between hosts and a wrong network interface are the usual causes; for Open MPI try --mca btl_tcp_if_include, for MPICH -iface", nil})
	}
	return ended
}

func (d *doctor) judgeStart(f fact) {
	if f.Library == "" {
		d.findings.add(Finding{"library", Broken, strings.TrimPrefix(f.Error, "mpi: "), "use the launcher and the library of one MPI, and look at RANKPOOL_MPI and LD_PRELOAD", nil})
		return
	}
	d.family = f.Family
	d.findings.add(Finding{"library", fine, f.Library + "\n" + f.Chosen, "", nil})
	pairing := Finding{"pairing", fine, fmt.Sprintf("launcher and library belong together: a world of %d", f.World), "", nil}
	if f.Error != "" {
		pairing.Status, pairing.Text = Broken, strings.TrimPrefix(f.Error, "mpi: ")
		pairing.Advice = "use the mpiexec that belongs to the library"
	}
	level := Finding{"threads", fine, f.Level, "", nil}
	if !f.Multiple {
		level.Status, level.Text = warning, f.Level+": calls into MPI are made one at a time"
		level.Advice = "use a build of the library with MPI_THREAD_MULTIPLE"
	}
	d.findings.add(pairing, level)
}

// universe judges how many processes there is room for.
func universe(f fact) Finding {
	const subject = "slots"
	switch {
	case f.Error != "":
		return Finding{subject, warning, f.Error, "", nil}
	case !f.Known:
		return Finding{subject, fine, "the launcher does not say how many processes there is room for", "", nil}
	}
	return Finding{subject, fine, fmt.Sprintf("room for %d processes (universe size)", f.Universe), "", map[string]float64{"slots": float64(f.Universe)}}
}

// binding judges how many cores each rank may use.
func binding(ranks []rankFact, family mpi.Family) Finding {
	const subject = "binding"
	byShape := map[string][]string{}
	for _, r := range ranks {
		shape := fmt.Sprintf("%d of %d cores, GOMAXPROCS %d", r.Allowed, r.Online, r.Procs)
		byShape[shape] = append(byShape[shape], fmt.Sprint(r.Rank))
	}
	var parts []string
	for _, shape := range slices.Sorted(maps.Keys(byShape)) {
		who := byShape[shape]
		parts = append(parts, fmt.Sprintf("%s on %d rank(s) (%s)", shape, len(who), strings.Join(who[:min(len(who), 8)], " ")))
	}
	f := Finding{subject, fine, strings.Join(parts, "; "), "", nil}
	for _, r := range ranks {
		if w := r.Warning(family); w != "" {
			f.Status = warning
			_, f.Advice, _ = strings.Cut(w, ": ")
		}
	}
	return f
}

// Bounds that say a network was not used as it should be: a message within one host takes a microsecond or so, one between
// hosts tens where TCP is used.
const (
	slowWithin  = 100 * time.Microsecond
	slowBetween = 500 * time.Microsecond
)

// speed judges a round trip and a bandwidth.
func speed(f fact) Finding {
	where, limit := "within "+f.From, slowWithin
	if !f.SameHost {
		where, limit = "between "+f.From+" and "+f.To, slowBetween
	}
	found := Finding{"speed", fine,
		fmt.Sprintf("%s: round trip %.1f us (64 bytes), %.2f GB/s (16 MiB)", where, float64(f.RoundTrip)/1e3, f.Bandwidth/1e9), "",
		map[string]float64{"round_trip_seconds": f.RoundTrip.Seconds(), "bytes_per_second": f.Bandwidth}}
	if f.RoundTrip > limit {
		found.Status = warning
		found.Advice = "more ranks than cores make ranks wait for each other; otherwise see which network MPI has chosen (Open MPI: " +
			"--mca pml_base_verbose 10, MPICH: MPIR_CVAR_DEBUG_SUMMARY=1)"
	}
	return found
}
