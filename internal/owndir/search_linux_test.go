package owndir

import "testing"

func TestAGroupIsPrivateWhenItsOneMemberIsTheUser(t *testing.T) {
	const users = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:100::/:/bin/sh\ncid:x:1002:100::/:/bin/sh\ndan:x:1003:1003::/:/bin/sh\n"
	const groups = "root:x:0:\nann:x:1000:\nusers:x:100:\ndan:x:1003:dan,ann\nlab:x:200:ann\n"
	for _, tt := range []struct {
		name string
		uid  int
		gid  uint32
		want bool
	}{
		{"a group of one's own", 1000, 1000, true}, {"another's", 1000, 1001, false}, {"one that two have as theirs", 1001, 100, false},
		{"one's own with a guest", 1003, 1003, false}, {"another's own", 1003, 1000, false}, {"one that is a further one", 1000, 200, false},
		{"one that no file names", 1004, 1004, false},
	} {
		if got := onlyMember(tt.uid, tt.gid, users, groups); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
