package launch

import (
	"os"
	"testing"

	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "reach" { // this program is the command
		if Reach(os.Args[3:]) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	testkit.Main(m)
}
