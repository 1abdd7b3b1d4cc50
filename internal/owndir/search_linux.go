package owndir

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// searchable opens a folder to go through it, which needs no permission to read it.
const searchable = unix.O_PATH

// privateGroup tells whether nobody but this user is in a group, as on systems that give each user a group of the same name and let
// users' folders be written to by it. Groups that are not in this host's own files are not private.
func (w *walk) privateGroup(gid uint32) bool {
	// With an access list the bits of the group are not about the group.
	if _, err := unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", w.fd), "system.posix_acl_access", nil); !errors.Is(err, unix.ENODATA) &&
		!errors.Is(err, unix.ENOTSUP) {
		return false
	}
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return false
	}
	groups, err := os.ReadFile("/etc/group")
	return err == nil && onlyMember(os.Geteuid(), gid, string(users), string(groups))
}

// onlyMember tells from the texts of /etc/passwd and /etc/group whether a user is the one member of a group.
func onlyMember(uid int, gid uint32, users, groups string) bool {
	name, number := "", strconv.Itoa(int(gid))
	for line := range strings.Lines(users) {
		f := strings.Split(strings.TrimSpace(line), ":")
		switch {
		case len(f) < 4 || f[3] != number:
		case f[2] != strconv.Itoa(uid):
			return false
		default:
			name = f[0]
		}
	}
	found := false
	for line := range strings.Lines(groups) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || f[2] != number {
			continue
		}
		for member := range strings.SplitSeq(f[3], ",") {
			if member != "" && member != name {
				return false
			}
		}
		found = true
	}
	return found && name != ""
}
