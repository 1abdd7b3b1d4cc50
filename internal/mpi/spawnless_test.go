package mpi

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhereMPIExecMayOversubscribeASpawnIsTried(t *testing.T) {
	asked := func(file string) map[string]string {
		home := t.TempDir()
		if err := os.Mkdir(filepath.Join(home, ".openmpi"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, ".openmpi", "mca-params.conf"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		return map[string]string{"HOME": home}
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"nothing":                      {nil, false},
		"--oversubscribe":              {map[string]string{"OMPI_MCA_" + oversubscribe: "1"}, true},
		"another word for it":          {map[string]string{"OMPI_MCA_" + oversubscribe: "yes"}, true},
		"switched off":                 {map[string]string{"OMPI_MCA_" + oversubscribe: "false"}, false},
		"a modifier":                   {map[string]string{"OMPI_MCA_" + mappingPolicy: "slot:OVERSUBSCRIBE"}, true},
		"a modifier, cut short":        {map[string]string{"OMPI_MCA_" + mappingPolicy: "slot:oversub"}, true},
		"the second of two":            {map[string]string{"OMPI_MCA_" + mappingPolicy: "slot:PE=1,OVERSUBSCRIBE"}, true},
		"its opposite":                 {map[string]string{"OMPI_MCA_" + mappingPolicy: "slot:PE=1,NOOVERSUBSCRIBE"}, false},
		"in the user's file":           {asked("# of this site\nrmaps_base_oversubscribe = 1\n"), true},
		"a policy in the user's file":  {asked("rmaps_base_mapping_policy=core:OVERSUBSCRIBE"), true},
		"a comment in the user's file": {asked("# rmaps_base_oversubscribe = 1\n"), false},
	} {
		if got := environ(func(n string) (string, bool) { v, set := c.env[n]; return v, set }).oversubscribed(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
