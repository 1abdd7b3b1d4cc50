// Command platforms checks the module for platforms on which its tests do not run, without cgo:
//
//	go run ./tools/platforms [-link PACKAGE] [-vet GOOS/GOARCH,...] GOOS/GOARCH...
//
// The types of every package and of its tests are checked, with the tag mpi and without it. That finds what a compiler says of Go code, and
// costs a small part of what compiling costs, for of the standard library and of other modules only the declarations are read. What is below
// the language (assembly, names that the linker resolves) is in what every program has: one program is compiled and linked on each
// platform, with the tag mpi. For the platforms of -vet go vet looks at the packages that have other files there than on this machine.
//
// The status is 1 when something is wrong. GO names another go command.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

func main() {
	program := flag.String("link", "", "a program that is compiled and linked on each platform")
	vet := flag.String("vet", "", "platforms, apart by commas, of which go vet looks at the files that are not this machine's")
	flag.Parse()
	ok := true
	c := newChecker()
	home := platform{runtime.GOOS, runtime.GOARCH}
	for _, name := range flag.Args() {
		if err := check(c, home, name, *program, slices.Contains(strings.Split(*vet, ","), name)); err != nil {
			ok = false
			fmt.Fprintf(os.Stderr, "platforms: %s: %v\n", name, err)
		}
	}
	if !ok {
		os.Exit(1)
	}
}

// platform is what Go compiles for.
type platform struct{ system, processor string }

func (p platform) environment() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.system, "GOARCH="+p.processor)
}

// command is a go command for p.
func (p platform) command(args ...string) *exec.Cmd {
	cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), args...)
	cmd.Env = p.environment()
	cmd.Stderr = os.Stderr
	return cmd
}

func check(c *checker, home platform, name, program string, vet bool) error {
	system, processor, ok := strings.Cut(name, "/")
	if !ok {
		return fmt.Errorf("want GOOS/GOARCH")
	}
	p := platform{system, processor}
	for _, tags := range []string{"", "mpi"} {
		n, err := c.types(p, tags)
		if err != nil {
			return fmt.Errorf("with the tags %q: %w", tags, err)
		}
		fmt.Printf("%s, tags %q: the types of %d packages\n", name, tags, n)
	}
	if program != "" {
		cmd := p.command("build", "-tags", "mpi", "-o", os.DevNull, program)
		fmt.Println(name+":", strings.Join(cmd.Args, " "))
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%v: %w", cmd.Args, err)
		}
	}
	if !vet {
		return nil
	}
	others, err := otherFiles(home, p)
	if err != nil || len(others) == 0 {
		return err
	}
	cmd := p.command(append([]string{"vet", "-tags", "mpi"}, others...)...) // with what was compiled for the program
	fmt.Println(name+":", strings.Join(cmd.Args, " "))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go vet: %w", err)
	}
	return nil
}

// otherFiles returns the packages that have files on p which they do not have at home.
func otherFiles(home, p platform) ([]string, error) {
	here, err := list(home, "mpi", false)
	if err != nil {
		return nil, err
	}
	there, err := list(p, "mpi", false)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, k := range here {
		for _, f := range k.files() {
			known[f] = true
		}
	}
	var others []string
	for _, k := range there {
		if slices.ContainsFunc(k.files(), func(f string) bool { return !known[f] }) {
			others = append(others, k.ImportPath)
		}
	}
	return others, nil
}
