"""Keys, certificates and signatures of local servers. Needs cryptography."""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

_DAYS = 30
_END = b"-----END CERTIFICATE-----\n"


class Certified(NamedTuple):
    """TLS for both ends: the client trusts this server and no other. ``pem`` is the certificate."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    pem: bytes


def new_key() -> Ed25519PrivateKey:
    """A private key as the exchange wants them."""
    return Ed25519PrivateKey.generate()


def pem_of(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def is_signed(key: Ed25519PublicKey, signature: str, text: bytes) -> bool:
    """Whether a signature in base64 is of this text, with the private half of the key."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def certified(*hosts: str, kept: Path | None = None) -> Certified:
    """A certificate for these names and addresses, signed by itself, and a server of no others.

    ``kept`` is a file where it is looked for, and kept with its key if it was not there.
    """
    both = _made(hosts) if kept is None else keep(kept, lambda: _made(hosts))
    if kept is not None and not _is_for(both, hosts):  # too old, or of another host
        kept.unlink()
        both = keep(kept, lambda: _made(hosts))
    pem = both[: both.index(_END) + len(_END)]
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # the module ssl reads keys from files only
        path = Path(folder) / "both.pem"
        path.touch(mode=0o600)
        path.write_bytes(both)
        server.load_cert_chain(path)
    server.sni_callback = _refusing_others({each.lower() for each in hosts})
    client = ssl.create_default_context(cadata=pem.decode("ascii"))
    return Certified(server, client, pem)


def keep(path: Path, make: Callable[[], bytes]) -> bytes:
    """What is in a file, for its owner's eyes only; where it is not there it is made, whole.

    Of several that make it at a time one is taken, by all. Raises OSError.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(make())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(name)
    finally:
        Path(name).unlink()
    return path.read_bytes()


def _made(hosts: Sequence[str]) -> bytes:
    """A certificate, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local exchange")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + pem_of(key)


def _is_for(both: bytes, hosts: Sequence[str]) -> bool:
    """Whether a certificate is of these hosts, and lasts for some time yet. ValueError for none."""
    found = x509.load_pem_x509_certificate(both)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    left = found.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left > datetime.timedelta(days=_DAYS / 2) and set(names) == {
        _name(each) for each in hosts
    }


def _refusing_others(hosts: Container[str]) -> Callable[[Any, str | None, Any], int | None]:
    """Ends the handshake of a client that names another host (by SNI, RFC 6066 section 3).

    Those that connect to an address name none, which the RFC does not let them.
    """

    def check(_: Any, name: str | None, __: Any) -> int | None:
        if name is None or name.lower() in hosts:
            return None
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    return check


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
