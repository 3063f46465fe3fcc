// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"
	"time"
)

type burstResult struct {
	Count   int     `json:"count"`
	Failed  int     `json:"failed"` // an error, or no answer within the API server's 3 s
	Error   string  `json:"error,omitempty"`
	Wall    float64 `json:"wall_ms"` // until the last answer
	Slowest float64 `json:"slowest_ms"`
	CPU     float64 `json:"cpu_us_per_call"`
	memory          // of the server, right after the last answer
}

// runBurst sends all calls at once on one connection, as an API server does that fills its caches.
func runBurst(socket string, pid, count int) (any, error) {
	c, err := open(socket)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	workers := make([]worker, count)
	var ready, done sync.WaitGroup
	fire := make(chan struct{})
	ready.Add(count)
	for i := range workers {
		done.Go(func() {
			ready.Done()
			<-fire
			workers[i].add(timed(c.decrypt))
		})
	}
	ready.Wait()
	before, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	close(fire)
	done.Wait()
	wall := time.Since(began)
	after, err := cpuTime(pid)
	if err != nil {
		return nil, err
	}
	r := burstResult{Count: count, Wall: micros(wall) / 1e3, CPU: micros(after-before) / float64(count)}
	r.sum(workers)
	r.memory, err = readMemory(pid)
	return r, err
}

// sum counts as failed what came later than the deadline too, should grpc-go ever let it through.
func (r *burstResult) sum(workers []worker) {
	for _, w := range workers {
		r.Slowest = max(r.Slowest, micros(w.took[0])/1e3)
		if w.failed > 0 || w.took[0] > timeout {
			r.Failed++
		}
		if w.first != nil && r.Error == "" {
			r.Error = w.first.Error()
		}
	}
}
