"""`proxy-config rootca-compare`: whether two pods trust a common root."""

from __future__ import annotations

import argparse

from meshdoctor.commands.mesh_source import open_source, pod
from meshdoctor.commands.proxy_dump import SourceDump
from meshdoctor.errors import MeshDoctorError, SourceError
from meshdoctor.mesh.proxy.secret import root_certificates, share_a_root
from meshdoctor.model.decode import UnreadableError
from meshdoctor.model.text import visible_line
from meshdoctor.model.x509 import CertificateError


def compare_roots(arguments: argparse.Namespace) -> int:
    """Status 1 when they do not, in istioctl's words; raises `SourceError`."""
    source = open_source(arguments)
    exact = arguments.output == "istioctl"
    refs = [pod(source, target, arguments.namespace, exact=exact) for target in arguments.targets]
    try:
        roots = [root_certificates(SourceDump(source, ref).sections) for ref in refs]
        common = share_a_root(*roots)
    except (UnreadableError, CertificateError) as error:
        raise SourceError(visible_line(str(error))) from None
    first, second = (f"[{ref.name}.{ref.namespace}]" for ref in refs)
    same, can = ("identical", "available") if common else ("non identical", "unavailable")
    report = f"Both {first} and {second} have the {same} ROOTCA, theoretically the connectivity between them is {can}"
    if not common:
        raise _NoCommonRoot(report)
    print(report)
    return 0


class _NoCommonRoot(MeshDoctorError):
    exit_status = 1
