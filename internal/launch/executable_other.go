//go:build unix && !linux

package launch

// executable is a path by which the system executes the program. Nobody else can change the folders on it, see owndir.
func (f *folder) executable() (string, error) { return f.path(programName()), nil }
