// Command plot draws the curves of rankpool bench.
//
//	plot FILE.svg <curves.json
//
// The input is a list of charts; the extension of FILE says which format it is: svg, png or pdf.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// chart is one diagram: lines over the same axes, both logarithmic.
type chart struct {
	Title string `json:"title"`
	X     string `json:"x"`
	Y     string `json:"y"`
	Lines []line `json:"lines"`
}

type line struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: plot FILE.svg <curves.json")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(path string, in io.Reader) error {
	var charts []chart
	if err := json.NewDecoder(in).Decode(&charts); err != nil {
		return err
	}
	if len(charts) == 0 {
		return fmt.Errorf("there is nothing to draw")
	}
	rows := make([][]*plot.Plot, len(charts))
	for i, c := range charts {
		p, err := c.plot()
		if err != nil {
			return fmt.Errorf("%s: %w", c.Title, err)
		}
		rows[i] = []*plot.Plot{p}
	}
	const width, height = 18 * vg.Centimeter, 10 * vg.Centimeter
	canvas, err := draw.NewFormattedCanvas(width, height*vg.Length(len(charts)), strings.TrimPrefix(filepath.Ext(path), "."))
	if err != nil {
		return err
	}
	tiles := draw.Tiles{
		Rows: len(charts), Cols: 1, PadX: vg.Millimeter, PadY: 4 * vg.Millimeter,
		PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 2 * vg.Millimeter, PadRight: 4 * vg.Millimeter,
	}
	for i, row := range plot.Align(rows, tiles, draw.New(canvas)) {
		rows[i][0].Draw(row[0])
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func (c chart) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
	p.Add(plotter.NewGrid())
	p.Legend.Top = true
	for i, l := range c.Lines {
		points := make(plotter.XYs, 0, len(l.Points))
		for _, xy := range l.Points {
			if xy[0] > 0 && xy[1] > 0 { // what a logarithm can show
				points = append(points, plotter.XY{X: xy[0], Y: xy[1]})
			}
		}
		if len(points) == 0 {
			return nil, fmt.Errorf("the line %q has no points", l.Name)
		}
		curve, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		curve.Color, dots.Color, dots.Shape = plotutil.Color(i), plotutil.Color(i), plotutil.Shape(i)
		p.Add(curve, dots)
		p.Legend.Add(l.Name, curve, dots)
	}
	if p.X.Min == p.X.Max { // one worker, on one core
		p.X.Min, p.X.Max = p.X.Min/2, p.X.Max*2
	}
	if p.Y.Min == p.Y.Max {
		p.Y.Min, p.Y.Max = p.Y.Min/2, p.Y.Max*2
	}
	return p, nil
}
