//go:build unix

package faults_test

import (
	"context"
)

var roles = map[string]func(context.Context) error{}
