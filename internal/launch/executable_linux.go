package launch

import (
	"fmt"
	"os"
)

// executable is a path by which the system executes the program of this very folder, whatever has become of the folder's name. It
// is good for this process and those that it forks. The process that comes of it has the file's own path in /proc/self/exe.
func (f *folder) executable() (string, error) {
	want, err := f.dir.Lstat(programName())
	if err != nil {
		return "", err
	}
	if f.handle == nil {
		if f.handle, err = f.dir.Open("."); err != nil {
			return "", err
		}
	}
	path := fmt.Sprintf("/proc/self/fd/%d/%s", f.handle.Fd(), programName())
	if there, err := os.Lstat(path); err != nil || !os.SameFile(there, want) {
		return f.path(programName()), nil // without /proc; nobody else can change the path's folders, see owndir
	}
	return path, nil
}
