// Command thumbs makes thumbnails of a folder of pictures with a pool of processes: Map with one picture a task, and
// with progress on standard error. The workers read and write the files: only names and sizes travel.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

var (
	out  = flag.String("out", "thumbs", "the `folder` for the thumbnails; it is made if it is not there")
	size = flag.Int("size", 128, "the longer side of a thumbnail: the `number` of pixels")
)

// thumbnail makes one thumbnail. A picture that cannot be read is part of the result and not an error of the task: an
// error would end the Map, and with it the work on the good pictures.
var thumbnail = futures.Register("thumbnail", func(j job) (outcome, error) {
	o, err := j.do()
	if err != nil {
		o.Problem = err.Error()
	}
	return o, nil
})

// sample draws one of the pictures for a run without a folder.
var sample = futures.Register("sample", func(s sampleFile) (string, error) { return s.Path, s.draw() })

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: thumbs [-out folder] [-size number] [folder]

Makes a thumbnail of every .png, .jpg and .jpeg file in the folder, under the same name and in the same format, in the
folder that -out names. Thumbnails of an earlier run are replaced; pictures that are small enough keep their size.
Without a folder it draws some pictures in a temporary one, which it removes at the end.

A picture that cannot be read is named on standard error, the others are done, and the exit status is 1.
RANKPOOL_BACKEND (auto, processes, threads) and RANKPOOL_MAX_WORKERS choose the workers.

`)
		flag.PrintDefaults()
	}
	flag.Parse()      // code before Main runs in the workers too, with the same arguments
	futures.Main(run) // the master runs run; a worker serves here and never returns
}

func run(ctx context.Context) error {
	if *size < 1 || flag.NArg() > 1 {
		return errors.New("thumbs: -size is at least 1, and there is one folder; see thumbs -help")
	}
	return pool.With(ctx, makeThumbnails)
}

func makeThumbnails(ctx context.Context, p *pool.Pool) error {
	folder := flag.Arg(0)
	if folder == "" {
		var err error
		if folder, err = os.MkdirTemp("", "thumbs-"); err != nil {
			return fmt.Errorf("thumbs: %w", err)
		}
		defer os.RemoveAll(folder)
		if _, err := pool.Map(ctx, p, sample, samples(folder), pool.WithChunkSize(1)); err != nil {
			return fmt.Errorf("thumbs: drawing the samples: %w", err)
		}
	}
	jobs, err := plan(folder, *out, *size)
	if err != nil {
		return fmt.Errorf("thumbs: %w", err)
	}

	start := time.Now()
	outcomes, err := pool.Map(ctx, p, thumbnail, jobs,
		pool.WithChunkSize(1), // pictures differ in size: whoever is done takes the next
		pool.WithProgress(os.Stderr))
	if err != nil {
		return err
	}
	elapsed := time.Since(start)

	n, err := p.Executor().NumWorkers(ctx)
	if err != nil {
		return err
	}
	failed := report(jobs, outcomes)
	fmt.Printf("backend %s, workers %d, tasks %d, elapsed %v\n",
		p.Executor().Backend(), n, len(jobs), elapsed.Round(time.Millisecond))
	if failed > 0 {
		return fmt.Errorf("thumbs: %d of %d pictures could not be done; the thumbnails of the others are in %s", failed, len(jobs), *out)
	}
	return nil
}

// report prints what became of every picture, in the order of the names, and returns how many could not be done.
func report(jobs []job, outcomes []outcome) (failed int) {
	for i, o := range outcomes {
		name := filepath.Base(jobs[i].Source)
		if o.Problem != "" {
			failed++
			fmt.Fprintf(os.Stderr, "thumbs: %s: %s\n", name, o.Problem)
			continue
		}
		fmt.Printf("%s: %dx%d to %dx%d, %d bytes\n", name, o.From.X, o.From.Y, o.To.X, o.To.Y, o.Bytes)
	}
	fmt.Printf("%d thumbnails in %s\n", len(jobs)-failed, *out)
	return failed
}
