package job

import (
	"fmt"
	"os"

	"github.com/rankpool/rankpool/internal/logs"
)

// printWarning tells the user something, on standard error.
func printWarning(who, text string) {
	fmt.Fprintf(logs.Survivor(os.Stderr), "rankpool: warning: %s%s\n", who, text)
}
