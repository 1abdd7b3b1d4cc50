package loopback_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/linktest"
	"github.com/rankpool/rankpool/internal/link/loopback"
)

func TestSuite(t *testing.T) {
	linktest.Run(t, func(*testing.T) linktest.Harness {
		return linktest.Harness{
			Proof: true,
			New: func(slots int) link.Group {
				return loopback.New(loopback.Config{Slots: slots, Serve: linktest.Worker})
			},
		}
	})
}
