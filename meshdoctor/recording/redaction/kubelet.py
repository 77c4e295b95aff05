"""Texts in a cluster's objects that a program of somebody else may have written: kept are Kubernetes' own ones.

With `terminationMessagePolicy: FallbackToLogsOnError` the message of a terminated container is the end of its log, and
that of a failed probe or hook is what its command printed (pkg/kubelet of Kubernetes 1.24 to 1.34).
"""

from __future__ import annotations

import re
from typing import Any

from meshdoctor.recording.redaction.text import Redactor

_WAITING = re.compile(
    r"[Bb]ack-off (?:\S+ )?restarting failed container(?:=\S+ pod=\S+)?"
    r"|Back-off pulling image \"[^\"\s]*\"(?:: .{0,300})?"
    r"|(?:rpc error: code = \w+ desc = )?[Ff]ailed to (?:pull|resolve) [^\n]{0,400}"
    r"|(?:secret|configmap) \"[^\"]*\" not found|couldn't find key \S+ in (?:Secret|ConfigMap) \S+"
    r"|Container image \"[^\"\s]*\" is not present with pull policy of Never|PodInitializing",
)
_TERMINATED = re.compile(r"The container could not be located when the pod was (?:terminated|deleted)[^\n]{0,120}")
_POD = re.compile(
    r"(?:The node (?:was low on resource|had condition): |Pod |Preempted |Usage of EmptyDir"
    r"|Container \S+ (?:was using|exceeded)|Node )[^\n]{0,500}"
)
_CONDITIONS = frozenset(
    ("PodScheduled", "Ready", "ContainersReady", "Initialized", "PodReadyToStartContainers", "DisruptionTarget")
)
_PROBE = re.compile(
    r"(?P<head>(?:Readiness|Liveness|Startup) probe (?:failed|errored|warning)(?: and resulted in unknown state)?: )"
    r"(?P<said>.*)",
    re.DOTALL,
)
_PROBER = re.compile(
    r"HTTP probe failed with statuscode: \d+"
    r"|(?:Get|Head) \"?[^\s\"]+\"?: [\w .,:()/\[\]\"'-]{0,300}"
    r"|dial tcp [\w .,:()/\[\]>-]{0,200}|timeout: [\w .,:()/\[\]\"'-]{0,200}|command timed out.{0,60}"
    r"|command \"[^\"]*\" timed out|service unhealthy \(responded with \"\w+\"\)"
    r"|timeout: failed to connect service [^\n]{0,200}|rpc error: code = \w+ desc = context deadline exceeded"
    r"|Probe terminated redirects.{0,40}",
)
_RUN = frozenset(("FailedPostStartHook", "FailedPreStopHook", "Failed", "BackOff", "FailedToStartContainer"))
_PRINTED = re.compile(r"lifecycle hook|Hook failed|error: |message: |exec: |caused: ?")
"""From here on such an event tells the command and what it printed."""
_OWN = frozenset(
    [
        "Scheduled", "FailedScheduling", "Preempted", "Preempting", "Pulling", "Pulled", "Created", "Started",
        "Killing", "Evicted", "NodeNotReady", "FailedCreate", "SuccessfulCreate", "SuccessfulDelete",
        "FailedDelete", "ScalingReplicaSet", "FailedMount", "FailedAttachVolume", "SuccessfulAttachVolume",
        "FailedCreatePodSandBox", "FailedKillPod", "SandboxChanged", "NetworkNotReady", "Starting", "Rebooted",
        "RegisteredNode", "RemovingNode", "NodeReady", "NodeHasSufficientMemory", "NodeHasNoDiskPressure",
        "NodeHasSufficientPID", "NodeHasInsufficientMemory", "NodeHasDiskPressure", "NodeAllocatableEnforced",
        "InvalidDiskCapacity", "ErrImageNeverPull", "InspectFailed", "FailedToUpdateEndpoint",
        "FailedToUpdateEndpointSlices", "FailedToCreateEndpoint", "SuccessfulRescale",
        "FailedGetResourceMetric", "DeadlineExceeded", "BackoffLimitExceeded", "TaintManagerEviction",
        "SystemOOM", "OOMKilling", "LeaderElection", "KubeAPIReadyz", "CgroupV", "CIDRNotAvailable",
        "DNSConfigForming", "FailedValidation", "FailedPrepareDynamicResources", "FailedSync", "NoPods",
        "CalculateExpectedPodCountFailed", "TopologyAwareHintsEnabled", "TopologyAwareHintsDisabled",
        "EnsuringLoadBalancer", "EnsuredLoadBalancer", "SyncLoadBalancerFailed", "UpdatedLoadBalancer",
        "ProvisioningFailed", "TerminationStart", "TerminationPreShutdownHooksFinished",
        "TerminationMinimalShutdownDurationFinished", "TerminationStoppedServing",
        "TerminationGracefulTerminationFinished", "AfterShutdownDelayDuration", "ReadinessChanged",
        "ShutdownInitiated", "InFlightRequestsDrained", "HTTPServerStoppedListening",
    ]
)  # fmt: skip
"""Reasons of events whose message Kubernetes makes of names and numbers."""


def clean_event(event: dict[str, Any], redactor: Redactor) -> None:
    """The message of an event, in place: of somebody else's program only that it said something."""
    message = event.get("message")
    if isinstance(message, str) and message:
        event["message"] = redactor.line(_event(str(event.get("reason", "")), message, redactor))


def _event(reason: str, message: str, redactor: Redactor) -> str:
    if reason in _OWN:
        return message
    probe = _PROBE.fullmatch(message)
    if probe is not None:
        said = probe["said"]
        return message if not said or _PROBER.fullmatch(said.strip()) else probe["head"] + redactor.mark(said, "output")
    if reason in _RUN:
        printed = _PRINTED.search(message)
        end = printed.end() if printed else len(message)
        return message[:end] + redactor.mark(message[end:], "output")
    return redactor.mark(message, "event of another program")


def clean_status(status: dict[str, Any], redactor: Redactor) -> None:
    """The messages of a pod's status and of its containers' states, in place."""
    _keep_only(status, _POD, redactor)
    for condition in status.get("conditions", ()):
        if condition.get("type") not in _CONDITIONS and condition.get("message"):
            condition["message"] = redactor.mark(condition["message"], "message of another program")
    for container in (*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())):
        for name in ("state", "lastState"):
            state = container.get(name) or {}
            _keep_only(state.get("waiting") or {}, _WAITING, redactor)
            _keep_only(state.get("terminated") or {}, _TERMINATED, redactor)


def _keep_only(holder: dict[str, Any], own: re.Pattern[str], redactor: Redactor) -> None:
    message = holder.get("message")
    if isinstance(message, str) and message and not own.fullmatch(message):
        holder["message"] = redactor.mark(message, "message of another program")
