package main

import (
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
)

// sampleFile is a picture to be drawn. What it shows depends on its number alone.
type sampleFile struct {
	Path string
	N    int
}

// samples returns the pictures for a run without a folder.
func samples(folder string) []sampleFile {
	files := make([]sampleFile, 24)
	for i := range files {
		ext := []string{"png", "jpg", "jpeg"}[i%3]
		files[i] = sampleFile{filepath.Join(folder, fmt.Sprintf("sample%02d.%s", i+1, ext)), i}
	}
	return files
}

// draw draws coloured rings, in sizes from 320 by 240 to 1,056 by 792, upright and across.
func (s sampleFile) draw() error {
	w, h := 320+32*s.N, 240+24*s.N
	if s.N%4 == 3 {
		w, h = h, w
	}
	picture := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			dx, dy := x-w/2, y-h/2
			ring := uint8((dx*dx + dy*dy) >> (6 + s.N%5))
			picture.SetRGBA(x, y, color.RGBA{ring, uint8(255 * x / w), uint8(255 * y / h), 255})
		}
	}
	f, err := os.Create(s.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	if strings.HasSuffix(s.Path, ".png") {
		err = png.Encode(f, picture)
	} else {
		err = jpeg.Encode(f, picture, nil)
	}
	if err != nil {
		return err
	}
	return f.Close()
}
