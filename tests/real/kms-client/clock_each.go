// SPDX-License-Identifier: Apache-2.0

//go:build !one_clock

package main

import "k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2"

// installClock gives the named providers the movable clock: newer releases keep one for each.
func installClock(providers []string) {
	for _, name := range providers {
		kmsv2.SetNowFuncForTests(name, shiftedNow)
	}
}
