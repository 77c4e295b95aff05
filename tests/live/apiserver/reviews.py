"""SelfSubjectAccessReviews as they arrive: JSON, or the protobuf that kubectl sends."""

from __future__ import annotations

import json

_MAGIC = b"k8s\x00"
# authorization/v1 ResourceAttributes, by field number.
_FIELDS = {1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name"}


def resource_attributes(body: bytes) -> dict[str, str]:
    """`spec.resourceAttributes` of a review."""
    if not body.startswith(_MAGIC):
        attributes: dict[str, str] = json.loads(body)["spec"]["resourceAttributes"]
        return attributes
    review = _fields(_fields(body[len(_MAGIC) :])[2])  # runtime.Unknown.raw
    attributes_message = _fields(_fields(review[2])[1])
    return {
        name: attributes_message[number].decode() for number, name in _FIELDS.items() if number in attributes_message
    }


def _fields(message: bytes) -> dict[int, bytes]:
    """The length-delimited fields of a protobuf message; numbers are skipped."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        size, at = _varint(message, at)
        if tag & 7 == 2:
            found[tag >> 3] = message[at : at + size]
            at += size
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
