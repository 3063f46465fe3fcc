// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/klog/v2"
)

const keptErrors = 3 // error texts that a result shows; the number of errors is always told

// configFlags are those of every sub-command that loads an EncryptionConfiguration and uses it.
type configFlags struct {
	config, resource *string
	wait             *time.Duration
}

func addConfigFlags(fs *flag.FlagSet) configFlags {
	return configFlags{
		config:   fs.String("config", "", "EncryptionConfiguration file"),
		resource: fs.String("resource", "secrets", "resource or resource.group whose providers are used"),
		wait:     fs.Duration("wait", 0, "how long to wait for a good health check"),
	}
}

func (f configFlags) open() (*client, error) {
	return openHealthy(*f.config, *f.wait)
}

// problems collects errors: all are counted, the first few are kept.
type problems struct {
	mu    sync.Mutex
	count int
	texts []string
}

func (p *problems) add(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	if len(p.texts) < keptErrors {
		p.texts = append(p.texts, err.Error())
	}
}

func (p *problems) report(r result) result {
	r["errors"] = p.count
	if p.count > 0 {
		r["error_texts"] = p.texts
	}
	if _, set := r["ok"]; !set {
		r["ok"] = p.count == 0
	}
	return r
}

func setupLoad(fs *flag.FlagSet) func() (result, error) {
	file := fs.String("config", "", "EncryptionConfiguration file")
	reload := fs.Bool("reload", true, "check as with --encryption-provider-config-automatic-reload")
	return func() (result, error) {
		config, err := loadOnly(*file, *reload)
		if err != nil {
			return nil, err
		}
		providers, err := providerNames(*file)
		if err != nil {
			return nil, err
		}
		resources := []string{}
		for resource := range config.Transformers {
			resources = append(resources, resource.String())
		}
		sort.Strings(resources)
		checks := []string{}
		for _, check := range config.HealthChecks {
			checks = append(checks, check.Name())
		}
		return result{
			"ok":            true,
			"resources":     resources,
			"kms_providers": providers,
			"health_checks": checks,
			"hash":          config.EncryptionFileContentHash,
		}, nil
	}
}

// loadOnly reads and checks a file without a word to a plugin: with a context that has ended the
// first probe fails at once, and so does the loop behind it. The complaint about the socket, which
// would only mislead, is not shown.
func loadOnly(file string, reload bool) (*encryptionconfig.EncryptionConfiguration, error) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ended, end := context.WithCancel(context.Background())
	end()
	return encryptionconfig.LoadEncryptionConfig(ended, file, reload, apiServerID)
}

// setupJudge loads file after file, whose names stand on stdin, one in a line, with automatic
// reload on. A refused file is a result here, not a failure.
func setupJudge(_ *flag.FlagSet) func() (result, error) {
	return func() (result, error) {
		names := bufio.NewScanner(os.Stdin)
		for names.Scan() {
			r := result{"file": names.Text(), "loads": true}
			if _, err := loadOnly(names.Text(), true); err != nil {
				r["loads"], r["error"] = false, err.Error()
			}
			emit(r)
		}
		return nil, names.Err()
	}
}

func setupRoundtrip(fs *flag.FlagSet) func() (result, error) {
	f := addConfigFlags(fs)
	count := fs.Int("count", 10000, "values to store and read")
	return func() (result, error) {
		start := time.Now()
		writer, err := f.open()
		if err != nil {
			return nil, err
		}
		defer writer.close()
		stored := make([][]byte, *count)
		ids := map[string]bool{}
		for i := range stored {
			if stored[i], err = writer.store(*f.resource, pathOf(*f.resource, i)); err != nil {
				return nil, err
			}
			ids[keyIDOf(stored[i])] = true
		}

		// A second configuration has empty caches: a restarted API server, which has to ask the
		// plugin for the seed of the first.
		reader, err := f.open()
		if err != nil {
			return nil, err
		}
		defer reader.close()
		stale := 0
		for i := range stored {
			old, err := reader.read(*f.resource, pathOf(*f.resource, i), stored[i])
			if err != nil {
				return nil, err
			}
			if old {
				stale++
			}
		}
		if *count > 0 {
			if _, err := reader.read(*f.resource, pathOf(*f.resource, *count), stored[0]); err == nil {
				return nil, errors.New("a value could be read under another path")
			}
		}
		r := result{
			"ok":          stale == 0,
			"count":       *count,
			"stale":       stale,
			"key_ids":     sorted(ids),
			"plain_bytes": plaintextBytes,
			"calls":       calls(),
			"wall_ms":     time.Since(start).Milliseconds(),
		}
		if *count > 0 {
			r["stored_bytes"] = len(stored[0])
		}
		return r, nil
	}
}

// storedLine is one line of the file between write and read.
type storedLine struct {
	Path  string `json:"path"`
	Value []byte `json:"value"`
	KeyID string `json:"key_id"`
}

func setupWrite(fs *flag.FlagSet) func() (result, error) {
	f := addConfigFlags(fs)
	count := fs.Int("count", 100, "values to store")
	name := fs.String("out", "", "JSON-lines file to write")
	return func() (result, error) {
		c, err := f.open()
		if err != nil {
			return nil, err
		}
		defer c.close()
		file, err := os.Create(*name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		out := bufio.NewWriter(file)
		lines := json.NewEncoder(out)
		ids := map[string]bool{}
		for i := 0; i < *count; i++ {
			path := pathOf(*f.resource, i)
			stored, err := c.store(*f.resource, path)
			if err != nil {
				return nil, err
			}
			id := keyIDOf(stored)
			ids[id] = true
			if err := lines.Encode(storedLine{path, stored, id}); err != nil {
				return nil, err
			}
		}
		if err := out.Flush(); err != nil {
			return nil, err
		}
		return result{"ok": true, "count": *count, "key_ids": sorted(ids), "calls": calls()}, nil
	}
}

func setupRead(fs *flag.FlagSet) func() (result, error) {
	f := addConfigFlags(fs)
	name := fs.String("in", "", "JSON-lines file that write made")
	expect := fs.String("expect-stale", "any", "true: every value must be stale, false: none, any")
	return func() (result, error) {
		if *expect != "true" && *expect != "false" && *expect != "any" {
			return nil, fmt.Errorf("--expect-stale %s: wants true, false or any", *expect)
		}
		file, err := os.Open(*name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		c, err := f.open()
		if err != nil {
			return nil, err
		}
		defer c.close()
		var bad problems
		ids := map[string]bool{}
		count, stale := 0, 0
		for lines := json.NewDecoder(bufio.NewReader(file)); ; {
			var line storedLine
			if err := lines.Decode(&line); err == io.EOF {
				break
			} else if err != nil {
				return nil, fmt.Errorf("%s: %w", *name, err)
			}
			count++
			ids[keyIDOf(line.Value)] = true
			old, err := c.read(*f.resource, line.Path, line.Value)
			switch {
			case err != nil:
				bad.add(err)
			case old:
				stale++
			}
			if err == nil && *expect != "any" && old != (*expect == "true") {
				bad.add(fmt.Errorf("%s: stale is %t, expected %s", line.Path, old, *expect))
			}
		}
		return bad.report(result{
			"count": count, "stale": stale, "key_ids": sorted(ids), "calls": calls(),
		}), nil
	}
}

func setupConcurrent(fs *flag.FlagSet) func() (result, error) {
	f := addConfigFlags(fs)
	workers := fs.Int("workers", 100, "API servers: each with its own connection, seed and caches")
	count := fs.Int("count", 50, "values for each of them")
	return func() (result, error) {
		start := time.Now()
		var bad problems
		clients := make([]*client, *workers)
		values := make([][][]byte, *workers)
		// each runs do for all workers at once, and waits for them.
		each := func(do func(w int) error) {
			var all sync.WaitGroup
			for w := range clients {
				all.Add(1)
				go func() {
					defer all.Done()
					if err := do(w); err != nil {
						bad.add(err)
					}
				}()
			}
			all.Wait()
		}

		each(func(w int) (err error) {
			clients[w], err = f.open()
			return err
		})
		defer func() {
			for _, c := range clients {
				if c != nil {
					c.close()
				}
			}
		}()
		if bad.count > 0 {
			return bad.report(result{"workers": *workers, "calls": calls()}), nil
		}
		each(func(w int) error {
			for i := 0; i < *count; i++ {
				stored, err := clients[w].store(*f.resource, pathOf(*f.resource, w**count+i))
				if err != nil {
					return err
				}
				values[w] = append(values[w], stored)
			}
			return nil
		})
		read, stale := make([]int, *workers), make([]int, *workers)
		each(func(w int) error {
			from := (w + 1) % *workers
			for i, stored := range values[from] {
				old, err := clients[w].read(*f.resource, pathOf(*f.resource, from**count+i), stored)
				if err != nil {
					return err
				}
				read[w]++
				if old {
					stale[w]++
				}
			}
			return nil
		})
		total, old := 0, 0
		for w := range read {
			total += read[w]
			old += stale[w]
		}
		return bad.report(result{
			"workers": *workers, "count": total, "stale": old,
			"calls": calls(), "wall_ms": time.Since(start).Milliseconds(),
		}), nil
	}
}

const keychangeHelp = `the first line on stdout tells whether it opened with a healthy plugin; it goes on either way.
commands on stdin, one JSON line is the answer to each:
  write PATH        store the test value of PATH: value (base64), key_id
  read PATH BASE64  read a stored value: stale, key_id
  health            the health check, which is also what follows a new key id; probed tells
                    whether the plugin was asked (a good answer is kept 20 s, a bad one 3 s)
  clock DURATION    move the clock of the 3-minute write window, e.g. 4m
  reload            load the file again as automatic reload does: kept only if healthy
  calls             calls to the plugin so far
The end of stdin ends it.`

func setupKeychange(fs *flag.FlagSet) func() (result, error) {
	f := addConfigFlags(fs)
	flags := fs.Usage
	fs.Usage = func() {
		flags()
		fmt.Fprintln(fs.Output(), keychangeHelp)
	}
	return func() (result, error) {
		c, err := open(*f.config)
		if err != nil {
			return nil, err
		}
		defer func() { c.close() }()
		opened := result{"ok": true, "op": "open", "apiserver": apiserverVersion()}
		if err := c.waitHealthy(*f.wait); err != nil { // it goes on, as an API server does
			opened["ok"], opened["error"] = false, err.Error()
		}
		emit(opened)
		for in := bufio.NewReader(os.Stdin); ; {
			line, err := in.ReadString('\n')
			words := strings.Fields(line)
			if len(words) > 0 {
				answer, err := f.obey(&c, words)
				if err != nil {
					answer = result{"ok": false, "error": err.Error()}
				}
				answer["op"] = words[0]
				emit(answer)
			}
			if err == io.EOF {
				return nil, nil
			} else if err != nil {
				return nil, err
			}
		}
	}
}

// obey carries out one command of keychange; reload puts another client in the place of *c.
func (f configFlags) obey(c **client, words []string) (result, error) {
	switch op, args := words[0], words[1:]; {
	case op == "write" && len(args) == 1:
		stored, err := (*c).store(*f.resource, args[0])
		if err != nil {
			return nil, err
		}
		return result{"ok": true, "path": args[0], "value": stored, "key_id": keyIDOf(stored)}, nil
	case op == "read" && len(args) == 2:
		stored, err := base64.StdEncoding.DecodeString(args[1])
		if err != nil {
			return nil, err
		}
		stale, err := (*c).read(*f.resource, args[0], stored)
		if err != nil {
			return nil, err
		}
		return result{"ok": true, "path": args[0], "stale": stale, "key_id": keyIDOf(stored)}, nil
	case op == "health" && len(args) == 0:
		before := statusCalls()
		err := (*c).health()
		answer := result{"ok": err == nil, "probed": statusCalls() != before}
		if err != nil {
			answer["error"] = err.Error()
		}
		return answer, nil
	case op == "clock" && len(args) == 1:
		by, err := time.ParseDuration(args[0])
		if err != nil {
			return nil, err
		}
		return result{"ok": true, "offset": time.Duration(clockOffset.Add(int64(by))).String()}, nil
	case op == "reload" && len(args) == 0:
		fresh, err := f.open()
		if err != nil {
			return nil, err
		}
		(*c).close()
		*c = fresh
		return result{"ok": true}, nil
	case op == "calls" && len(args) == 0:
		return result{"ok": true, "calls": calls()}, nil
	}
	return nil, errors.New("no such command, or the wrong number of words")
}

func sorted(set map[string]bool) []string {
	all := []string{}
	for item := range set {
		all = append(all, item)
	}
	sort.Strings(all)
	return all
}
