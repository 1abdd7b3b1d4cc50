//go:build !linux

package resultlog

// ownPlace is unknown: claims go by their lease alone.
func ownPlace() place { return place{} }

func (place) look(int, place) verdict { return nobodyKnows }
