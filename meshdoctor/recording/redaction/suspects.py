"""Which answers need to be taken apart: those in whose bytes a secret, or the place of one, could be."""

from __future__ import annotations

from functools import cache
from typing import Any

from meshdoctor.recording.redaction import opaque

# An element of a dump in whose bytes none of this is found comes out of the walk as it went in, and is not walked.
_SUSPECT = (
    rb"(?i:pass(?:word|wd|phrase|code)|secret|token|credential|api[_-]?key|(?:private|access|session|encryption)[_-]?key"
    rb"|hmac|authorization|authentication[_-]?key|cookie|bearer|jwt|jwks|x-auth|x-amz|csrf|xsrf|\"sid\"|\"session\""
    rb"|inline_?(?:string|bytes|code)|\"inline\"|source_?codes?|configuration\"|plugin_?config|initial_?metadata|\"users"
    rb"|key_?values|environment|proxy_?metadata|query_?param|\"body|literal|config_?yaml|custom_?headers"
    rb"|context_?ext|default_?value\":\s*\"|string_?value|expression\"|format_?string|added_?tlvs|static_?layer|\"auth\""
    rb"|\"path\":\s*\[|HeaderMatchInput|ParamMatchInput|string_?key|(?:xds|ca)_?headers|additional_?headers|resource_?attr|body_?format|health_?check|descriptor_?value|ticket_?keys|raw_?value|annotations|\"node\"|headers?_?to_?add|\"header\"|\"key\""
    rb"|\"(?:set|add|headers|httpheaders|env|remove)\")"
    rb"|eyJ|PRIVATE KEY|Basic |Digest |Negotiate |ApiKey |://[^\"/]*@|[?&][^\"\s]*=|AKIA|ASIA|gh[opsur]_|xox[abprs]-"
    rb"|sk_live_|sk_test_|AIza|glpat-"
)


@cache
def _suspect() -> Any:
    # A DFA: Python's engine takes 20 times as long for the same expression, and dumps are large.
    import re2  # type: ignore[import-untyped]

    return re2.compile(_SUSPECT)


def suspect(body: bytes) -> bool:
    """Whether anything in *body* could be a secret, or the place of one."""
    return _suspect().search(body) is not None or opaque.may_be_foreign(body)
