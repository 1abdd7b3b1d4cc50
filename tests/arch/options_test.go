package arch_test

import (
	"go/types"
	"slices"
	"strings"
	"testing"
)

// verbs are the options without With: each says what is done differently, by a verb or an adverb.
var verbs = []string{
	"CancelFutures", "DrainOn", "FailFast", "InterruptTasks", "KeepGoing", "KillTasks", "NoWait", "OnOneHost", "OnWorkers", "RetryIf", "RetryTimeouts", "SkipFailures", "Unordered",
}

// See the chapter on names in docs/design.md.
func TestAnOptionBeginsWithWithUnlessItIsAVerb(t *testing.T) {
	found := 0
	for _, pkg := range loaded(t) {
		for _, name := range pkg.Scope().Names() {
			f, ok := pkg.Scope().Lookup(name).(*types.Func)
			if !ok || !f.Exported() || f.Signature().Results().Len() != 1 {
				continue
			}
			if result := optionName(f.Signature().Results().At(0).Type()); result == "" {
				continue
			}
			found++
			if !strings.HasPrefix(name, "With") && !slices.Contains(verbs, name) {
				t.Errorf("%s.%s is an option whose name is neither With and a noun nor a verb that this test knows", pkg.Name(), name)
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d options were found", found)
	}
}

// A bare function type would let one option suit one verb only, and everybody make one.
func TestTheTypeOfAnOptionIsAnInterface(t *testing.T) {
	found := 0
	for _, pkg := range loaded(t) {
		for _, name := range pkg.Scope().Names() {
			typ, ok := pkg.Scope().Lookup(name).(*types.TypeName)
			if !ok || !typ.Exported() || optionName(typ.Type()) == "" {
				continue
			}
			found++
			if !types.IsInterface(typ.Type()) {
				t.Errorf("%s.%s is a %v, not an interface", pkg.Name(), name, typ.Type().Underlying())
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d types of options were found", found)
	}
}

// optionName returns the name of a type of options, or nothing.
func optionName(t types.Type) string {
	var name string
	switch t := t.(type) {
	case *types.Alias:
		name = t.Obj().Name()
	case *types.Named:
		name = t.Obj().Name()
	}
	if !strings.HasSuffix(name, "Option") {
		return ""
	}
	return name
}
