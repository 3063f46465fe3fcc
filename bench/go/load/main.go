// SPDX-License-Identifier: Apache-2.0

// load is the load generator of bench/: it calls a KMS v2 server as kube-apiserver does (grpc-go,
// a unix socket, no TLS, WaitForReady, authority localhost, 3 s for each call) and measures both
// ends. Each sub-command prints one JSON object on stdout.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

const usage = `usage: load calls --socket PATH --pid PID [--method M] [--in-flight N] [--count N] [--warm-up N]
       load burst --socket PATH --pid PID [--count N]
       load start --socket PATH [--log FILE] [--linger TIME] -- PROGRAM [WORD...]
calls: so many calls, N in flight on one connection. burst: all Decrypt calls at once on one
connection. start: from exec of a server to its first Status without an error; then SIGTERM.
PID is the server: its CPU time and memory are read.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	flags := flag.NewFlagSet("load "+os.Args[1], flag.ExitOnError)
	socket := flags.String("socket", "", "the server's socket")
	pid := flags.Int("pid", 0, "the server's process")
	method := flags.String("method", "Decrypt", "Status, Encrypt or Decrypt")
	inFlight := flags.Int("in-flight", 1, "calls at a time")
	count := flags.Int("count", 1000, "calls that are measured")
	warmUp := flags.Int("warm-up", 100, "calls before them")
	log := flags.String("log", os.DevNull, "what the started server writes")
	linger := flags.Duration("linger", 0, "how long the started server may go on")
	_ = flags.Parse(os.Args[2:]) // ExitOnError: does not return an error

	var found any
	var err error
	switch os.Args[1] {
	case "calls":
		found, err = runCalls(*socket, *pid, *method, *inFlight, *count, *warmUp)
	case "burst":
		found, err = runBurst(*socket, *pid, *count)
	case "start":
		found, err = runStart(*socket, *log, *linger, flags.Args())
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "load %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	line, err := json.Marshal(found)
	if err != nil {
		panic(err) // results hold only numbers and texts
	}
	fmt.Println(string(line))
}
