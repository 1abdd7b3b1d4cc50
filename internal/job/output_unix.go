//go:build unix

package job

import "github.com/rankpool/rankpool/internal/lines"

func redirectOutput(what, prefix, file string) (release func(), err error) {
	return lines.Redirect(what, prefix, file)
}
