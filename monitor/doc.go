// Package monitor shows what a program does while it runs: its executors, what each worker runs now and since when, and the progress of
// maps.
//
// A program that imports it, even for its effect alone, respects the variable RANKPOOL_MONITOR in its master. Without the variable it is
// off.
//
//	import _ "github.com/rankpool/rankpool/monitor"
//
//	RANKPOOL_MONITOR=127.0.0.1:0       a free port of this host, for anyone who has the printed address
//	RANKPOOL_MONITOR=unix:/run/sweep   a Unix socket, for this user alone
//	RANKPOOL_MONITOR=public:0.0.0.0:0  an address that other hosts reach
//
// The address is printed once on standard error, when the first executor starts. It is served until the program ends. Over TCP the address
// contains a token, which is drawn anew each time. Requests without the token, as token in the query or as a bearer token, get status 401.
// An address that is not on the loopback interface must be marked public: nothing is encrypted, so anyone who can read the traffic has the
// token. When the address cannot be served, the log says so, and the program goes on without.
//
// [Serve] does the same in code. [Handler] is for programs with a server of their own. `rankpool top` shows the same in a terminal.
//
// Programs that do not import this package link no web server.
package monitor
