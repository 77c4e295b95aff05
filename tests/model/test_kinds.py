"""Where a recording has the lists of each kind, there and back."""

from __future__ import annotations

import pytest

from meshdoctor.model.kinds import BY_NAME, KINDS, kind_of_file


def test_the_names_of_files_are_settled() -> None:
    assert BY_NAME["Pod"].file == "kube/core/v1/pods.json"
    assert BY_NAME["K8sGateway"].file == "kube/gateway.networking.k8s.io/v1/gateways.json"
    assert BY_NAME["K8sGateway"]._replace(version="v1beta1").file.endswith("/v1beta1/gateways.json")


def test_every_kind_has_a_file_of_its_own_in_every_version() -> None:
    assert len({kind.file for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        assert kind_of_file(kind.file) is kind
        assert kind_of_file(kind._replace(version="v1beta9").file) is kind
        assert kind_of_file(kind.file.replace(f"/{kind.version}/", "/")) is kind, "files written by hand"


@pytest.mark.parametrize(
    "file",
    ["", "kube/version.json", "kube/a/v1/b/pods.json", "kube/",
     "kube//v1/pods.json", "kube/core/v1/secrets.json", "kube/core/v1/pods.json/x",
     "kube/core/v1/pods", "kube/apps/v1/pods.json", "snapshots/kube/core/v1/pods.json"],
)  # fmt: skip
def test_what_is_no_list_of_a_kind_that_is_read(file: str) -> None:
    assert kind_of_file(file) is None
