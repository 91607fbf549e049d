"""Room for processes on the connected Ray: what is missing of it."""

import ray
from ray.util import placement_group_table

# Seconds without room, after which it is said.
PATIENCE = 60.0


def shortage(num_processes: int, *, use_gpu: bool) -> str | None:
    """What the cluster lacks for `num_processes`, each with a GPU or else with a processor of its own; None where it
    has so many, and no group of as many waits for them."""
    kind, name = ("GPU", "GPU") if use_gpu else ("CPU", "processor")
    there, free = (found.get(kind, 0.0) for found in (ray.cluster_resources(), ray.available_resources()))
    waiting = [
        group
        for group in placement_group_table().values()
        if group["state"] in ("PENDING", "RESCHEDULING") and len(group["bundles"]) >= num_processes
    ]
    if there >= num_processes and not waiting:
        return None
    num_nodes = sum(node["Alive"] for node in ray.nodes())
    return (
        f"{num_processes} processes want a {name} each; the cluster ({num_nodes} node{'' if num_nodes == 1 else 's'}) "
        f"has {there:g}, and {free:g} of them free."
    )
