// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type callsResult struct {
	Count         int     `json:"count"`
	Failed        int     `json:"failed"`
	Error         string  `json:"error,omitempty"` // the first one
	P50           float64 `json:"p50_us"`
	P99           float64 `json:"p99_us"`
	P999          float64 `json:"p999_us"`
	PerSecond     float64 `json:"calls_per_second"`
	CPU           float64 `json:"cpu_us_per_call"`
	memory                // of the server when half of the calls were made
	memoryProblem error
}

// worker is what one goroutine saw; each has its own, so that none waits for another.
type worker struct {
	took   []time.Duration
	failed int
	first  error
}

func (w *worker) add(took time.Duration, err error) {
	w.took = append(w.took, took)
	if err != nil {
		w.failed++
		if w.first == nil {
			w.first = err
		}
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// percentile of sorted values: the smallest that at least so many of thousand do not exceed.
func percentile(sorted []time.Duration, perMille int) float64 {
	return micros(sorted[(len(sorted)*perMille+999)/1000-1])
}

func runCalls(socket string, pid int, method string, inFlight, count, warmUp int) (any, error) {
	if inFlight < 1 || count < inFlight {
		return nil, fmt.Errorf("--count %d --in-flight %d: wants at least one call for each", count, inFlight)
	}
	c, err := open(socket)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	call, err := c.method(method)
	if err != nil {
		return nil, err
	}
	for range warmUp {
		if _, err := timed(call); err != nil {
			return nil, fmt.Errorf("warming up: %w", err)
		}
	}
	before, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	var r callsResult
	workers, wall := spread(call, inFlight, count, func() {
		r.memory, r.memoryProblem = readMemory(pid)
	})
	after, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	r.sum(workers)
	r.PerSecond = float64(count) / wall.Seconds()
	r.CPU = micros(after-before) / float64(count)
	return r, r.memoryProblem
}

// spread makes `count` calls with `inFlight` workers; `half` is called once, between two calls.
func spread(call callFunc, inFlight, count int, half func()) ([]worker, time.Duration) {
	workers := make([]worker, inFlight)
	var next atomic.Int64
	var done sync.WaitGroup
	began := time.Now()
	for i := range workers {
		done.Go(func() {
			for {
				number := int(next.Add(1))
				if number > count {
					return
				}
				if number == (count+1)/2 {
					half()
				}
				workers[i].add(timed(call))
			}
		})
	}
	done.Wait()
	return workers, time.Since(began)
}

func (r *callsResult) sum(workers []worker) {
	var took []time.Duration
	for _, w := range workers {
		took = append(took, w.took...)
		r.Failed += w.failed
		if w.first != nil && r.Error == "" {
			r.Error = w.first.Error()
		}
	}
	slices.Sort(took)
	r.Count = len(took)
	r.P50, r.P99, r.P999 = percentile(took, 500), percentile(took, 990), percentile(took, 999)
}
