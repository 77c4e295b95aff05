"""`meshdoctor check-access`: which of the rights that are used the user has, and the role that gives the rest."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from meshdoctor.commands.cluster_flags import add_cluster_flags, cluster_settings, cluster_target

if TYPE_CHECKING:
    from meshdoctor.kube.rights import Right
    from meshdoctor.kube.target import Target


def configure(parser: argparse.ArgumentParser) -> None:
    add_cluster_flags(parser, exec_flag=False)
    parser.add_argument("--role", action="store_true", help="print the minimal ClusterRole alone, asking no cluster")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: argparse.Namespace) -> int:
    """0 when everything is allowed, 1 when something is missing."""
    from meshdoctor.kube.rights import role_yaml

    if arguments.role:
        sys.stdout.write(role_yaml())
        return 0
    import asyncio

    target = cluster_target(arguments)
    identity, rights = asyncio.run(_ask(target, arguments))
    complete = not any(right.missing or right.error for right in rights)
    if arguments.output == "json":
        _print_json(target, identity, rights)
    else:
        print("\n".join(_lines(target, identity, rights)))
        if not complete:
            print(f"\nThe minimal role (apply it, or `meshdoctor check-access --role`):\n\n{role_yaml()}", end="")
    return 0 if complete else 1


async def _ask(target: Target, arguments: argparse.Namespace) -> tuple[str, tuple[Right, ...]]:
    from meshdoctor.kube.access import AccessReviewer
    from meshdoctor.kube.client import KubeClient
    from meshdoctor.kube.connection import Connection
    from meshdoctor.kube.errors import Forbidden, NotFound
    from meshdoctor.kube.exec_plugin import terminal_available
    from meshdoctor.kube.rights import check_rights, used_rights, without_create

    connection = Connection(target, cluster_settings(arguments), terminal=terminal_available())
    async with KubeClient(connection) as client:
        reviewer = AccessReviewer(client)
        try:
            identity, _ = await reviewer.whoami()
        except (NotFound, Forbidden):
            identity = ""  # before Kubernetes 1.28 the server does not tell
        rules = used_rights(arguments.namespace)
        version = await client.version()
        if version is not None and version < (1, 35):
            rules = without_create(rules)
        return identity, await check_rights(reviewer, rules, "" if arguments.namespace else target.namespace)


def _lines(target: Target, identity: str, rights: tuple[Right, ...]) -> list[str]:
    from meshdoctor.model.text import visible_line

    who = f" as {visible_line(identity)}" if identity else ""
    lines = [f"{visible_line(target.context or target.origin)} ({target.address}){who}", ""]
    errors = {right.error for right in rights if right.error}
    if errors and all(right.error for right in rights):
        return [*lines, f"?  nothing could be asked: {visible_line(min(errors))}"]
    width = max(len(_name(right)) for right in rights)
    for right in rights:
        verbs = ", ".join(right.rule.verbs)
        if right.error:
            lines.append(f"?  {_name(right):{width}}  {visible_line(right.error)}")
        elif right.only:
            lines.append(f"◐  {_name(right):{width}}  {verbs} in {visible_line(right.only)} alone: {right.loss}")
        elif right.missing:
            lines.append(f"✗  {_name(right):{width}}  {', '.join(right.missing)} missing: {right.loss}")
        else:
            lines.append(f"✓  {_name(right):{width}}  {verbs}")
    return lines


def _name(right: Right) -> str:
    rule = right.rule
    where = f" in {rule.namespace}" if rule.namespace else ""
    return f"{rule.resource}{f'.{rule.group}' if rule.group else ''}{''.join(f'/{name}' for name in rule.names)}{where}"


def _print_json(target: Target, identity: str, rights: tuple[Right, ...]) -> None:
    import msgspec

    document = {
        "context": target.context,
        "server": target.address,
        "user": identity,
        "rights": [
            {
                "group": right.rule.group,
                "resource": right.rule.resource,
                "namespace": right.rule.namespace,
                "names": right.rule.names,
                "verbs": right.rule.verbs,
                "missing": right.missing,
                "only": right.only,
                "error": right.error,
            }
            for right in rights
        ],
    }
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
