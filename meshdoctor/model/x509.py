"""The few facts of an X.509 certificate that a table shows, read from its DER (RFC 5280); nothing is verified.

Envoy's dump and ztunnel's hold certificates as PEM. Reading names, times and numbers needs no cryptography.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*(.*?)\s*-----END \1-----", re.DOTALL)
_HEADER = re.compile(rb"^[^\r\n]*:.*$", re.MULTILINE)  # base64 has no colon
_SEQUENCE, _INTEGER, _UTC_TIME, _GENERALIZED_TIME, _OID = 0x30, 0x02, 0x17, 0x18, 0x06
_CONTEXT_0, _CONTEXT_3, _URI, _DNS = 0xA0, 0xA3, 0x86, 0x82
_BASIC_CONSTRAINTS, _SUBJECT_ALT_NAME, _COMMON_NAME = b"\x55\x1d\x13", b"\x55\x1d\x11", b"\x55\x04\x03"


class CertificateError(ValueError):
    """Bytes that are no certificate."""


class Certificate(NamedTuple):
    """*not_before* and *not_after* in Unix seconds; *fingerprint* is SHA-256 of the DER, in hex."""

    serial: int
    not_before: float
    not_after: float
    is_ca: bool
    uris: tuple[str, ...]
    dns_names: tuple[str, ...]
    subject: str
    issuer: str
    fingerprint: str

    @property
    def spiffe_id(self) -> str:
        return next((uri for uri in self.uris if uri.startswith("spiffe://")), "")


def pem_blocks(text: bytes) -> list[bytes]:
    """The DER of each PEM block, without the headers that RFC 1421 allows; blocks that are no base64 are left out."""
    found = []
    for match in _PEM.finditer(text):
        try:
            found.append(base64.b64decode(_HEADER.sub(b"", match[2]), validate=False))
        except (binascii.Error, ValueError):
            continue
    return found


def certificates(text: bytes) -> tuple[Certificate, ...]:
    """The certificates of a PEM bundle; raises `CertificateError` when a block is none."""
    return tuple(parse_certificate(der) for der in pem_blocks(text))


def parse_certificate(der: bytes) -> Certificate:
    """One certificate from its DER; raises `CertificateError`."""
    try:
        return _parse(der)
    except (IndexError, ValueError, StopIteration) as error:
        raise CertificateError(f"not a certificate: {error}") from None


def _parse(der: bytes) -> Certificate:
    tag, body, _ = _read(der, 0)
    if tag != _SEQUENCE:
        raise ValueError("no sequence")
    fields = list(_items(next(_items(body))[1]))
    if fields[0][0] == _CONTEXT_0:
        fields = fields[1:]
    serial, _, issuer, validity, subject = (field[1] for field in fields[:5])
    if fields[0][0] != _INTEGER:
        raise ValueError("no serial number")
    times = [_time(tag, value) for tag, value in _items(validity)]
    extensions = next((value for tag, value in fields[5:] if tag == _CONTEXT_3), b"")
    is_ca, uris, names = False, [], []
    for _, extension in _items(next(_items(extensions))[1] if extensions else b""):
        parts = list(_items(extension))
        oid, value = parts[0][1], parts[-1][1]
        if oid == _BASIC_CONSTRAINTS:
            inner = list(_items(_read(value, 0)[1]))
            is_ca = bool(inner) and inner[0][0] == 0x01 and any(inner[0][1])
        elif oid == _SUBJECT_ALT_NAME:
            for tag, name in _items(_read(value, 0)[1]):
                if tag == _URI:
                    uris.append(name.decode(errors="replace"))
                elif tag == _DNS:
                    names.append(name.decode(errors="replace"))
    return Certificate(
        int.from_bytes(serial, "big", signed=True),
        times[0],
        times[1],
        is_ca,
        tuple(uris),
        tuple(names),
        _name(subject),
        _name(issuer),
        hashlib.sha256(der).hexdigest(),
    )


def _read(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content and end of the DER element at *at*."""
    tag, length = data[at], data[at + 1]
    at += 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    if at + length > len(data):
        raise ValueError("cut short")
    return tag, data[at : at + length], at + length


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, value, at = _read(data, at)
        yield tag, value


def _time(tag: int, value: bytes) -> float:
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280 4.1.2.5.1: two digits below 50 are of the 21st century.
        text = ("20" if int(text[:2]) < 50 else "19") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _name(value: bytes) -> str:
    """The common name, or the organisation and others joined, of a distinguished name."""
    texts = []
    for _, relative in _items(value):
        for _, attribute in _items(relative):
            parts = list(_items(attribute))
            text = parts[1][1].decode(errors="replace")
            if parts[0][1] == _COMMON_NAME:
                return text
            texts.append(text)
    return ", ".join(texts)
