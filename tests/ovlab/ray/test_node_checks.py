"""ovlab.ray.node_checks: what the report of a node means. tests/cluster asks a real one."""

import socket

from ovlab.checks.installation import Finding
from ovlab.ray.node_checks import NodeReport, check_ray, node_findings

MEMORY = Finding("shared memory", "ok", "1024 MiB free in /dev/shm")
SMALL = Finding("shared memory", "warning", "64 MiB free in /dev/shm", "--shm-size")


def test_node_that_can_do_the_work_is_ok() -> None:
    (finding,) = node_findings(NodeReport("node-1", "abc", MEMORY, None), "abc", "s3://b/store")

    assert finding.status == "ok"
    assert "a worker on node-1" in finding.found


def test_node_with_every_fault_names_each_and_itself() -> None:
    report = NodeReport("node-1", "old", SMALL, "s3://b/store: Access Denied")

    findings = node_findings(report, "abc", "s3://b/store")

    assert [(finding.check, finding.status) for finding in findings] == [
        ("store", "failed"),
        ("shared memory", "warning"),
        ("sources", "failed"),
    ]
    assert all("node-1" in finding.found for finding in findings)
    assert all(finding.mend for finding in findings)


def test_ray_that_does_not_answer_fails_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"

    (finding,) = check_ray(closed, "store")

    assert finding.status == "failed"
    assert f"no Ray at {closed}: Connection refused" in finding.found
