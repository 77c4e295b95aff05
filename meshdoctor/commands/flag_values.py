"""Values of flags as istioctl's command line reads them (Go's strconv), and times."""

from __future__ import annotations

import argparse


def go_integer(text: str) -> int:
    """A flag's number as Go reads it (decimal, 0x, 0o, 0b)."""
    try:
        octal = text.isdigit() and text.startswith("0")
        return int(text, 8 if octal else 0)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'invalid argument "{text}" for "--port" flag: strconv.ParseInt: parsing "{text}": invalid syntax'
        ) from None


def go_bool(text: str | bool) -> bool | None:
    """strconv.ParseBool, or None."""
    if isinstance(text, bool):
        return text
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    return False if text in ("0", "f", "F", "false", "FALSE", "False") else None


def add_language(parser: argparse.ArgumentParser) -> None:
    """`--lang`; None where it is not given (see `present.words.choose_language`)."""
    parser.add_argument(
        "--lang", choices=("en", "ko"), help="English or Korean (default: MESHDOCTOR_LANG or the locale)"
    )


def moment(text: str) -> float:
    """A time as RFC 3339 or in Unix seconds, in Unix seconds."""
    from meshdoctor.model.moment import unix

    found = unix(text)
    try:
        return float(text) if found is None else found
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no time (2026-11-23T12:00:00Z, or Unix seconds)") from None
