// Package monitor shows what a program does while it runs: its executors, what each worker runs now and since when, and how far maps have come.
//
// A program that imports it, for its effect alone or not, respects the variable RANKPOOL_MONITOR in its master. It is off without the variable.
//
//	import _ "github.com/rankpool/rankpool/monitor"
//
//	RANKPOOL_MONITOR=127.0.0.1:0       a free port of this host, for anyone who has the printed address
//	RANKPOOL_MONITOR=unix:/run/sweep   a Unix socket, for this user alone
//	RANKPOOL_MONITOR=public:0.0.0.0:0  an address that other hosts reach
//
// The address is printed once on standard error, when the first executor starts, and what is served there ends with the program. Over TCP it has a token that is
// drawn anew each time, without which nothing is answered (status 401): as token in the query, or as a bearer token. Anything but an address of the loopback
// interface must be called public: whoever reads what is sent has the token, for nothing is encrypted. When the address cannot be served the log
// has a line that says so, and the program goes on without.
//
// [Serve] does the same in code. [Handler] is for a program that has a server of its own. `rankpool top` shows the same in a terminal.
//
// Other programs link no web server.
package monitor
