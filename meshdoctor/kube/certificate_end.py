"""When a client certificate ends: Python's ssl shows no certificate of one's own, so the few bytes are read here."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

_SEQUENCE, _CONTEXT_0, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def certificate_end(pem: bytes) -> float | None:
    """`notAfter` of the first certificate in *pem* in Unix seconds (RFC 5280 4.1); None when it cannot be read."""
    start = pem.find(_BEGIN)
    end = pem.find(_END, start)
    if start < 0 or end < 0:
        return None
    try:
        der = ssl.PEM_cert_to_DER_cert(pem[start : end + len(_END)].decode("ascii"))
        return _not_after(der)
    except (ValueError, LookupError):
        return None


def _not_after(der: bytes) -> float:
    _, at, _ = _element(der, 0, _SEQUENCE)  # Certificate
    _, at, _ = _element(der, at, _SEQUENCE)  # TBSCertificate
    if der[at] == _CONTEXT_0:  # version
        at = _element(der, at)[2]
    for _ in range(3):  # serialNumber, signature, issuer
        at = _element(der, at)[2]
    _, at, _ = _element(der, at, _SEQUENCE)  # Validity
    tag, start, end = _element(der, _element(der, at)[2])
    text = der[start:end].decode("ascii")
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}[tag]
    moment = datetime.strptime(text, form).replace(tzinfo=UTC)
    if tag == _UTC_TIME and moment.year >= 2050:  # two digits mean 1950 to 2049; Python's pivot is 2069
        moment = moment.replace(year=moment.year - 100)
    return moment.timestamp()


def _element(der: bytes, at: int, wanted: int | None = None) -> tuple[int, int, int]:
    """Tag, start and end of the DER element at *at*. Raises ValueError and LookupError for what is none."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size]), start + size
    if (wanted is not None and tag != wanted) or start + length > len(der):
        raise ValueError(tag)
    return tag, start, start + length
