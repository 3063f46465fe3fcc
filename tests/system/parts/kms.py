# SPDX-License-Identifier: Apache-2.0
"""A KMS v2 client in Python: grpcio, and messages described here, independent of our .proto files
and of the Go client."""

import os
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "/v2.KeyManagementService/"
SEED_BYTES = 32

_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
_ANNOTATIONS = "annotations"

# k8s.io/kms apis/v2/api.proto
_MESSAGES = {
    "StatusRequest": [],
    "StatusResponse": [(1, "version", _STRING), (2, "healthz", _STRING), (3, "key_id", _STRING)],
    "EncryptRequest": [(1, "plaintext", _BYTES), (2, "uid", _STRING)],
    "EncryptResponse": [(1, "ciphertext", _BYTES), (2, "key_id", _STRING),
                        (3, _ANNOTATIONS, None)],
    "DecryptRequest": [(1, "ciphertext", _BYTES), (2, "uid", _STRING), (3, "key_id", _STRING),
                       (4, _ANNOTATIONS, None)],
    "DecryptResponse": [(1, "plaintext", _BYTES)],
}


def _describe():
    file = descriptor_pb2.FileDescriptorProto(name="kms_for_tests.proto", package="tests.v2",
                                              syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field_name, kind in fields:
            field = message.field.add(name=field_name, number=number,
                                      label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
            if kind is not None:
                field.type = kind
                continue
            entry = message.nested_type.add(name="AnnotationsEntry")
            entry.options.map_entry = True
            for n, f, t in ((1, "key", _STRING), (2, "value", _BYTES)):
                entry.field.add(name=f, number=n, type=t, label=field.label)
            field.label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = f".tests.v2.{name}.AnnotationsEntry"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName(f"tests.v2.{name}"))
            for name in _MESSAGES}


MESSAGE = _describe()


class Kms:
    """`authority`: what the client sends as :authority; grpcio's own choice without."""

    def __init__(self, socket, authority=None, timeout=3):
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1),
                   ("grpc.initial_reconnect_backoff_ms", 100),
                   ("grpc.max_reconnect_backoff_ms", 200)]
        if authority is not None:
            options.append(("grpc.default_authority", authority))
        self._channel = grpc.insecure_channel(f"unix:{socket}", options)
        self.timeout = timeout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._channel.close()

    def raw(self, path, body, **options):
        """Body bytes in, body bytes out; `path` with or without the service."""
        path = path if path.startswith("/") else SERVICE + path
        options.setdefault("timeout", self.timeout)
        return self._channel.unary_unary(path)(body, **options)

    def raw_future(self, path, body, **options):
        path = path if path.startswith("/") else SERVICE + path
        options.setdefault("timeout", self.timeout)
        return self._channel.unary_unary(path).future(body, **options)

    def _call(self, method, **fields):
        body = MESSAGE[method + "Request"](**fields).SerializeToString()
        return MESSAGE[method + "Response"].FromString(self.raw(method, body))

    def status(self):
        return self._call("Status")

    def encrypt(self, plaintext=None, uid=None):
        return self._call("Encrypt", uid=uid or str(uuid.uuid4()),
                          plaintext=os.urandom(SEED_BYTES) if plaintext is None else plaintext)

    def decrypt(self, ciphertext, key_id, annotations=None, uid=None):
        """The plaintext."""
        return self._call("Decrypt", ciphertext=ciphertext, key_id=key_id,
                          uid=uid or str(uuid.uuid4()), annotations=annotations or {}).plaintext

    def unwrap(self, wrapped):
        """Decrypt of what Encrypt gave."""
        return self.decrypt(wrapped.ciphertext, wrapped.key_id, dict(wrapped.annotations))


def refusal(call, *args, **options):
    """Status code and text of a call that must fail."""
    try:
        answer = call(*args, **options)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(f"not refused: {answer!r}")


def check_refused(code, call, *args, **options):
    """The call must end with the status code. Returns its text."""
    got, text = refusal(call, *args, **options)
    assert got == code, f"{got} ({text}), not {code}"
    return text
