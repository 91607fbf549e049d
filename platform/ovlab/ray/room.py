"""Room for processes on the connected Ray: what is missing of it."""

import ray

# Seconds without room, after which it is said.
PATIENCE = 60.0


def shortage(num_processes: int, *, use_gpu: bool) -> str:
    """What the cluster lacks for `num_processes`, each with a GPU or else with a processor of its own."""
    kind, name = ("GPU", "GPU") if use_gpu else ("CPU", "processor")
    there, free = (found.get(kind, 0.0) for found in (ray.cluster_resources(), ray.available_resources()))
    num_nodes = sum(node["Alive"] for node in ray.nodes())
    return (
        f"{num_processes} processes want a {name} each; the {num_nodes} nodes of the cluster have {there:g}, and "
        f"{free:g} of them free."
    )
