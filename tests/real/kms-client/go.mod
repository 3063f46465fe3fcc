// SPDX-License-Identifier: Apache-2.0
//
// Marks the root of this module; go looks for a file of this name but does not read it.
// The requirements are in go-0.36.mod, go-0.31.mod and go-0.29.mod: choose one with -modfile.
module etcdseal.internal/tests/real/kms-client

go 1.26.0
