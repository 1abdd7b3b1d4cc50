// Package proc is a group whose workers are child processes on this machine, running this program.
//
// A child shares two things with its master: a Unix stream socket, over which frames travel, and memory with its journal,
// which outlives it, and with a ring each way. Short frames go by the ring while the receiver is awake, which takes no
// system call; everything else goes by the socket, which wakes a receiver that sleeps. No child outlives its master, however the master ends: a worker that receives sees the
// end of the socket, and on Linux the kernel kills the rest, stopped and stuck ones included. There what a child has started
// ends with it as well: see lineage_linux.go and guardian_linux.go.
//
// It needs a Unix system and no cgo.
package proc

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/rankpool/rankpool/internal/link"
)

// variable tells a process that it is a worker, and where its descriptors are.
const variable = "RANKPOOL_WORKER"

// NumberVariables tell a worker's program the worker's number, how many there are, and the same two among those of its host, which
// all of a group are. Programs that tasks start inherit them.
var NumberVariables = [...]string{
	"RANKPOOL_WORKER_INDEX", "RANKPOOL_WORKER_COUNT", "RANKPOOL_WORKER_HOST_INDEX", "RANKPOOL_WORKER_HOST_COUNT",
}

// socketVariable makes a group copy everything through its sockets, with any value but 0, as it does by itself where one
// process may not read the other: for comparison, and where reading is seen as an attack.
const socketVariable = "RANKPOOL_PROC_SOCKET"

// ownExecutable is the running program's file on Linux, whatever was built to its path meanwhile.
const ownExecutable = "/proc/self/exe"

// Config describes a group of child processes.
type Config struct {
	// Slots is how many processes there can be, at least one.
	Slots int

	// Journals is how many journals each process has; 0 means one.
	Journals int

	// Executable is the program to start. Empty means the running program itself: on Linux the very file that is
	// running, whatever was built to its path meanwhile.
	Executable string

	// Args are the arguments without the program's name; nil means those of this process.
	Args []string

	// Environ is the environment that the children share; nil means that of this process when the group is opened. The limits of
	// the Go runtime in it are divided: see share. Env is added to it as it is; the last of two equal names counts.
	Environ, Env []string

	// Dir is the working directory of the children; empty means that of this process when they start.
	Dir string

	// Stdout and Stderr are what the children write to; nil means those of this process. Their standard input is empty.
	Stdout, Stderr *os.File

	// Prefix, unless it is nil, is put before each line that a worker prints. File, unless it is nil, names the file that all it
	// prints is appended to instead. Both are given the worker's slot.
	Prefix, File func(slot int) string

	// OutputGone is called when a child was ended by SIGPIPE and nobody reads Stdout, or Stderr, any more. It is given that
	// one of them, and may end this program. Nil: nothing is done about it.
	OutputGone func(*os.File)

	// Inherit is memory of package hostmem, sealed, that each child gets as what its Endpoint inherits; nil: there is none. The group
	// closes it when its last child has ended.
	Inherit *os.File

	// Logger hears about starts and ends at debug level; nil means nobody does.
	Logger *slog.Logger
}

// New returns a group that has started nothing yet.
func New(cfg Config) *Group {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Journals = max(cfg.Journals, 1)
	if cfg.Args == nil && len(os.Args) > 0 {
		cfg.Args = os.Args[1:]
	}
	if cfg.Stdout == nil {
		cfg.Stdout = os.Stdout
	}
	if cfg.Stderr == nil {
		cfg.Stderr = os.Stderr
	}
	return newGroup(cfg)
}

// Traits describes the group.
func (g *Group) Traits() link.Traits {
	return link.Traits{Kind: "processes", Replaces: true, Kills: true}
}

// executable returns what to start and what to call it.
func (c *Config) executable() (path, name string, err error) {
	if c.Executable != "" {
		return c.Executable, c.Executable, nil
	}
	path = ownExecutable
	if _, missing := os.Lstat(path); runtime.GOOS != "linux" || missing != nil {
		if path, err = os.Executable(); err != nil {
			return "", "", fmt.Errorf("this program's own file cannot be found (is /proc mounted? WithExecutable names it): %w", err)
		}
	}
	name = filepath.Base(path)
	if len(os.Args) > 0 {
		name = os.Args[0]
	}
	return path, name, nil
}
