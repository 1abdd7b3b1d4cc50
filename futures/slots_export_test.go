package futures

import (
	"context"
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/settings"
)

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
