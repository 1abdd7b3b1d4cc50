//go:build !unix

package job

import "errors"

func redirectOutput(string, string, string) (release func(), err error) {
	return nil, errors.ErrUnsupported // there are no ranks here
}
