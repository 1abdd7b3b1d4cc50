package launch

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/gobuild"
	"github.com/rankpool/rankpool/internal/owndir"
)

// folder is where one job's program is built and run from. It is opened once, and what is in it goes through its descriptor:
// other users who get another folder under its name are not followed there. Every process that needs it holds a shared lock of the file
// lock in it, which outlives exec and goes with the process: so whoever gets the lock alone knows that the job is over, and may
// remove the folder.
type folder struct {
	root *os.Root // the folder that it is in
	name string
	dir  *os.Root
	lock *lock

	handle *os.File // of dir, once something is executed by it
}

// lockName is the file in a folder that every process that needs the folder holds a lock of.
const lockName = "lock"

// programName is the file in a folder that is the program, and buildingName the same while it is not whole.
const buildingName = ".building"

func programName() string { return "program" + gobuild.Suffix() }

// errRemoved says that a folder went, or is about to, before it was entered.
var errRemoved = errors.New("it is being removed by another process")

// removeLimit is for how long a folder that is being removed is waited for.
const removeLimit = 10 * time.Second

// enter makes or enters a folder in root, and says that this process needs it.
func enter(root *os.Root, name string) (*folder, error) {
	for end := time.Now().Add(removeLimit); ; time.Sleep(pollFirst) {
		dir, err := owndir.Make(root, name)
		if err == nil {
			f := &folder{root: root, name: name, dir: dir}
			if f.lock, err = shareLock(dir); err == nil && f.current() {
				return f, nil
			}
			f.close()
		}
		switch {
		case err == nil || gone(err):
			err = errRemoved
		case !errors.Is(err, errRemoved):
			return nil, err
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%s: %w", filepath.Join(root.Name(), name), err)
		}
	}
}

// take takes a folder in root that nobody needs. When wait is true it blocks until that is so.
func take(root *os.Root, name string, wait bool) (*folder, error) {
	dir, err := owndir.Open(root, name)
	if err != nil {
		return nil, err
	}
	f := &folder{root: root, name: name, dir: dir}
	if f.lock, err = takeLock(dir, wait); err == nil && !f.current() {
		err = errRemoved // and a third may have made it anew
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// current tells whether this is still the folder of its name, and the lock the one in it.
func (f *folder) current() bool { return f.named() && f.lock.current(f.dir) }

// named tells whether this is the folder of its name.
func (f *folder) named() bool {
	there, err := f.root.Lstat(f.name)
	if err != nil {
		return false
	}
	here, err := f.dir.Stat(".")
	return err == nil && os.SameFile(here, there)
}

// path is what users may call the folder, or a file in it. Nothing is opened by it.
func (f *folder) path(names ...string) string {
	return filepath.Join(append([]string{f.root.Name(), f.name}, names...)...)
}

// ownFile is what the names of our files in a folder look like. Nothing else is removed, whatever it is.
var ownFile = regexp.MustCompile(`^(lock|program(\.exe)?|\.building|outcome|hello\.\d+|\.(outcome|hello\.\d+)\.[A-Z2-7]+)$`)

// clean removes what an earlier job has left, all but the lock.
func (f *folder) clean() error {
	here, err := f.dir.Open(".")
	if err != nil {
		return err
	}
	defer here.Close()
	names, err := here.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !ownFile.MatchString(name) || name == lockName {
			continue
		}
		if err := f.dir.Remove(name); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// remove removes the folder when nothing is in it but our files. The lock goes last: a process that finds it there makes no other.
func (f *folder) remove() error {
	if err := f.clean(); err != nil {
		return err
	}
	if err := f.dir.Remove(lockName); err != nil && !gone(err) {
		return err
	}
	if !f.named() { // it is somebody else's meanwhile
		return nil
	}
	return f.root.Remove(f.name) // which fails unless it is empty
}

// close gives the folder up.
func (f *folder) close() {
	if f.lock != nil {
		f.lock.release()
	}
	_ = f.dir.Close()
}

// adopt makes a file of another folder the program.
func (f *folder) adopt(from *os.Root, name string) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := f.dir.Remove(buildingName); err != nil && !gone(err) {
		return err
	}
	out, err := f.dir.OpenFile(buildingName, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return f.dir.Rename(buildingName, programName())
}

// soloName makes up the name of a folder for one process: the user's number is for those who wonder whose it is.
func soloName() string { return soloPrefix() + rand.Text() }

func soloPrefix() string { return fmt.Sprintf("rankpool-%d-", max(os.Getuid(), 0)) }

// oldEnough is when a folder without an owner is taken for one that was left, and not for one that is being made.
const oldEnough = time.Minute

// jobFolder is what the names of jobs' folders look like, see jobKey.
var jobFolder = regexp.MustCompile(`^job-[0-9a-f]{24}$`)

// sweep removes the folders that jobs which ended by force have left in root. It is best effort: what is not ours, cannot be
// locked or holds other files stays.
func sweep(root *os.Root) {
	here, err := root.Open(".")
	if err != nil {
		return
	}
	defer here.Close()
	names, _ := here.Readdirnames(-1)
	for _, name := range names {
		solo := strings.HasPrefix(name, soloPrefix()) && len(name) == len(soloName())
		if !solo && !jobFolder.MatchString(name) {
			continue
		}
		info, err := root.Lstat(name)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < oldEnough {
			continue
		}
		if f, err := take(root, name, false); err == nil {
			_ = f.remove()
			f.close()
		}
	}
}

// gone tells whether an error says that a file or folder is not there.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
