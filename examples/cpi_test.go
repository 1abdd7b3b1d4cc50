package examples_test

import "testing"

func TestCpiAddsUpTheSameOnEveryBackend(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-workers=4"}, "pi: 3.1415977398528137, error: 5.086e-06 (128 intervals, 4 workers)\n"},
		{[]string{"-workers=8", "-intervals=512"}, "pi: 3.1415929714812316, error: 3.179e-07 (512 intervals, 8 workers)\n"},
	} {
		onEveryBackend(t, func(t *testing.T, b backend) {
			if o := succeed(t, b, start{example: "cpi", args: tt.args}); o.stdout != tt.want {
				t.Errorf("%v: got %q, want %q", tt.args, o.stdout, tt.want)
			}
		})
	}
}
