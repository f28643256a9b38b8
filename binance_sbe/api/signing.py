"""The private key that signs: Ed25519, from a PEM file, and never shown.

Needs cryptography, the extra ``fix``.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sbe_codegen.extras import imported

from ..errors import MissingKey
from ..output import shown

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_HELP = "make one with 'openssl genpkey -algorithm ed25519 -out key.pem'"
_LARGEST = 1 << 16  # bytes of a file that may be a key
_WRAPPING = re.compile(r"\s|\\[nrt]")  # where lines of a key were broken
_SECRET = re.compile(r"[A-Za-z0-9+/=_-]{40}")  # what has it in it may be a key: not quoted


class Signer:
    """Signs with a private key that neither its repr nor a pickle shows."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "<an Ed25519 key>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a private key is not pickled: give it anew where it is used")

    def sign(self, payload: bytes) -> str:
        """The signature in base64."""
        return base64.b64encode(self._key.sign(payload)).decode("ascii")


def signer_of(key: object, password: str | bytes | None = None) -> Signer:
    """What signs with ``key``, which is a Signer, or as for `key_of`."""
    return key if isinstance(key, Signer) else Signer(key_of(key, password))


def key_of(key: object, password: str | bytes | None = None) -> Ed25519PrivateKey:
    """The private key: an Ed25519PrivateKey itself, the path of a PEM file, or PEM in bytes.

    ``password`` is that of an encrypted file. Raises MissingKey for everything that is no Ed25519
    private key, with what it is instead where that can be seen; nothing of it is quoted.
    """
    imported("cryptography", "signing", "fix")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, str) and "-----BEGIN" in key:
        return _of_pem(key.encode(), "the private key", password)
    if isinstance(key, str | Path):
        is_quoted = not _may_be_key(str(key))
        name = shown(key, 200) if is_quoted else "the private key's file"
        try:
            content = _read(Path(key), name)
        except MissingKey:
            if is_quoted:
                raise
            raise MissingKey(
                "private_key is neither the path of a file that can be read nor PEM: a key begins "
                "with '-----BEGIN' and has lines; give the path of its file"
            ) from None
        return _of_pem(content, name, password)
    if isinstance(key, bytes):
        return _of_pem(key, "the private key", password)
    if key is None:
        raise MissingKey(
            "FIX needs an Ed25519 private key: give private_key, the path of a PEM file, or set "
            f"BINANCE_PRIVATE_KEY to it; {_HELP}, and register its public half"
        )
    kind = type(key).__name__
    raise MissingKey(f"a private key is Ed25519, as PEM or as a key of cryptography, not {kind}")


def _may_be_key(text: str) -> bool:
    """Whether a text may have a key in it, however it was wrapped, and is not to be shown.

    In a path that begins with a slash or a dot each part counts alone; keys in base64 have slashes
    as well, but begin otherwise.
    """
    plain = _WRAPPING.sub("", text)
    parts = plain.split("/") if text.startswith(("/", "./", "../", "~/")) else [plain]
    return any(map(_SECRET.search, parts))


def check_recv_window(seconds: object) -> None:
    """ValueError for what can't be how long after its time a signed message is still taken."""
    if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds <= 60):
        raise ValueError(f"recv_window is up to 60 seconds, not {seconds!r}")


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        why = getattr(error, "strerror", None) or "it is no path"
        raise MissingKey(f"{name}: the private key can't be read: {why}") from None


def _of_pem(content: bytes, name: str, password: str | bytes | None) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"-----BEGIN" not in content:
        raise MissingKey(f"{name}: no PEM: it does not begin with '-----BEGIN'; {_HELP}")
    if b"PUBLIC KEY" in content and b"PRIVATE KEY" not in content:
        raise MissingKey(f"{name}: this is the public key; the private one signs")
    try:
        secret = password.encode() if isinstance(password, str) else password
    except UnicodeError:
        raise MissingKey(f"{name}: its password is no text that UTF-8 has") from None
    is_encrypted = b"ENCRYPTED" in content
    if is_encrypted and not secret:
        raise MissingKey(
            f"{name}: the private key is encrypted: give its password, "
            "or set BINANCE_PRIVATE_KEY_PASSWORD to it"
        )
    try:
        key = load_pem_private_key(content, secret if is_encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = "its password is wrong, or it is damaged" if is_encrypted else "it is damaged"
        raise MissingKey(f"{name}: the private key can't be read: {why}") from None
    if not isinstance(key, Ed25519PrivateKey):
        kind = type(key).__name__.removeprefix("_").removesuffix("PrivateKey")
        raise MissingKey(f"{name}: a key of type Ed25519 is needed, not {kind}; {_HELP}")
    return key
