package arch_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A mention is an exported name in a doc comment, and the link that it should be.
type mention struct {
	pos  token.Pos
	text string
	link string
}

// mentions finds names in the doc comments of one package.
type mentions struct {
	pkg     *types.Package
	imports map[string]*types.Package // by name
	members map[string][]string       // the exported types that have a method or a field of a name
	found   []mention
}

func newMentions(pkg *types.Package, all []*types.Package) *mentions {
	m := &mentions{pkg: pkg, imports: map[string]*types.Package{}, members: map[string][]string{}}
	for _, p := range append(pkg.Imports(), all...) {
		if p.Path() != pkg.Path() && m.imports[p.Name()] == nil && m.linkable(p) {
			m.imports[p.Name()] = p
		}
	}
	for _, name := range pkg.Scope().Names() {
		if t, ok := pkg.Scope().Lookup(name).(*types.TypeName); ok && t.Exported() && !t.IsAlias() {
			for _, member := range membersOf(t) {
				m.members[member] = append(m.members[member], name)
			}
		}
	}
	return m
}

// linkable tells whether a package's name alone leads to it: it is imported, or of the standard library.
func (m *mentions) linkable(p *types.Package) bool {
	if slices.Contains(m.pkg.Imports(), p) && !strings.Contains(p.Path(), "/internal/") {
		return true
	}
	path, ok := comment.DefaultLookupPackage(p.Name())
	return ok && path == p.Path()
}

// membersOf returns the exported methods and fields of a type.
func membersOf(t *types.TypeName) (names []string) {
	add := func(o types.Object) {
		if o.Exported() {
			names = append(names, o.Name())
		}
	}
	for s := range types.NewMethodSet(types.NewPointer(t.Type())).Methods() {
		add(s.Obj())
	}
	switch u := t.Type().Underlying().(type) {
	case *types.Interface:
		for f := range u.Methods() {
			add(f)
		}
	case *types.Struct:
		for f := range u.Fields() {
			add(f)
		}
	}
	return names
}

// name is what may be a name: perhaps of a package, perhaps with a member, perhaps behind an asterisk.
var name = regexp.MustCompile("\\[[^\\]]*\\]|`[^`]*`|\"[^\"]*\"|\\*?\\b(?:[a-z]\\w*\\.)?[A-Z]\\w*(?:\\.[A-Z]\\w*)?")

// twoHumps is a word that prose has not.
var twoHumps = regexp.MustCompile(`[a-z0-9][A-Z]|^[A-Z]{2,}[a-z]`)

// in looks at the comment of something: own are the names that it declares, of a member the type's first.
func (m *mentions) in(group *ast.CommentGroup, own ...string) {
	if group == nil {
		return
	}
	before := "." // what the text has before a word
	for _, line := range group.List {
		text, ok := strings.CutPrefix(line.Text, "//")
		if !ok || strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "go:") || strings.HasPrefix(text, " #") {
			before = "."
			continue // code, a directive, or a heading
		}
		if strings.TrimSpace(text) == "" {
			before = "."
		}
		for _, at := range name.FindAllStringIndex(text, -1) {
			word := text[at[0]:at[1]]
			if lead := strings.TrimSpace(text[:at[0]]); lead != "" {
				before = lead[len(lead)-1:]
			}
			after := text[at[1]:]
			switch {
			case strings.ContainsAny(word[:1], "[`\""), at[0] > 0 && strings.ContainsAny(text[at[0]-1:at[0]], "./-_<&"):
			case after != "" && strings.ContainsAny(after[:1], "([{<=/_-*"), strings.HasPrefix(after, "…"):
			default:
				if link := m.link(word, strings.ContainsAny(before, ".:?!-|"), own); link != "" {
					m.found = append(m.found, mention{line.Pos() + token.Pos(2+at[0]), word, link})
				}
			}
			before = "x"
		}
		if t := strings.TrimSpace(text); t != "" {
			before = t[len(t)-1:]
		}
	}
}

// link returns the link that a word should be, or nothing.
func (m *mentions) link(word string, begins bool, own []string) string {
	star := strings.TrimSuffix(word, strings.TrimPrefix(word, "*"))
	plain := strings.TrimPrefix(word, "*")
	parts := strings.Split(plain, ".")
	if p := m.imports[parts[0]]; p != nil && len(parts) > 1 {
		o := p.Scope().Lookup(parts[1])
		if o == nil || !o.Exported() || len(parts) > 2 && !hasMember(o, parts[2]) {
			return ""
		}
		return "[" + word + "]"
	}
	o := m.pkg.Scope().Lookup(parts[0])
	known := o != nil && o.Exported()
	switch {
	case len(parts) == 2 && known && hasMember(o, parts[1]):
		return "[" + word + "]"
	case len(parts) > 1 || slices.Contains(own, plain) && star == "":
		return ""
	case begins && star == "" && !twoHumps.MatchString(plain):
		return "" // a sentence begins with it: it may be any word
	case known:
		return "[" + word + "]"
	}
	types := m.members[plain]
	switch {
	case len(own) > 0 && slices.Contains(types, own[0]):
		return "[" + own[0] + "." + plain + "]"
	case len(types) == 1:
		return "[" + types[0] + "." + plain + "]"
	}
	return "" // of several types: which is meant, the text says
}

func hasMember(o types.Object, name string) bool {
	t, ok := o.(*types.TypeName)
	return ok && slices.Contains(membersOf(t), name)
}

// file looks at every comment in which go doc makes links.
func (m *mentions) file(f *ast.File) {
	m.in(f.Doc)
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() {
				m.in(d.Doc, append(receiverOf(d), d.Name.Name)...)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				m.spec(d, s)
			}
		}
	}
}

func (m *mentions) spec(d *ast.GenDecl, s ast.Spec) {
	group := d.Doc
	if d.Lparen.IsValid() {
		group = nil
		if s == d.Specs[0] {
			m.in(d.Doc)
		}
	}
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				m.in(group, n.Name)
				m.in(s.Doc, n.Name)
				break
			}
		}
	case *ast.TypeSpec:
		if s.Name.IsExported() { // the comments of fields are shown as source
			m.in(group, s.Name.Name)
			m.in(s.Doc, s.Name.Name)
		}
	}
}

func receiverOf(d *ast.FuncDecl) []string {
	if d.Recv == nil {
		return nil
	}
	for e := d.Recv.List[0].Type; ; {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return []string{x.Name}
		default:
			return nil
		}
	}
}

// parsed returns the files of a public package, without its tests.
func parsed(t *testing.T, fset *token.FileSet, pkg string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root(t), pkg, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatal(pkg, err)
	}
	for _, n := range names {
		if strings.HasSuffix(n, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, n, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// go doc and pkg.go.dev make a link of a name in brackets.
func TestNamesInDocCommentsAreLinks(t *testing.T) {
	all := loaded(t)
	for _, pkg := range all {
		fset := token.NewFileSet()
		m := newMentions(pkg, all)
		for _, f := range parsed(t, fset, pkg.Name()) {
			m.file(f)
		}
		for _, f := range m.found {
			t.Errorf("%s: %s: write %s", fset.Position(f.pos), f.text, f.link)
		}
	}
}

// What stands in brackets and is no link shows the brackets.
func TestNoLinkOfADocCommentLeadsNowhere(t *testing.T) {
	looksLikeOne := regexp.MustCompile(`(?:^|\W)\[\*?(?:[a-z]\w*\.)?[A-Z]\w*(?:\.\w+)*\]`)
	for _, p := range public {
		fset := token.NewFileSet()
		pkg, err := doc.NewFromFiles(fset, parsed(t, fset, p), module+"/"+p)
		if err != nil {
			t.Fatal(err)
		}
		look := func(what, text string) {
			for _, block := range pkg.Parser().Parse(text).Content {
				plain := fmt.Sprint(plainOf(block))
				for _, m := range looksLikeOne.FindAllString(plain, -1) {
					t.Errorf("%s.%s: %s is no link", p, what, m)
				}
			}
		}
		look("the package", pkg.Doc)
		values := func(list []*doc.Value) {
			for _, v := range list {
				look(v.Names[0], v.Doc)
			}
		}
		funcs := func(list []*doc.Func) {
			for _, f := range list {
				look(f.Name, f.Doc)
			}
		}
		values(pkg.Consts)
		values(pkg.Vars)
		funcs(pkg.Funcs)
		for _, t := range pkg.Types {
			look(t.Name, t.Doc)
			values(t.Consts)
			values(t.Vars)
			funcs(t.Funcs)
			funcs(t.Methods)
		}
	}
}

// plainOf returns the text of a block that is no link.
func plainOf(b comment.Block) (text string) {
	of := func(list []comment.Text) {
		for _, t := range list {
			if p, ok := t.(comment.Plain); ok {
				text += string(p)
			}
		}
	}
	switch b := b.(type) {
	case *comment.Paragraph:
		of(b.Text)
	case *comment.Heading:
		of(b.Text)
	case *comment.List:
		for _, i := range b.Items {
			for _, c := range i.Content {
				text += plainOf(c)
			}
		}
	}
	return text
}
