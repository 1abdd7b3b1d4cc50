package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rankpool/rankpool/internal/command"
)

// printer prints records as they come: a table for people, or one JSON object a line.
type printer struct {
	w       io.Writer
	asJSON  bool
	machine string
	headed  bool
	all     []record
}

// columns of the table: their heads, and how wide they are at least; the last has what room it needs.
var columns = []struct {
	head  string
	width int
}{{"figure", 20}, {"backend", 16}, {"W", 2}, {"value", 22}, {"min - max", 25}, {"ratio", 7}, {"peer", 48}, {"target", 0}}

// print prints one record.
func (p *printer) print(r record) {
	p.all = append(p.all, r)
	if p.asJSON {
		text, err := json.Marshal(r)
		if err != nil {
			text = fmt.Appendf(nil, `{"name":%q,"left_out":%q}`, r.Name, err.Error())
		}
		fmt.Fprintf(p.w, "%s\n", text)
		return
	}
	if r.Value == nil && r.PeerValue == nil {
		return // listed at the end
	}
	if !p.headed {
		p.headed = true
		var heads []string
		for _, c := range columns {
			heads = append(heads, c.head)
		}
		fmt.Fprintf(p.w, "%s\n\n", p.machine)
		p.line(heads)
	}
	name := r.Name
	if r.X != nil {
		name += fmt.Sprintf(" at %s", short(*r.X))
	}
	cells := []string{name, r.Backend, fmt.Sprint(r.Workers), "left out", "", "", "", r.Target}
	if r.Value != nil {
		cells[3], cells[4] = short(*r.Value)+" "+r.Unit, short(*r.Min)+" - "+short(*r.Max)
	}
	if r.Peer != "" && r.PeerValue != nil {
		cells[6] = short(*r.PeerValue) + " (" + r.Peer + ")"
	}
	if r.Ratio != nil {
		cells[5] = short(*r.Ratio) + " x"
	}
	if r.Met != nil {
		cells[7] += map[bool]string{true: ": met", false: ": MISSED"}[*r.Met]
	}
	p.line(cells)
}

func (p *printer) line(cells []string) {
	var b strings.Builder
	for i, c := range columns {
		b.WriteString(cells[i])
		if i < len(columns)-1 {
			b.WriteString(strings.Repeat(" ", max(0, c.width-utf8.RuneCountInString(cells[i]))+2))
		}
	}
	fmt.Fprintln(p.w, strings.TrimRight(b.String(), " "))
}

// close prints what was left out, with the reasons, each once.
func (p *printer) close() {
	if p.asJSON {
		return
	}
	var missing []omission
	for _, r := range p.all {
		reason, peer := strings.CutPrefix(r.LeftOut, ofPeer)
		switch {
		case reason == "":
		case peer:
			missing = note(missing, reason, r.Peer, "")
		default:
			missing = note(missing, reason, r.Name, r.Backend)
		}
	}
	if len(missing) > 0 {
		fmt.Fprintln(p.w, "\nleft out:")
	}
	for _, o := range missing {
		var whats []string
		for i, w := range o.whats {
			if on := strings.Join(o.on[i], ", "); on != "" {
				w += " (" + on + ")"
			}
			whats = append(whats, w)
		}
		fmt.Fprintf(p.w, "  %s: %s\n", strings.Join(whats, ", "), command.Indent(o.reason))
	}
}

// omission is what was left out for the same reason.
type omission struct {
	reason string
	whats  []string   // figures and peers
	on     [][]string // for each of them, the backends
}

// note adds one thing that was left out, on a backend.
func note(all []omission, reason, what, backend string) []omission {
	i := slices.IndexFunc(all, func(o omission) bool { return o.reason == reason })
	if i < 0 {
		i, all = len(all), append(all, omission{reason: reason})
	}
	o := &all[i]
	k := slices.Index(o.whats, what)
	if k < 0 {
		k, o.whats, o.on = len(o.whats), append(o.whats, what), append(o.on, nil)
	}
	if backend != "" && !slices.Contains(o.on[k], backend) {
		o.on[k] = append(o.on[k], backend)
	}
	return all
}

// thisMachine says where the figures come from.
func thisMachine() string {
	host, _ := os.Hostname()
	text := fmt.Sprintf("%s: %d cores", host, runtime.NumCPU())
	if model := cpuModel(); model != "" {
		text += " of " + model
	}
	text += fmt.Sprintf(", %s/%s, %s", runtime.GOOS, runtime.GOARCH, runtime.Version())
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		text += ", rankpool " + info.Main.Version
	}
	return text
}

// cpuModel is what the system calls the processor, where it tells.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, model, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return ""
}
