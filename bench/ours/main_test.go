package ours

import (
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestMain(m *testing.M) { futures.TestMain(m) }
