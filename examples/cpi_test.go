package examples_test

import "testing"

func TestCpiAddsUpTheSameOnEveryBackend(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-workers=4", "128"}, "pi: 3.1415977398528137, error: 5.086e-06 (128 intervals, 4 workers)\n"},
		{[]string{"-workers=2"}, "pi: 3.1415939251555471, error: 1.272e-06 (256 intervals, 2 workers)\n"},
		{[]string{"-workers=2", "1"}, "pi: 3.2000000000000002, error: 5.841e-02 (1 intervals, 2 workers)\n"},
		{[]string{"-workers=8", "512"}, "pi: 3.1415929714812316, error: 3.179e-07 (512 intervals, 8 workers)\n"},
	} {
		onEveryBackend(t, func(t *testing.T, b backend) {
			if o := succeed(t, b, start{example: "cpi", args: tt.args}); o.stdout != tt.want {
				t.Errorf("%v: got %q, want %q", tt.args, o.stdout, tt.want)
			}
		})
	}
}
