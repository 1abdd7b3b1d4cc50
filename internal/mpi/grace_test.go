package mpi_test

import (
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestHowLongALauncherWaitsBeforeItKillsIsToldFromTheEnvironment(t *testing.T) {
	orte := []string{"OMPI_COMM_WORLD_SIZE=4", "OMPI_MCA_orte_hnp_uri=602734592.0;tcp://192.0.2.2:40919"}
	const raised = "OMPI_MCA_odls_base_sigkill_timeout="
	for name, c := range map[string]struct {
		env  []string
		want mpi.Ending
	}{
		"none":                     {nil, mpi.Ending{}},
		"none, but a variable":     {[]string{raised + "60"}, mpi.Ending{}},
		"open mpi 4":               {orte, mpi.Ending{Kills: time.Second, After: time.Second, Sure: true}},
		"open mpi 4, raised":       {append([]string{raised + "60"}, orte...), mpi.Ending{Kills: time.Minute, After: time.Minute, Sure: true}},
		"open mpi 4, at once":      {append([]string{raised + "0"}, orte...), mpi.Ending{Kills: time.Millisecond, After: time.Millisecond, Sure: true}},
		"open mpi 4, not a number": {append([]string{raised + "long"}, orte...), mpi.Ending{Kills: time.Second, After: time.Second, Sure: true}},
		"open mpi 4, an age":       {append([]string{raised + "99999999999999999999"}, orte...), mpi.Ending{Kills: time.Second, After: time.Second, Sure: true}},
		"open mpi 5":               {[]string{"OMPI_COMM_WORLD_SIZE=4", raised + "60"}, mpi.Ending{Kills: 200 * time.Millisecond, After: 250 * time.Millisecond, Sure: true}},
		"open mpi 5, as it says":   {[]string{"OMPI_COMM_WORLD_SIZE=4", "OMPI_VERSION=5.0.7"}, mpi.Ending{Kills: 200 * time.Millisecond, After: 250 * time.Millisecond, Sure: true}},
		"open mpi 6":               {[]string{"OMPI_COMM_WORLD_SIZE=4", "OMPI_VERSION=6.0.0rc2"}, mpi.Ending{AtOnce: true, Sure: true}},
		"open mpi 6, left behind":  {append([]string{"OMPI_VERSION=6.0.0rc2"}, orte...), mpi.Ending{Kills: time.Second, After: time.Second, Sure: true}},
		"open mpi 10":              {[]string{"OMPI_COMM_WORLD_SIZE=4", "OMPI_VERSION=10.0.1"}, mpi.Ending{AtOnce: true, Sure: true}},
		"mpich":                    {[]string{"PMI_SIZE=3", "PMI_RANK=0"}, mpi.Ending{}},
		"one not known":            {[]string{"PMIX_RANK=0"}, mpi.Ending{}},
		"srun":                     {pmi2Step, mpi.Ending{Kills: 30 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mpi.FindEnding(testkit.Lookup(c.env...)); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}
