package linktest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// The first byte of a frame's Stream tells the worker what to do.
const (
	verbEcho    = 'e' // send the frame back
	verbClose   = 'c' // close the endpoint and end
	verbDie     = 'd' // send the number of frames given, then end without closing
	verbPanic   = 'p' // panic
	verbJournal = 'j' // write marks and bytes into the journal, then end without closing
	verbHold    = 'h' // answer, then do nothing, not even receive, until the file named appears
	verbBurst   = 'b' // send the number of frames given while receiving goes on
	verbCrowd   = 'C' // the same from crowd goroutines at once
)

// crowd is how many goroutines verbCrowd starts.
const crowd = 8

// longestHold bounds the life of a worker that nobody releases.
var longestHold = 2 * patience

// Worker is what the workers of a group under test run. It returns when the worker is to end; a child process exits
// with status 0 then.
func Worker(ep link.Endpoint) {
	var sends sync.WaitGroup
	defer sends.Wait()
	for {
		f, err := ep.Recv()
		if err != nil {
			sends.Wait()
			_ = ep.Close()
			return
		}
		verb, rest := f.Stream[0], f.Stream[1:]
		switch verb {
		case verbEcho:
			_ = ep.Send(f) // a failure is the master's to see
		case verbClose:
			sends.Wait()
			_ = ep.Close()
			return
		case verbDie:
			burst(ep, rest, 0)
			return
		case verbPanic:
			panic("told to")
		case verbJournal:
			j := ep.Journal()
			finished, picked := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
			j.Picked(picked)
			j.Finished(finished, len(append(j.Buffer(), rest[16:]...)))
			return
		case verbHold:
			_ = ep.Send(command(verbHold))
			hold(string(rest))
		case verbBurst:
			sends.Go(func() { burst(ep, rest, 0) })
		case verbCrowd:
			for i := range crowd {
				sends.Go(func() { burst(ep, rest, i) })
			}
		default:
			panic(fmt.Sprintf("linktest: unknown verb %q", verb))
		}
	}
}

// burst sends as many frames as the arguments say. A frame's stream says who sent it and which it is.
func burst(ep link.Endpoint, args []byte, sender int) {
	n, size := binary.LittleEndian.Uint64(args), binary.LittleEndian.Uint64(args[8:])
	for i := range n {
		f := command(verbBurst)
		f.Stream = binary.LittleEndian.AppendUint64(f.Stream, uint64(sender))
		f.Stream = binary.LittleEndian.AppendUint64(f.Stream, i)
		f.Segments = [][]byte{bytes.Repeat([]byte{byte(i) ^ byte(sender)}, int(size))}
		if ep.Send(f) != nil {
			return
		}
	}
}

// hold waits for a file: a signal that reaches every kind of worker on this machine without its endpoint. The end of the
// file's directory is one too: a worker that was cut off may look only after the test.
func hold(path string) {
	for end := time.Now().Add(longestHold); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return
		}
	}
}

// command returns a frame for Worker.
func command(verb byte, rest ...byte) link.Frame {
	return link.Frame{Stream: append(append(link.GetBuffer(), verb), rest...)}
}

func text(verb byte, rest string) link.Frame { return command(verb, []byte(rest)...) }

func numbers(verb byte, numbers ...uint64) link.Frame {
	f := command(verb)
	for _, n := range numbers {
		f.Stream = binary.LittleEndian.AppendUint64(f.Stream, n)
	}
	return f
}
