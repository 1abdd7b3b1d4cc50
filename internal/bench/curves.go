package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/rankpool/rankpool/internal/marked"
)

// chart is a diagram for the program that draws.
type chart struct {
	Title string `json:"title"`
	X     string `json:"x"`
	Y     string `json:"y"`
	Lines []line `json:"lines"`
}

// line is one curve.
type line struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

// axes are what the horizontal axes say.
var axes = map[string]string{overWorkers: "workers", overChunks: "elements in a chunk", overMessages: "bytes in a message"}

// chart makes a diagram of a group, or nil if the group is no curve or has no values.
func (g *group) chart() *chart {
	if axes[g.name] == "" {
		return nil
	}
	c := &chart{Title: g.name, X: axes[g.name]}
	add := func(name string, x float64, values []float64) {
		if len(values) == 0 {
			return
		}
		i := slices.IndexFunc(c.Lines, func(l line) bool { return l.Name == name })
		if i < 0 {
			i, c.Lines = len(c.Lines), append(c.Lines, line{Name: name})
		}
		point := [2]float64{x, median(values)}
		if !slices.Contains(c.Lines[i].Points, point) { // a peer of several
			c.Lines[i].Points = append(c.Lines[i].Points, point)
		}
	}
	for _, r := range g.rows {
		c.Y = r.unit.name
		add(r.ours.who.backend, r.x, r.ours.values(r.unit))
		if r.peer.who != nil {
			add(r.peerName(), r.x, r.peer.values(r.unit))
		}
	}
	if len(c.Lines) == 0 {
		return nil
	}
	return c
}

// plot draws the curves into a file, by a program that is built for it: what draws is no part of this module.
func (f *field) plot(ctx context.Context, path string, groups []*group) error {
	var charts []*chart
	for _, g := range groups {
		if c := g.chart(); c != nil {
			charts = append(charts, c)
		}
	}
	if len(charts) == 0 {
		return errors.New("no curve could be measured")
	}
	if err := f.buildExtra(ctx, "plot"); err != nil {
		return fmt.Errorf("the program that draws: %w", err)
	}
	text, err := json.Marshal(charts)
	if err != nil {
		return err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, f.path("plot"), path)
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.New(marked.LastWords(string(out), err))
	}
	return nil
}
