package launch

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// room is what an archive may unpack to. Its own words about sizes are not relied on.
type room struct {
	files int
	bytes int64
}

var usualRoom = room{files: 20_000, bytes: 1 << 30}

// unpack unpacks an archive into a folder and returns the folder in it, relative, that has the program: the top, or where that has nothing but
// one folder, that one. The folder is opened once, and every file goes through its descriptor. Anything but files and folders is
// refused, and so is a name that leads out of the folder or is there twice. It ends soon after ctx does, unless the file system hangs.
func unpack(ctx context.Context, archive string, into *os.Root, limit room) (program string, err error) {
	file, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	r, err := zip.NewReader(file, info.Size())
	if err != nil {
		return "", fmt.Errorf("it is no zip file: %w", err)
	}
	all := map[string]bool{} // also the folders that are only in the names of others
	for _, f := range r.File {
		for name := path.Clean(f.Name); name != "." && name != "/" && !all[name]; name = path.Dir(name) {
			if all[name] = true; len(all) > limit.files {
				return "", fmt.Errorf("it has more than %d files and folders", limit.files)
			}
		}
	}
	left := limit.bytes
	for _, f := range r.File {
		n, err := unpackOne(ctx, f, into, left)
		if err == nil && n > left {
			err = fmt.Errorf("the archive has more than %d bytes", limit.bytes)
		}
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err != nil {
			return "", fmt.Errorf("%q in it: %w", f.Name, err)
		}
		left -= n
	}
	return programIn(into.FS())
}

// unpackOne unpacks a file or folder, of a file at most one byte more than there is room for, and returns how many these were.
func unpackOne(ctx context.Context, f *zip.File, into *os.Root, left int64) (n int64, err error) {
	name := strings.TrimSuffix(f.Name, "/")
	if strings.Contains(name, `\`) || !fs.ValidPath(name) || name == "." || !filepath.IsLocal(filepath.FromSlash(name)) {
		return 0, errors.New("the name is not that of a file below the top")
	}
	switch mode := f.Mode(); {
	case mode.IsDir():
		return 0, into.MkdirAll(name, 0o700)
	case !mode.IsRegular():
		return 0, errors.New("neither a file nor a folder")
	}
	if err := into.MkdirAll(path.Dir(name), 0o700); err != nil {
		return 0, err
	}
	from, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to, err := into.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(to, io.LimitReader(until{ctx, from}, left+1))
	return n, errors.Join(err, to.Close())
}

// until reads as long as ctx lasts.
type until struct {
	ctx  context.Context
	from io.Reader
}

func (u until) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.from.Read(p)
}

// programIn returns the folder with Go files, at the top or below folders that have nothing beside them. What the go command
// takes no notice of, as the folder __MACOSX, does not count.
func programIn(all fs.FS) (string, error) {
	for dir := "."; ; {
		entries, err := fs.ReadDir(all, dir)
		if err != nil {
			return "", err
		}
		var folders []string
		files := 0
		for _, e := range entries {
			switch {
			case strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_"):
			case e.IsDir():
				folders = append(folders, e.Name())
			case strings.HasSuffix(e.Name(), ".go"):
				return dir, nil
			default:
				files++
			}
		}
		if files > 0 || len(folders) != 1 {
			return "", errors.New("it has no Go file at its top")
		}
		dir = path.Join(dir, folders[0])
	}
}
