//go:build unix

package proc_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/linktest"
	"github.com/rankpool/rankpool/internal/link/proc"
)

func runDoomedMaster() {}

var acts = map[string]func(link.Endpoint){}

func TestSuite(t *testing.T) {
	linktest.Run(t, func(t *testing.T) linktest.Harness {
		return linktest.Harness{
			Proof: true,
			New:   func(slots int) link.Group { return proc.New(proc.Config{Slots: slots, Args: []string{}}) },
		}
	})
}
