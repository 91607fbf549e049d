"""The checks that need a running Ray: it answers, and a worker on each node can do the work."""

import socket
from dataclasses import dataclass

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ovlab.checks.installation import Finding, probe_store, shared_memory, store_finding
from ovlab.ray.cluster import Cluster, connect
from ovlab.ray.upload import require_listening, source_package
from ovlab.specs.errors import InputError, WorkError

_ANSWER_SECONDS = 180


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What a worker on a node says. `sources` is the digest of the code that it imports."""

    host: str
    sources: str
    memory: Finding
    store_problem: str | None


def check_ray(address: str | None, store: str) -> list[Finding]:
    """The Ray at `address`, or one that is started for this, and a worker on each of its nodes."""
    try:
        if address is not None:
            require_listening(address)
        with connect(address, num_cpus=1) as cluster:
            return [_answers(cluster), *_check_nodes(store)]
    except (InputError, WorkError) as error:
        mend = "Check --address and RAY_ADDRESS, the token (`ray get-auth-token`), and that both sides run one Ray."
        return [Finding("ray", "failed", str(error), mend)]


def node_findings(report: NodeReport, sources: str, store: str) -> list[Finding]:
    """What the report of a node means, held against the digest of the sources of this process."""
    findings = [store_finding(store, f"a worker on {report.host}", report.store_problem)]
    memory = report.memory
    if memory.status != "ok":
        findings.append(Finding(memory.check, memory.status, f"{report.host}: {memory.found}", memory.mend))
    if report.sources != sources:
        mend = (
            "Ask as a job, which brings its sources: ovlab submit -- doctor --ray; or install one version everywhere."
        )
        findings.append(Finding("sources", "failed", f"{report.host} imports other sources than this process", mend))
    return findings


def _answers(cluster: Cluster) -> Finding:
    kind = "started for this check" if cluster.started else f"at {cluster.address}"
    found = f"{ray.__version__} {kind}: {len(_nodes())} nodes, {cluster.num_cpus:g} CPUs, {cluster.num_gpus:g} GPUs"
    return Finding("ray", "ok", found)


def _nodes() -> dict[str, str]:
    """The host of each living node by its id."""
    return {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}


def _check_nodes(store: str) -> list[Finding]:
    # No CPU is asked for, so that the head answers too, and a node that is at work.
    task = ray.remote(num_cpus=0, max_retries=0)(_report)
    asked = [
        (host, task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(store))
        for node, host in _nodes().items()
    ]
    sources = source_package().digest
    findings = []
    for host, answer in asked:
        try:
            report = ray.get(answer, timeout=_ANSWER_SECONDS)
        except (RayError, GetTimeoutError) as error:
            findings.append(_silent(host, error))
        else:
            findings += node_findings(report, sources, store)
    return findings


def _report(store: str) -> NodeReport:
    return NodeReport(socket.gethostname(), source_package().digest, shared_memory(), probe_store(store))


def _silent(host: str, error: Exception) -> Finding:
    lines = str(error).strip().splitlines()
    reason = lines[-1].strip() if lines else f"no answer after {_ANSWER_SECONDS} s"
    mend = "Ask as a job, which brings its sources: ovlab submit -- doctor --ray; `ray status` shows the nodes."
    return Finding("worker", "failed", f"a worker on {host}: {reason}", mend)
