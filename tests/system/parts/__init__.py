# SPDX-License-Identifier: Apache-2.0
"""Starts, drives and stops the real parts: etcd, kube-apiserver, etcdseald, etcdseal.

The tests beside this folder and tools/demo use the same code. Only the standard library is needed
here, but for parts.kms (grpcio) and parts.wire (hpack), which the demo does not import.
"""
