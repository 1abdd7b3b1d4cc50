//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"errors"
	"strconv"

	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/profile"
)

// Warn tells the user something once, however many ranks have it to say too.
func Warn(text string) {
	if here.firstTime(text) {
		printWarning("", text)
	}
}

// profileRank begins to profile this process, a rank that serves. Why that cannot be is one of the notes for its master.
func profileRank(rank int, o *mpilink.Options) *profile.Session {
	s, err := profile.Start("worker-rank"+strconv.Itoa(rank), true)
	if err != nil && !errors.Is(err, profile.ErrTaken) {
		o.Notes = append(o.Notes, err.Error())
	}
	return s
}

// endProfile writes the profiles of a rank.
func endProfile(s *profile.Session, rank int) {
	if err := s.End(); err != nil {
		printWarning("rank "+strconv.Itoa(rank)+": ", err.Error())
	}
}
