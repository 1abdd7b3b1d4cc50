// Command julia draws the Julia set of z² + 0.65i with a pool of workers, one task per line of the picture. It writes
// the values to julia.pgm and the picture in colour to julia.png, both into the working directory.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// The picture covers [-2,2) × (-1.5,1.5], and its first line is the uppermost.
const (
	width, height = 1280, 960
	x0, dx        = -2.0, 4.0 / width
	y1, dy        = +1.5, 3.0 / height
	maxSteps      = 254
)

// juliaLine computes line k of the picture.
var juliaLine = futures.Register("juliaLine", func(k int) ([]byte, error) {
	line := make([]byte, width)
	for j := range line {
		line[j] = value(x0+float64(float64(j)*dx), y1-float64(float64(k)*dy))
	}
	return line, nil
})

// value is 255 minus the steps in which x + yi leaves the circle |z| < 3. The conversions forbid the compiler to fuse a
// product with a sum, so that every machine computes the same picture.
func value(x, y float64) byte {
	steps := 0
	for steps < maxSteps && float64(x*x)+float64(y*y) < 9 {
		x, y = float64(x*x)-float64(y*y), float64(2*x*y)+0.65
		steps++
	}
	return byte(255 - steps)
}

var workers = flag.Int("workers", 0, "`number` of workers; 0 leaves it to RANKPOOL_MAX_WORKERS, else one per core")

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: julia [-workers number]

Draws a Julia set into julia.pgm and julia.png in the working directory.
RANKPOOL_BACKEND (auto, mpi, processes, threads) chooses the kind of workers.

`)
		flag.PrintDefaults()
	}
	flag.Parse() // before Main, so that the workers see the same flags
	futures.Main(run)
}

func run(ctx context.Context) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("julia: unexpected argument %q; see julia -help", flag.Arg(0))
	}
	var opts []futures.Option
	if *workers != 0 {
		opts = append(opts, futures.WithMaxWorkers(*workers))
	}

	start := time.Now()
	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		rows := make([]int, height)
		for k := range rows {
			rows[k] = k
		}
		picture := make([]byte, 0, width*height)
		for line, err := range futures.Map(ctx, ex, juliaLine, rows) {
			if err != nil {
				return err
			}
			picture = append(picture, line...)
		}
		elapsed := time.Since(start)

		n, err := ex.NumWorkers(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("backend %s, workers %d, tasks %d, elapsed %v\n",
			ex.Backend(), n, ex.Stats().Submitted, elapsed.Round(time.Millisecond))
		return write(picture)
	}, opts...)
}

// write stores the picture as a binary PGM and, through a palette, as a PNG.
func write(picture []byte) error {
	pgm := append(fmt.Appendf(nil, "P5 %d %d 255\n", width, height), picture...)
	if err := os.WriteFile("julia.pgm", pgm, 0o644); err != nil {
		return err
	}
	var colours bytes.Buffer
	err := png.Encode(&colours, &image.Paletted{
		Pix: picture, Stride: width, Rect: image.Rect(0, 0, width, height), Palette: palette(),
	})
	if err != nil {
		return err
	}
	return os.WriteFile("julia.png", colours.Bytes(), 0o644)
}

// palette runs from midnight blue, where points leave at once, through fire to white, where they stay longest.
func palette() color.Palette {
	p := make(color.Palette, 256)
	for v := range p {
		t := math.Pow(float64(255-v)/maxSteps, 0.4)
		p[v] = color.RGBA{channel(2*t - 0.5), channel(2*t*t - 0.4), channel(0.25 + t*(t-0.5)*1.6), 255}
	}
	return p
}

func channel(t float64) uint8 { return uint8(255 * min(max(t, 0), 1)) }
