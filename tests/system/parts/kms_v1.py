# SPDX-License-Identifier: Apache-2.0
"""A KMS v1 plugin: a fake, since none is kept up any more. It only flips bits."""

from concurrent import futures

import grpc

from .stored import fields


def _reply(*texts):
    """A message of fields 1, 2, …, each shorter than 128 bytes."""
    return b"".join(bytes([number << 3 | 2, len(text)]) + text for number, text in enumerate(texts, 1))


def _flip(request, _context):
    return _reply(bytes(byte ^ 0x55 for byte in dict(fields(request))[2]))


def serve(path):
    """Until its stop() is called. k8s.io/kms apis/v1beta1/api.proto."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    calls = {"Version": lambda request, context: _reply(b"v1beta1", b"fake", b"0"),
             "Encrypt": _flip, "Decrypt": _flip}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "v1beta1.KeyManagementService",
        {name: grpc.unary_unary_rpc_method_handler(call) for name, call in calls.items()}),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    return server
