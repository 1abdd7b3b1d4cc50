package launch

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rankpool/rankpool/internal/gobuild"
)

// known are the packages that statements may use without importing them, by the name they are used under.
var known = map[string]string{
	"asyncresult": gobuild.Module + "/asyncresult", "comm": gobuild.Module + "/comm", "futures": gobuild.Module + "/futures",
	"pool": gobuild.Module + "/pool", "threadpool": gobuild.Module + "/threadpool",
	"atomic": "sync/atomic", "base64": "encoding/base64", "big": "math/big", "binary": "encoding/binary",
	"bits": "math/bits", "bufio": "bufio", "bytes": "bytes", "cmp": "cmp", "cmplx": "math/cmplx", "context": "context",
	"csv": "encoding/csv", "debug": "runtime/debug", "errors": "errors", "exec": "os/exec", "filepath": "path/filepath",
	"flag": "flag", "fmt": "fmt", "hex": "encoding/hex", "http": "net/http", "io": "io", "iter": "iter",
	"json": "encoding/json", "log": "log", "maps": "maps", "math": "math", "net": "net", "os": "os", "path": "path",
	"rand": "math/rand/v2", "reflect": "reflect", "regexp": "regexp", "runtime": "runtime", "sha256": "crypto/sha256",
	"signal": "os/signal", "slices": "slices", "slog": "log/slog", "sort": "sort", "strconv": "strconv",
	"strings": "strings", "sync": "sync", "syscall": "syscall", "template": "text/template", "time": "time",
	"unicode": "unicode", "url": "net/url", "utf8": "unicode/utf8",
}

// pieces are the statements of a -c, told apart: what belongs to the package, and what is done.
type pieces struct {
	imports, declarations, body []piece
}

// piece is a part of the text with the place where it begins.
type piece struct {
	text         string
	line, column int
}

// positioned is the text behind a comment that tells the compiler where it came from.
func (p piece) positioned() string {
	return fmt.Sprintf("/*line -c:%d:%d*/%s", p.line, p.column, p.text)
}

// cut tells declarations from statements: import, type, const, var and functions with a name are the package's, so that
// functions can be registered. It cuts at the semicolons, written or implied, that are in no bracket.
func cut(text string) pieces {
	fset := token.NewFileSet()
	file := fset.AddFile("-c", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(token.Position, string) {}, 0) // the compiler complains better
	var all pieces
	var words []token.Token // the first ones of the piece
	begin, depth := -1, 0   // of the piece
	run := -1               // where statements begin that no declaration has interrupted: a for clause has semicolons too
	take := func(from, to int) piece {
		where := fset.Position(file.Pos(from))
		return piece{text: strings.TrimSpace(text[from:to]), line: where.Line, column: where.Column}
	}
	flush := func(to int) {
		if run >= 0 {
			all.body = append(all.body, take(run, to))
		}
		run = -1
	}
	end := func(at int) {
		switch {
		case begin < 0:
			return
		case words[0] == token.IMPORT:
			flush(begin)
			all.imports = append(all.imports, take(begin, at))
		case words[0] == token.TYPE || words[0] == token.CONST || words[0] == token.VAR,
			words[0] == token.FUNC && len(words) > 1 && words[1] == token.IDENT:
			flush(begin)
			all.declarations = append(all.declarations, take(begin, at))
		case run < 0:
			run = begin
		}
		begin, words = -1, nil
	}
	for {
		pos, tok, _ := s.Scan()
		at := file.Offset(pos)
		switch tok {
		case token.EOF:
			end(len(text))
			flush(len(text))
			return all
		case token.LPAREN, token.LBRACK, token.LBRACE:
			depth++
		case token.RPAREN, token.RBRACK, token.RBRACE:
			depth--
		case token.SEMICOLON:
			if depth <= 0 {
				end(at)
				continue
			}
		}
		if begin < 0 {
			begin = at
		}
		words = append(words, tok)
	}
}

// wrap makes a program of statements. Where workers is true they are the body of the function that futures.Main is given,
// with ctx and an executor, ex; otherwise of main, with ctx alone.
func wrap(text string, workers bool) string {
	all := cut(text)
	var decl, body strings.Builder
	for _, p := range all.declarations {
		fmt.Fprintf(&decl, "%s\n\n", p.positioned())
	}
	for _, p := range all.body {
		fmt.Fprintf(&body, "%s\n", p.positioned())
	}
	ends := "\treturn nil\n}\n"
	var frame string
	if workers {
		frame = `func main() { futures.Main(rankpoolMain) }

func rankpoolMain(ctx context.Context) error { return futures.With(ctx, rankpoolBody) }

` + decl.String() + "func rankpoolBody(ctx context.Context, ex *futures.MPIPoolExecutor) error {\n"
	} else {
		frame = `func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := rankpoolBody(ctx)
	interrupted := ctx.Err() != nil
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	switch {
	case interrupted:
		os.Exit(130)
	case err != nil:
		os.Exit(1)
	}
}

` + decl.String() + "func rankpoolBody(ctx context.Context) error {\n"
	}
	program := frame + body.String() + ends
	var b strings.Builder
	b.WriteString("package main\n\n")
	for _, p := range all.imports {
		fmt.Fprintf(&b, "%s\n", p.positioned())
	}
	for _, path := range missingImports(program, all.imports) {
		fmt.Fprintf(&b, "import %q\n", path)
	}
	b.WriteString("\n" + program)
	return b.String()
}

// missingImports returns the paths of known packages that a program without its imports uses.
func missingImports(program string, imports []piece) []string {
	given := map[string]bool{}
	for _, p := range imports {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+p.text, parser.ImportsOnly)
		if err != nil {
			continue
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			name := path[strings.LastIndex(path, "/")+1:]
			for short, full := range known { // math/rand/v2 is used as rand
				if full == path {
					name = short
				}
			}
			if spec.Name != nil {
				name = spec.Name.Name
			}
			given[name] = true
		}
	}
	// Of a program that does not parse the compiler will speak.
	file, _ := parser.ParseFile(token.NewFileSet(), "", "package main\n"+program, 0)
	if file == nil {
		return nil
	}
	open := map[*ast.Ident]bool{}
	for _, id := range file.Unresolved { //nolint:staticcheck // names are all that is wanted, types are not
		open[id] = true
	}
	paths := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && open[id] && !given[id.Name] && known[id.Name] != "" {
				paths[known[id.Name]] = true
			}
		}
		return true
	})
	return slices.SortedFunc(maps.Keys(paths), cmp.Compare[string])
}
