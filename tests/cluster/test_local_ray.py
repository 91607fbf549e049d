"""A Ray that ovlab starts on this machine is nobody else's."""

import json
import subprocess
import sys

LISTENING = """
import json
import psutil
import ray
from ovlab.ray.cluster import connect

with connect(num_cpus=1):
    ray.get(ray.remote(lambda: 1).remote())
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    found = [
        (process.name(), one.laddr.ip)
        for process in processes
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
print(json.dumps(found))
"""


def test_every_process_of_a_local_ray_listens_on_loopback_alone() -> None:
    found = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, timeout=300, check=True)

    listening = json.loads(found.stdout.splitlines()[-1])
    assert {"gcs_server", "raylet", "ray::DashboardAgent"} <= {name for name, _ in listening}
    assert {address for _, address in listening} <= {"127.0.0.1", "::ffff:127.0.0.1"}
