package remote

import "github.com/rankpool/rankpool/internal/pkl5"

// The errors that users see are declared above the packages that make them, so that their documentation shows the fields. Each has
// a twin below, with the same fields and the methods.
var (
	outwards = func(err error) error { return err }
	inward   = func(err error) error { return err }
)

// Declare says how errors of the packages below become those that users see, and back. Each function returns what it does not
// know as it is. It is called before any error is made: in an init function.
func Declare(outwardOf, inwardOf func(error) error) { outwards, inward = outwardOf, inwardOf }

// Outward returns err as users see it.
func Outward(err error) error { return outwards(err) }

func init() { pkl5.CarryErrors(appendInside, decodeInside) }
