package examples_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"image/jpeg"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/draw"
)

// pattern fills a picture with something that no two places share.
func pattern(p draw.Image) draw.Image {
	b := p.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			p.Set(x, y, color.NRGBA{uint8(x * 7), uint8(y * 5), uint8(x*y + 3), uint8(255 - x - y)})
		}
	}
	return p
}

func encoded(t *testing.T, format string, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	err := png.Encode(&b, p)
	if format == "jpeg" {
		b.Reset()
		err = jpeg.Encode(&b, p, &jpeg.Options{Quality: 85}) // as thumbs does
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pictures are the files of a folder, every kind that the decoders know among them.
func pictures(t *testing.T) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"alpha.png":       encoded(t, "png", pattern(image.NewNRGBA(image.Rect(0, 0, 200, 150)))),
		"deep.PNG":        encoded(t, "png", pattern(image.NewRGBA64(image.Rect(0, 0, 150, 200)))),
		"grey.png":        encoded(t, "png", pattern(image.NewGray(image.Rect(0, 0, 129, 129)))),
		"palette.png":     encoded(t, "png", pattern(image.NewPaletted(image.Rect(0, 0, 130, 90), palette.Plan9))),
		"tiny.png":        encoded(t, "png", pattern(image.NewRGBA(image.Rect(0, 0, 1, 1)))),
		"ribbon.jpg":      encoded(t, "jpeg", pattern(image.NewRGBA(image.Rect(0, 0, 2000, 3)))),
		"colour.jpeg":     encoded(t, "jpeg", pattern(image.NewRGBA(image.Rect(0, 0, 640, 480)))),
		"grey.jpg":        encoded(t, "jpeg", pattern(image.NewGray(image.Rect(0, 0, 300, 301)))),
		"really jpeg.png": encoded(t, "jpeg", pattern(image.NewRGBA(image.Rect(0, 0, 256, 64)))),
	}
}

// fill writes the files into a new folder, together with things that are no pictures by their name.
func fill(t *testing.T, files map[string][]byte) (folder string) {
	t.Helper()
	folder = t.TempDir()
	all := map[string][]byte{"notes.txt": []byte("no picture"), "png": []byte("none either")}
	maps.Copy(all, files)
	for name, data := range all {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "folder.png"), 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}

// contents reads all files of a folder.
func contents(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(folder, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// referenceThumbs makes the thumbnails one after the other, here.
func referenceThumbs(t *testing.T, files map[string][]byte, limit int) (thumbs map[string][]byte, output string) {
	t.Helper()
	thumbs = map[string][]byte{}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		picture, _, err := image.Decode(bytes.NewReader(files[name]))
		if err != nil {
			t.Fatal(name, err)
		}
		w, h := picture.Bounds().Dx(), picture.Bounds().Dy()
		scale := min(1, float64(limit)/float64(max(w, h)))
		to := image.Rect(0, 0, max(1, int(float64(w)*scale+0.5)), max(1, int(float64(h)*scale+0.5)))
		small := image.NewNRGBA(to)
		draw.CatmullRom.Scale(small, to, picture, picture.Bounds(), draw.Src, nil)
		format := "jpeg"
		if strings.HasSuffix(strings.ToLower(name), ".png") {
			format = "png"
		}
		thumbs[name] = encoded(t, format, small)
		fmt.Fprintf(&b, "%s: %dx%d to %dx%d, %d bytes\n", name, w, h, to.Dx(), to.Dy(), len(thumbs[name]))
	}
	fmt.Fprintf(&b, "%d thumbnails in small\n", len(files))
	return thumbs, b.String()
}

// progressOf checks that standard error begins with the progress, a line every few seconds and one at the end, and
// returns the other lines.
func progressOf(t *testing.T, o outcome, pictures int) (rest []string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
	last := -1
	for last+1 < len(lines) && strings.HasPrefix(lines[last+1], "Map: ") {
		last++
	}
	if want := fmt.Sprintf("Map: %d/%d (100%%), ", pictures, pictures); last < 0 || !strings.HasPrefix(lines[last], want) {
		t.Errorf("standard error has no line that begins with %q after those of the progress:\n%s", want, o.stderr)
	}
	return lines[last+1:]
}

func TestThumbsEqualThoseOfASequentialRun(t *testing.T) {
	files := pictures(t)
	folder := fill(t, files)
	want, output := referenceThumbs(t, files, 100)
	onEveryBackend(t, func(t *testing.T, b backend) {
		s := start{example: "thumbs", args: []string{"-size", "100", "-out", "small", folder}}
		for _, round := range []string{"a new folder", "one with thumbnails"} {
			o := run(t, b, s)
			if rest := progressOf(t, o, len(files)); o.code != 0 || len(rest) > 0 {
				t.Errorf("%s: exit status %d, stderr %q", round, o.code, rest)
			}
			if diff := cmp.Diff(output, checkReport(t, b, o, len(files))); diff != "" {
				t.Errorf("%s: output (-want +got):\n%s", round, diff)
			}
			got := contents(t, filepath.Join(o.dir, "small"))
			if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("%s: files (-want +got):\n%s", round, diff)
			}
			for name, data := range want {
				if !bytes.Equal(data, got[name]) {
					t.Errorf("%s: %s differs from the sequential run's", round, name)
				}
			}
			s.dir = o.dir
		}
	})
	for name, data := range files {
		if now, err := os.ReadFile(filepath.Join(folder, name)); err != nil || !bytes.Equal(data, now) {
			t.Errorf("%s itself has changed, or is gone: %v", name, err)
		}
	}
}

func TestThumbsWithoutAFolderDrawsPicturesAndLeavesOnlyTheThumbnails(t *testing.T) {
	temp := t.TempDir()
	var first map[string][]byte
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := run(t, b, start{example: "thumbs", env: []string{"TMPDIR=" + temp, "TMP=" + temp}})
		if rest := progressOf(t, o, 24); o.code != 0 || len(rest) > 0 {
			t.Errorf("exit status %d, stderr %q", o.code, rest)
		}
		checkReport(t, b, o, 24)
		got := contents(t, filepath.Join(o.dir, "thumbs"))
		if len(got) != 24 {
			t.Errorf("%d thumbnails, want 24", len(got))
		}
		if first == nil {
			first = got
		}
		if !cmp.Equal(first, got) {
			t.Error("the thumbnails differ from those of another backend")
		}
	})
	if left := contents(t, temp); len(left) > 0 {
		t.Errorf("left behind: %q", slices.Sorted(maps.Keys(left)))
	}
}

func TestThumbsNamesBrokenPicturesAndDoesTheOthers(t *testing.T) {
	good := pictures(t)
	files := maps.Clone(good)
	files["cut.jpg"] = good["colour.jpeg"][:1000]
	files["cut.png"] = good["alpha.png"][:1000]
	files["empty.jpeg"] = nil
	files["huge.png"] = hugePicture(t)
	files["text.png"] = []byte("this is no picture\n")
	folder := fill(t, files)
	if err := os.Symlink(filepath.Join(folder, "nowhere"), filepath.Join(folder, "gone.png")); err != nil {
		t.Fatal(err)
	}
	want, _ := referenceThumbs(t, good, 128)
	onEveryBackend(t, func(t *testing.T, b backend) {
		o := run(t, b, start{example: "thumbs", args: []string{"-out", "small", folder}})
		rest := progressOf(t, o, len(files)+1)
		complaints := []string{
			"thumbs: cut.jpg: ",
			"thumbs: cut.png: ",
			"thumbs: empty.jpeg: ",
			"thumbs: gone.png: no such file or directory",
			"thumbs: huge.png: a picture of 2000000 by 2000000 pixels",
			"thumbs: text.png: image: unknown format",
			fmt.Sprintf("thumbs: 6 of %d pictures could not be done; the thumbnails of the others are in small", len(files)+1),
		}
		matches := slices.EqualFunc(rest, complaints, strings.HasPrefix)
		if o.code != 1 || !matches {
			t.Errorf("exit status %d, stderr:\n%s\nwant 1 and lines that begin with\n%s",
				o.code, strings.Join(rest, "\n"), strings.Join(complaints, "\n"))
		}
		if got := contents(t, filepath.Join(o.dir, "small")); !cmp.Equal(want, got) {
			t.Errorf("thumbnails of %q, want those of %q and no others",
				slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	})
}

// hugePicture returns a PNG file whose header promises more than any memory holds.
func hugePicture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	b.WriteString("\x00\x00\x00\x0dIHDR\x00\x1e\x84\x80\x00\x1e\x84\x80\x08\x02\x00\x00\x00") // 2,000,000 by 2,000,000
	checksum := crc32.ChecksumIEEE(b.Bytes()[12:])
	return binary.BigEndian.AppendUint32(b.Bytes(), checksum)
}

func TestThumbsSaysWhatIsWrongWithItsInput(t *testing.T) {
	folder := fill(t, pictures(t))
	empty := fill(t, nil)
	missing := filepath.Join(folder, "missing")
	file := filepath.Join(folder, "notes.txt")
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"help", []string{"-help"}, 0, []string{"usage: thumbs", "-out", "-size", "RANKPOOL_BACKEND"}},
		{"h", []string{"-h"}, 0, []string{"usage: thumbs"}},
		{"two folders", []string{folder, empty}, 1, []string{"one folder", "thumbs -help"}},
		{"no such folder", []string{missing}, 1, []string{missing, "no such file"}},
		{"a file", []string{file}, 1, []string{file, "not a directory"}},
		{"a folder without pictures", []string{empty}, 1, []string{"no .png, .jpg or .jpeg file", empty}},
		{"no size", []string{"-size=0", folder}, 1, []string{"-size", "at least 1"}},
		{"a word for a size", []string{"-size=small", folder}, 2, []string{"-size", "usage: thumbs"}},
		{"thumbnails over pictures", []string{"-out", filepath.Join(folder, "folder.png", ".."), folder}, 1,
			[]string{"would replace the pictures", "-out"}},
		{"thumbnails into a file", []string{"-out", file, folder}, 1, []string{file, "not a directory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEveryBackend(t, func(t *testing.T, b backend) {
				o := run(t, b, start{example: "thumbs", args: tt.args})
				if o.code != tt.code || o.stdout != "" {
					t.Errorf("exit status %d, stdout %q, want %d and nothing", o.code, o.stdout, tt.code)
				}
				for _, want := range tt.want {
					if !strings.Contains(o.stderr, want) {
						t.Errorf("stderr does not mention %q:\n%s", want, o.stderr)
					}
				}
				if lines := strings.Count(o.stderr, "\n"); tt.code == 1 && lines != 1 {
					t.Errorf("%d lines instead of one:\n%s", lines, o.stderr)
				}
				if left := contents(t, o.dir); len(left) > 0 {
					t.Errorf("left behind: %q", slices.Sorted(maps.Keys(left)))
				}
			})
		})
	}
}
