# SPDX-License-Identifier: Apache-2.0
"""Starts, drives and stops the real parts: etcd, kube-apiserver, OpenBao, etcdseald, etcdseal.

The tests beside this folder and tools/demo use the same code. What the demo imports needs the standard
library only, and cryptography for parts.openbao.
"""
