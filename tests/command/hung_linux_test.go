package command_test

import (
	"encoding/binary"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// hung mounts a file system whose server answers nothing, as that of a server which has gone. asked gets a value when somebody has
// asked it for something, and so waits.
func hung(t *testing.T) (where string, asked <-chan struct{}) {
	t.Helper()
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs FUSE: %v", err)
	}
	where = t.TempDir()
	if err := unix.Mount("hung", where, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fd)); err != nil {
		_ = unix.Close(fd)
		t.Skipf("needs the right to mount: %v", err)
	}
	waits := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for request := make([]byte, 1<<20); ; {
			n, err := unix.Read(fd, request)
			if err != nil || n < 16 {
				return
			}
			if binary.NativeEndian.Uint32(request[4:]) == 26 { // FUSE_INIT: the kernel asks for nothing else before
				answer := make([]byte, 16+64)
				binary.NativeEndian.PutUint32(answer, uint32(len(answer)))
				copy(answer[8:16], request[8:16]) // which request
				binary.NativeEndian.PutUint32(answer[16:], 7)
				binary.NativeEndian.PutUint32(answer[20:], 31)
				binary.NativeEndian.PutUint32(answer[36:], 4096) // max_write
				_, _ = unix.Write(fd, answer)
				continue
			}
			select {
			case waits <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		_ = unix.Unmount(where, unix.MNT_FORCE|unix.MNT_DETACH) // whoever waits is told that it has gone
		<-ended
		_ = unix.Close(fd)
	})
	return where, waits
}

func TestASignalEndsACommandThatAHungFileSystemHolds(t *testing.T) {
	for name, c := range map[string]func(where string) call{
		"the folder": func(where string) call {
			return call{folder: filepath.Join(where, "run"), args: []string{"run", greet}}
		},
		"the program": func(where string) call { return start("exec", filepath.Join(where, "x.go")) },
		"the working directory of a job": func(where string) call {
			c := call{folder: where, args: []string{"exec", greet}}
			c.env = []string{"OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_LOCAL_RANK=0", "PMIX_NAMESPACE=1"}
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, tt := range []struct {
				signal syscall.Signal
				status int
			}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}} {
				where, asked := hung(t)
				c := c(where)
				c.started = func(cmd *exec.Cmd, _ *output) {
					<-asked
					_ = cmd.Process.Signal(tt.signal)
				}
				c.run(t).expect(t, tt.status, "ended by signal")
			}
			where, _ := hung(t)
			waits := c(where)
			waits.env = append(waits.env, "RANKPOOL_RUN_WAIT=5s") // looking at any other folder takes less
			waits.run(t).expect(t, 1, where, "has not ended within 5s", "hang", "--dir", "--wait")
		})
	}
}
