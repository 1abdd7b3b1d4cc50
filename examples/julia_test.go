package examples_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"image/png"
	"math/cmplx"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// juliaSum is the SHA-256 of the julia.pgm that the script in the documentation of mpi4py.futures writes.
const juliaSum = "c9b7215a136958917dfa0f4af079a4162a7316185815300036600e9b7b8e91f3"

// juliaReference computes julia.pgm in one goroutine, with complex numbers and the true absolute value.
var juliaReference = sync.OnceValue(func() []byte {
	const w, h = 1280, 960
	pgm := []byte(fmt.Sprintf("P5 %d %d 255\n", w, h))
	for k := range h {
		for j := range w {
			z := complex(-2+float64(float64(j)*(4.0/w)), 1.5-float64(float64(k)*(3.0/h)))
			n := 0
			for ; n < 254 && cmplx.Abs(z) < 3; n++ {
				re, im := real(z), imag(z) // not z*z: a compiler may fuse its sums on some machines
				z = complex(float64(re*re)-float64(im*im), float64(2*re*im)) + 0.65i
			}
			pgm = append(pgm, byte(255-n))
		}
	}
	return pgm
})

func TestJuliaReferenceIsThePictureOfTheOriginal(t *testing.T) {
	if sum := fmt.Sprintf("%x", sha256.Sum256(juliaReference())); sum != juliaSum {
		t.Errorf("SHA-256 %s, want %s", sum, juliaSum)
	}
}

func TestJuliaEqualsTheSequentialPictureBitForBit(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := succeed(t, b, start{example: "julia"})
		if rest := checkReport(t, b, o, 960); rest != "" {
			t.Errorf("more output than the line about the pool: %q", rest)
		}

		pgm, err := os.ReadFile(filepath.Join(o.dir, "julia.pgm"))
		if err != nil {
			t.Fatal(err)
		}
		want := juliaReference()
		if !bytes.Equal(pgm, want) {
			t.Errorf("julia.pgm: SHA-256 %x, want %x", sha256.Sum256(pgm), sha256.Sum256(want))
		}
		checkColours(t, filepath.Join(o.dir, "julia.png"), want[len(want)-1280*960:])
	})
}

// checkColours checks that the PNG shows the values, and shows them in colour.
func checkColours(t *testing.T, path string, values []byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	decoded, err := png.Decode(f)
	if err != nil {
		t.Fatalf("julia.png: %v", err)
	}
	picture, ok := decoded.(*image.Paletted)
	if !ok || picture.Bounds() != image.Rect(0, 0, 1280, 960) || !bytes.Equal(picture.Pix, values) {
		t.Fatalf("julia.png: a %T of %v that does not show the values", decoded, decoded.Bounds())
	}
	colours, coloured := map[[3]uint32]bool{}, false
	for _, c := range picture.Palette {
		r, g, b, _ := c.RGBA()
		colours[[3]uint32{r, g, b}] = true
		coloured = coloured || r != g || g != b
	}
	if len(colours) < 100 || !coloured {
		t.Errorf("julia.png: %d colours, want 100 at least, and not all of them grey", len(colours))
	}
}

func TestJuliaObeysItsWorkersFlag(t *testing.T) {
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := succeed(t, b, start{
			example: "julia", args: []string{"-workers", fmt.Sprint(workers)}, env: []string{"RANKPOOL_MAX_WORKERS=1"},
		})
		checkReport(t, b, o, 960)
	})
}
