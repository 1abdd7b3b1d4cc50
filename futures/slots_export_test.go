package futures

import (
	"context"
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/settings"
)

// Its master may be told of that before the worker has ended, and start another executor after a change.
func TestAWorkerWhoseSetUpFailsKeepsTheProcessFromNobody(t *testing.T) {
	t.Setenv("SEASON", "summer")
	c, err := setupCodec()
	if err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]setup{
		"the directory":   {Dir: "/does/not/exist"},
		"the globals":     {Globals: []globalValue{{Name: "there is none of this name"}}},
		"the initializer": {Init: &initCall{Name: "there is none of this name"}},
	} {
		t.Run(what, func(t *testing.T) {
			for i, season := range []string{"winter", "spring"} {
				s.Settings = &settings.Settings{Set: map[string]string{"SEASON": season}}
				enc := pkl5.Encoder{Threshold: -1}
				if err := c.Encode(&enc, &s); err != nil {
					t.Fatal(err)
				}
				if _, _, err := processService().Setup(t.Context(), enc.Stream, nil); err == nil || errors.As(err, new(*settings.InUseError)) {
					t.Errorf("set-up %d: %v", i, err)
				}
			}
			masters.Lock()
			defer masters.Unlock()
			if masters.n != 0 {
				t.Errorf("%d masters are served", masters.n)
			}
		})
	}
}

// A rank may serve another program after this one, and either slot may leave first.
func TestASlotKeepsWhatTheFirstHasSetWhenThatHasLeft(t *testing.T) {
	t.Setenv("SEASON", "summer")
	c, err := setupCodec()
	if err != nil {
		t.Fatal(err)
	}
	enc := pkl5.Encoder{Threshold: -1}
	if err := c.Encode(&enc, &setup{Settings: &settings.Settings{Set: map[string]string{"SEASON": "winter"}}}); err != nil {
		t.Fatal(err)
	}
	s := slotsOf(processService())
	var tasks []context.Context
	for _, b := range [][]byte{enc.Stream, nil, nil} {
		_, ctx, err := s.Setup(t.Context(), b, nil)
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, ctx)
	}
	other := settings.Settings{Set: map[string]string{"SEASON": "spring"}}
	for _, ctx := range tasks {
		if _, err := other.Enter(); !errors.As(err, new(*settings.InUseError)) {
			t.Errorf("another master sets the process: %v", err)
		}
		leaveSettings(ctx)
		servedMaster(ctx)
	}
	leave, err := other.Enter()
	if err != nil {
		t.Fatal(err)
	}
	leave()
}
