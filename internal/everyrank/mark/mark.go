// Package mark is imported by package spmd alone, and says that it was.
//
// It does so before any package of the user's is initialised that can ask: of the packages whose imports are initialised the first by
// its path is next, as the language has it since Go 1.21, and this one imports nothing but what internal/life imports too, and is before
// that, which package futures needs. Package spmd itself would be too late for packages that come before it.
package mark

import "github.com/rankpool/rankpool/internal/everyrank"

func init() { everyrank.Link() }
