package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/image/draw"
)

// maxPixels bounds what a picture may claim to be: a broken header must not take all memory.
const maxPixels = 1 << 27

// job is one picture to be done. Its paths are absolute, so that it does not matter where a worker runs.
type job struct {
	Source, Target string
	Size           int
}

// outcome is what became of it.
type outcome struct {
	From, To image.Point // width and height
	Bytes    int
	Problem  string // why there is no thumbnail; empty if there is one
}

// plan lists what is to be done, in the order of the names. It makes the folder for the thumbnails, unless there is
// nothing to be done.
func plan(folder, out string, size int) ([]job, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var jobs []job
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".png", ".jpg", ".jpeg":
			if !e.IsDir() {
				jobs = append(jobs, job{filepath.Join(folder, e.Name()), filepath.Join(out, e.Name()), size})
			}
		}
	}
	if len(jobs) == 0 {
		return nil, fmt.Errorf("no .png, .jpg or .jpeg file in %s", folder)
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return nil, err
	}
	return jobs, differ(folder, out)
}

// differ refuses to put thumbnails where they would replace the pictures.
func differ(folder, out string) error {
	from, err := os.Stat(folder)
	if err != nil {
		return err
	}
	to, err := os.Stat(out)
	if err != nil {
		return err
	}
	if os.SameFile(from, to) {
		return fmt.Errorf("the thumbnails would replace the pictures in %s: name another folder with -out", folder)
	}
	return nil
}

// do makes the thumbnail.
func (j job) do() (outcome, error) {
	picture, err := j.read()
	if err != nil {
		return outcome{}, err
	}
	o := outcome{From: picture.Bounds().Size()}
	o.To = fit(o.From, j.Size)
	small := image.NewNRGBA(image.Rectangle{Max: o.To})
	draw.CatmullRom.Scale(small, small.Bounds(), picture, picture.Bounds(), draw.Src, nil)

	var b bytes.Buffer
	if strings.EqualFold(filepath.Ext(j.Target), ".png") {
		err = png.Encode(&b, small)
	} else {
		err = jpeg.Encode(&b, small, &jpeg.Options{Quality: 85})
	}
	if err != nil {
		return o, err
	}
	o.Bytes = b.Len()
	return o, write(j.Target, b.Bytes())
}

// read reads the picture, of whichever format it is.
func (j job) read() (image.Image, error) {
	data, err := os.ReadFile(j.Source)
	if err != nil {
		if path := (*os.PathError)(nil); errors.As(err, &path) {
			err = path.Err // the report names the picture
		}
		return nil, err
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	if config.Width < 1 || config.Height < 1 || config.Width > maxPixels/config.Height {
		return nil, fmt.Errorf("a picture of %d by %d pixels; %d pixels are the limit", config.Width, config.Height, maxPixels)
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	return picture, err
}

// fit returns the size of the thumbnail: the sides keep their proportion, and none is above the limit or below 1.
func fit(from image.Point, limit int) image.Point {
	longer := max(from.X, from.Y)
	if longer <= limit {
		return from
	}
	side := func(n int) int { return max(1, (n*limit+longer/2)/longer) }
	return image.Pt(side(from.X), side(from.Y))
}

// write has the file there whole or not at all, also when the program is ended meanwhile.
func write(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".thumb-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
