// SPDX-License-Identifier: Apache-2.0

//go:build one_clock

package main

import (
	"sync"

	"k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2"
)

var clockOnce sync.Once

// installClock gives all providers the movable clock: releases up to 1.31 have one for all.
func installClock([]string) {
	clockOnce.Do(func() { kmsv2.NowFunc = shiftedNow })
}
