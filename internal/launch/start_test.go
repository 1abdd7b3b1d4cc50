package launch

import (
	"strings"
	"testing"
)

func TestTheVariablesOfTheCommandDoNotReachItsPrograms(t *testing.T) {
	t.Setenv("RANKPOOL_RUN_DIR", "/x")
	t.Setenv("RANKPOOL_BACKEND", "threads")
	env := strings.Join(childEnv(), "\n")
	if strings.Contains(env, "RANKPOOL_RUN_DIR") || !strings.Contains(env, "RANKPOOL_BACKEND=threads") {
		t.Error(env)
	}
}
