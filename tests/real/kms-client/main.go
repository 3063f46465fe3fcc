// SPDX-License-Identifier: Apache-2.0

// kms-client drives a KMS v2 plugin with the code that kube-apiserver itself uses: it loads an
// EncryptionConfiguration through k8s.io/apiserver and stores and reads values with the
// transformers that come out of it. One source is built against several releases of Kubernetes.
//
// Every sub-command prints its result as one JSON object per line on stdout, and exits with 1 when
// what it expected did not happen, 2 on wrong usage.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"

	"k8s.io/klog/v2"
)

// result is what a sub-command found; "ok" in it decides the exit code.
type result map[string]any

// errPrinted: the sub-command has printed its own lines, and one of them was not as expected.
var errPrinted = errors.New("not as expected")

type command struct {
	name  string
	help  string
	setup func(fs *flag.FlagSet) func() (result, error)
}

var commands = []command{
	{"load", "read and check an EncryptionConfiguration; needs no plugin", setupLoad},
	{"judge", "read and check the EncryptionConfigurations whose names are on stdin", setupJudge},
	{"roundtrip", "store values, read them back as a restarted API server would", setupRoundtrip},
	{"write", "store values and write them to a JSON-lines file", setupWrite},
	{"read", "read the values that write left in a file", setupRead},
	{"keychange", "stay loaded and obey lines on stdin: write, read, health, ...", setupKeychange},
	{"concurrent", "many API servers at once, each reading what another one stored", setupConcurrent},
	{"errors", "send the requests given as JSON on stdin as they are", setupErrors},
	{"burst", "send all calls at once on one connection", setupBurst},
	{"hammer", "Status and Encrypt at full load; does an older key id ever come back?", setupHammer},
}

// required flags have no default that could work.
var required = []string{"config", "socket", "in", "out"}

func main() {
	if len(os.Args) < 2 {
		usage()
		os.Exit(2)
	}
	for _, c := range commands {
		if c.name == os.Args[1] {
			os.Exit(run(c, os.Args[2:]))
		}
	}
	usage()
	if os.Args[1] == "--help" || os.Args[1] == "-h" {
		return
	}
	fmt.Fprintf(os.Stderr, "kms-client: no such sub-command: %s\n", os.Args[1])
	os.Exit(2)
}

func usage() {
	fmt.Fprintf(os.Stderr, "kms-client, built with k8s.io/apiserver %s\n\n", apiserverVersion())
	for _, c := range commands {
		fmt.Fprintf(os.Stderr, "  kms-client %-10s  %s\n", c.name, c.help)
	}
	fmt.Fprintf(os.Stderr, "\nkms-client SUB-COMMAND --help lists the flags.\n")
}

func run(c command, args []string) int {
	fs := flag.NewFlagSet("kms-client "+c.name, flag.ExitOnError)
	verbosity := fs.Int("v", 0, "verbosity of the Kubernetes code's own log on stderr (6 shows every uid)")
	do := c.setup(fs)
	_ = fs.Parse(args) // ExitOnError: does not return an error
	missing := ""
	fs.VisitAll(func(f *flag.Flag) {
		if slices.Contains(required, f.Name) && f.Value.String() == "" {
			missing = f.Name
		}
	})
	if missing != "" {
		fmt.Fprintf(os.Stderr, "kms-client %s: --%s is missing (--help lists the flags)\n", c.name, missing)
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "kms-client %s: unexpected argument: %s\n", c.name, fs.Arg(0))
		return 2
	}

	// klog's own long list of flags stays out of --help: only its verbosity matters here.
	klogFlags := flag.NewFlagSet("klog", flag.ExitOnError)
	klog.InitFlags(klogFlags)
	_ = klogFlags.Set("v", strconv.Itoa(*verbosity))

	r, err := do()
	switch {
	case errors.Is(err, errPrinted):
		return 1
	case err != nil:
		r = result{"ok": false, "error": err.Error()}
	case r == nil: // the sub-command has printed its own lines
		return 0
	}
	r["apiserver"] = apiserverVersion()
	emit(r)
	if r["ok"] != true {
		return 1
	}
	return 0
}

// emit writes one JSON object as one line, keys sorted.
func emit(r result) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // results hold only strings, numbers, lists and maps
	}
	os.Stdout.Write(append(line, '\n'))
}

func apiserverVersion() string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == "k8s.io/apiserver" {
			return m.Version
		}
	}
	return "unknown"
}
