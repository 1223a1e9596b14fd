"""Keys and passwords of one run directory: made when a city starts, never shipped, never shared between runs.

The certificate authority's own key is thrown away after it has signed the one server certificate: nobody can
sign another for this directory. Every file is readable by its owner only.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID_FOR = timedelta(days=30)


def make_credentials(directory: Path, domains: Sequence[str]) -> None:
    """Write ca.pem, certs/, secrets/ under `directory`: server certificate, host keys, passwords, bearer token."""
    for room in (directory, directory / "certs", directory / "secrets"):
        room.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_certificates(directory)
    for domain in domains:
        key = Ed25519PrivateKey.generate()
        host_key = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        write_private(directory / "secrets" / f"{domain}.hostkey", host_key)
        write_private(directory / "secrets" / f"{domain}.password", secrets.token_urlsafe(24).encode())
    write_private(directory / "secrets" / "token", secrets.token_urlsafe(32).encode())


def write_known_hosts(directory: Path, ports: Mapping[str, int]) -> None:
    """Write known_hosts: one line a domain, with the public half of its host key at its port."""
    lines = []
    for domain, port in ports.items():
        private = load_ssh_private_key((directory / "secrets" / f"{domain}.hostkey").read_bytes(), password=None)
        public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        lines.append(f"[127.0.0.1]:{port} {public}\n")
    write_private(directory / "known_hosts", "".join(lines).encode())


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from the first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(content)


def _write_certificates(directory: Path) -> None:
    now = datetime.now(UTC)
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "onecity lab, this run only")])
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_ca_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1"))]
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    server = (
        _certificate(server_name, ca_name, server_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(directory / "ca.pem", ca.public_bytes(Encoding.PEM))
    write_private(directory / "certs" / "server.pem", server.public_bytes(Encoding.PEM))
    key_bytes = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(directory / "certs" / "server.key", key_bytes)


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # clocks of two processes may differ a little
        .not_valid_after(now + _VALID_FOR)
    )


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
