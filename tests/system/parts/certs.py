# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for tests, and what it signs: PEM, with keys on P-256."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def _host(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Ca:
    """`pem`: its own certificate."""

    def __init__(self, name="test-ca", organization="test"):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = self._subject(name, organization)
        self.pem = self._sign(self._name, self._key, (-30, 30), is_ca=True)

    @staticmethod
    def _subject(name, organization):
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
                          x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def _sign(self, subject, key, days, hosts=(), is_ca=False):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(days=days[0]))
                   .not_valid_after(now + datetime.timedelta(days=days[1]))
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(name) for name in hosts]), critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)

    def issue(self, name, organization="test", hosts=("127.0.0.1", "localhost"), days=(-30, 30)):
        """PEM of a certificate and of its key. `days`: valid from and to, counted from now; since a
        month when nothing is said, so that clocks may be moved."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._sign(self._subject(name, organization), key, days, hosts), private_pem(key)
