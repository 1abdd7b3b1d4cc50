package gobuild

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestTheLibraryLendsItsModule(t *testing.T) {
	l, err := FindLibrary(t.Context(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, sum := l.Files()
	for _, want := range []string{"module program\n", "go 1.", "require " + Module + " v0.0.0-", fmt.Sprintf("replace %s => %q", Module, l.Dir), "github.com/emer/empi"} {
		if !bytes.Contains(mod, []byte(want)) {
			t.Errorf("no %q in\n%s", want, mod)
		}
	}
	if len(sum) == 0 {
		t.Error("no go.sum")
	}
	if _, err := FindLibrary(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "--module") {
		t.Errorf("a folder without the library: %v", err)
	}
	l = library{Version: "v1.2.3", goMod: []byte("module x\n\ngo 1.26\n")}
	if mod, _ := l.Files(); !bytes.Contains(mod, []byte("require "+Module+" v1.2.3\n")) || bytes.Contains(mod, []byte("replace")) {
		t.Errorf("of a version:\n%s", mod)
	}
}
