// SPDX-License-Identifier: Apache-2.0
//
// The Go parts of bench/: the load generator and a plugin to compare with. Built by tools/real-parts.
module etcdseal.internal/bench

go 1.26.0

require (
	go.etcd.io/bbolt v1.4.3
	golang.org/x/sys v0.46.0
	google.golang.org/grpc v1.79.3
	google.golang.org/protobuf v1.36.12-0.20260120151049-f2248ac996af
	k8s.io/kms v0.36.6
)

require (
	golang.org/x/net v0.56.0 // indirect
	golang.org/x/text v0.39.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260128011058-8636f8732409 // indirect
)
