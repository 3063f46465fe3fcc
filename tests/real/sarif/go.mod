// SPDX-License-Identifier: Apache-2.0
//
// go-sarif, for the SARIF schema of OASIS that it carries. Nothing is built of it and no package imports
// it, so `go mod tidy` would take it out. tools/real-parts takes the schema.
module etcdseal.internal/tests/real/sarif

go 1.26.0

require github.com/owenrumney/go-sarif/v3 v3.3.1
