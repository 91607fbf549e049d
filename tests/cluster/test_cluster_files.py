"""The cluster file and the RayJob: what Ray's own schema accepts, and what it does not look at."""

import copy
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "ray_cluster.yaml"
JOB = ROOT / "platform" / "cluster" / "ray_job.yaml"
LASTING = ROOT / "platform" / "cluster" / "ray_cluster_kubernetes.yaml"
SECRET = re.compile(r"AKIA[0-9A-Z]{12}|aws_secret|password\s*[:=]|://[^/@\s]+:[^/@\s]+@|PRIVATE KEY", re.IGNORECASE)

# The fields of KubeRay's custom resource, version v1, as its types declare them.
JOB_FIELDS = {
    "activeDeadlineSeconds", "backoffLimit", "rayClusterSpec", "submitterPodTemplate", "metadata", "clusterSelector",
    "submitterConfig", "managedBy", "deletionStrategy", "entrypoint", "runtimeEnvYAML", "jobId", "submissionMode",
    "entrypointResources", "entrypointNumCpus", "entrypointNumGpus", "ttlSecondsAfterFinished",
    "shutdownAfterJobFinishes", "suspend",
}  # fmt: skip
CLUSTER_FIELDS = {
    "headGroupSpec", "workerGroupSpecs", "rayVersion", "enableInTreeAutoscaling", "autoscalerOptions",
    "headServiceAnnotations", "suspend", "authOptions",
}  # fmt: skip
GROUP_FIELDS = {
    "groupName", "replicas", "minReplicas", "maxReplicas", "numOfHosts", "rayStartParams", "template", "scaleStrategy",
}  # fmt: skip


@pytest.fixture
def cluster() -> dict[str, Any]:
    return yaml.safe_load(CLUSTER.read_text())


@pytest.fixture
def job() -> dict[str, Any]:
    return yaml.safe_load(JOB.read_text())


@pytest.fixture
def lasting() -> tuple[dict[str, Any], dict[str, Any]]:
    """The RayCluster and the PodMonitor."""
    first, second = yaml.safe_load_all(LASTING.read_text())
    return first, second


def validate(cluster: dict[str, Any]) -> None:
    """As `ray up` does before it starts anything."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    # prepare_config writes the largest number into types that name none.
    validate_config(prepare_config(copy.deepcopy(cluster)))


def cluster_problems(cluster: dict[str, Any]) -> list[str]:
    """What Ray's schema does not look at."""
    types, head_name = cluster["available_node_types"], cluster["head_node_type"]
    head, workers = types[head_name], {name: kind for name, kind in types.items() if name != head_name}
    spot = {name for name, kind in types.items() if kind["node_config"].get("InstanceMarketOptions")}
    found = []
    if head["resources"].get("CPU") != 0 or "--num-cpus=0" not in " ".join(cluster["head_start_ray_commands"]):
        found.append("tasks would run on the head")
    if head_name in spot:
        found.append("the head can be taken away")
    if not spot or spot == set(workers):
        found.append("workers are not on demand and on spot")
    found += [f"{name}: no GPU" for name, kind in workers.items() if kind["resources"].get("GPU", 0) < 1]
    for name, kind in workers.items():
        if not 0 <= kind["min_workers"] <= kind["max_workers"] <= cluster["max_workers"]:
            found.append(f"{name}: {kind['min_workers']} to {kind['max_workers']} workers")
    found += [
        f"{name}: no instance profile"
        for name, kind in types.items()
        if "IamInstanceProfile" not in kind["node_config"]
    ]
    return found


def test_cluster_file_is_valid_for_ray(cluster: dict[str, Any]) -> None:
    validate(cluster)


def _without_head(cluster: dict[str, Any]) -> None:
    del cluster["head_node_type"]


def _unknown_field(cluster: dict[str, Any]) -> None:
    cluster["idle_minutes"] = 5


def _fractional_gpu(cluster: dict[str, Any]) -> None:
    cluster["available_node_types"]["gpu_spot"]["resources"]["GPU"] = 0.5


def _more_at_least_than_at_most(cluster: dict[str, Any]) -> None:
    cluster["available_node_types"]["gpu_spot"]["min_workers"] = 9


@pytest.mark.parametrize("damage", [_without_head, _unknown_field, _fractional_gpu, _more_at_least_than_at_most])
def test_damaged_cluster_file_is_refused_by_ray(
    damage: Callable[[dict[str, Any]], None], cluster: dict[str, Any]
) -> None:
    damage(cluster)

    with pytest.raises((jsonschema.ValidationError, ValueError)):
        validate(cluster)


def test_cluster_file_has_a_safe_head_and_gpu_workers(cluster: dict[str, Any]) -> None:
    assert cluster_problems(cluster) == []


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("head", "resources", "CPU"), 4, "tasks would run on the head"),
        (("head", "node_config", "InstanceMarketOptions"), {"MarketType": "spot"}, "the head can be taken away"),
        (("gpu_spot", "node_config", "InstanceMarketOptions"), {}, "workers are not on demand and on spot"),
        (("gpu_on_demand", "resources", "GPU"), 0, "gpu_on_demand: no GPU"),
        (("gpu_spot", "max_workers"), 99, "gpu_spot: 0 to 99 workers"),
    ],
)
def test_damaged_cluster_file_has_the_problem_named(
    place: tuple[str, ...], value: object, problem: str, cluster: dict[str, Any]
) -> None:
    inner = cluster["available_node_types"]
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value

    assert problem in cluster_problems(cluster)


def test_cluster_file_commands_are_shell(cluster: dict[str, Any]) -> None:
    commands = [line for name, lines in cluster.items() if name.endswith("_commands") for line in lines]

    assert len(commands) > 5
    for command in commands:
        result = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{command}: {result.stderr}"


def test_cluster_file_nodes_agree_on_store_data_and_sources(cluster: dict[str, Any]) -> None:
    def exported(commands: list[str]) -> dict[str, str]:
        words = [word.rstrip(";") for command in commands for word in shlex.split(command)]
        return dict(word.split("=", 1) for word in words if re.match(r"(RAY_AUTH|PYTHONPATH|OVLAB|MLFLOW)\w*=", word))

    head, worker = exported(cluster["head_start_ray_commands"]), exported(cluster["worker_start_ray_commands"])

    assert head.keys() == worker.keys() >= {"RAY_AUTH_MODE", "OVLAB_STORE", "MLFLOW_TRACKING_URI"}
    different = {name for name in head if head[name] != worker[name]}
    assert different == {"MLFLOW_TRACKING_URI"}
    port = worker["MLFLOW_TRACKING_URI"].rpartition(":")[2]
    server = next(line for line in cluster["head_start_ray_commands"] if "mlflow server" in line)
    assert f"--port {port}" in server
    assert f"$HEAD_IP:{port}" in server


def test_cluster_file_mounts_files_that_there_are(cluster: dict[str, Any]) -> None:
    mounted = [source for source in cluster["file_mounts"].values() if not source.startswith("~")]

    assert mounted
    assert [source for source in mounted if not (ROOT / source).is_file()] == []


@pytest.mark.parametrize("path", [CLUSTER, JOB, LASTING], ids=lambda path: path.name)
def test_file_holds_no_secret_and_one_bucket(path: Path) -> None:
    text = path.read_text()

    assert SECRET.search(text) is None
    assert set(re.findall(r"s3://([^/\s]+)", text)) == {"YOUR-BUCKET"}


@pytest.mark.parametrize("text", ["AKIAIOSFODNN7EXAMPLE", "password: x", "postgresql://mlflow:hunter2@db/mlflow"])
def test_secret_would_be_found(text: str) -> None:
    assert SECRET.search(text) is not None


def test_ray_job_runs_a_command_that_there_is(job: dict[str, Any]) -> None:
    from ovlab.cli import build_parser

    python, flag, module, *command = shlex.split(job["spec"]["entrypoint"])

    assert (python, flag, module) == ("python", "-m", "ovlab")
    assert build_parser().parse_args(command).store.startswith("s3://")


def test_ray_job_has_the_fields_of_kuberay(job: dict[str, Any]) -> None:
    spec = job["spec"]
    cluster = spec["rayClusterSpec"]

    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert spec.keys() <= JOB_FIELDS
    require_cluster_fields(cluster)
    assert spec["submissionMode"] in {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"}


def require_cluster_fields(cluster: dict[str, Any]) -> None:
    assert cluster.keys() <= CLUSTER_FIELDS
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert cluster["authOptions"] == {"mode": "token"}
    for group in cluster["workerGroupSpecs"]:
        assert group.keys() <= GROUP_FIELDS
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/dev/shm"}


def test_lasting_ray_has_the_fields_of_kuberay_and_gpu_pods_only_while_there_is_work(lasting: Any) -> None:
    cluster, _ = lasting

    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    require_cluster_fields(cluster["spec"])
    assert cluster["spec"]["enableInTreeAutoscaling"] is True
    assert {group["replicas"] for group in cluster["spec"]["workerGroupSpecs"]} == {0}


def test_lasting_ray_has_the_pods_of_the_job_and_their_variables(lasting: Any, job: dict[str, Any]) -> None:
    cluster, of_job = lasting[0]["spec"], job["spec"]["rayClusterSpec"]
    variables = yaml.safe_load(job["spec"]["runtimeEnvYAML"])["env_vars"]

    assert cluster["rayVersion"] == of_job["rayVersion"]
    for group, of_the_job in zip(
        [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]],
        [of_job["headGroupSpec"], *of_job["workerGroupSpecs"]],
        strict=True,
    ):
        pod, expected = copy.deepcopy(group["template"]["spec"]), of_the_job["template"]["spec"]
        environment = {entry["name"]: entry["value"] for entry in pod["containers"][0].pop("env")}
        assert pod == expected
        assert environment == {**variables, "OVLAB_STORE": "s3://YOUR-BUCKET/store"}


def test_monitor_reads_the_pods_of_the_lasting_ray(lasting: Any) -> None:
    cluster, monitor = lasting

    assert (monitor["apiVersion"], monitor["kind"]) == ("monitoring.coreos.com/v1", "PodMonitor")
    assert monitor["spec"]["selector"]["matchLabels"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    # KubeRay opens this port on every pod that names none.
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "metrics"}]


def test_ray_job_uses_the_ray_of_the_constraints(job: dict[str, Any]) -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)

    version = job["spec"]["rayClusterSpec"]["rayVersion"]

    assert version == pins["ray"]
    assert f"rayproject/ray:{version}-" in JOB.read_text()


def test_ray_job_environment_imports_what_was_sent(job: dict[str, Any]) -> None:
    environment = yaml.safe_load(job["spec"]["runtimeEnvYAML"])

    assert environment["working_dir"].endswith(".zip")
    assert [(ROOT / part).is_dir() for part in environment["env_vars"]["PYTHONPATH"].split(":")] == [True, True]
