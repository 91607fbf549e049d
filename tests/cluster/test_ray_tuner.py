"""ovlab.ray.tuner: trials on one Ray, against one process."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import ray
import torch
from ray._private.worker import get_dashboard_url
from ray.util import placement_group_table
from ray.util.state import list_actors

from micro_sweep import END, assert_same, made_in, statuses
from micro_table import SMALL, TABLE
from ovlab.ray.cluster import Cluster, connect
from ovlab.ray.on_ray import OnRay
from ovlab.runs.clip_files import RANDOM
from ovlab.runs.context import RunContext
from ovlab.runs.executor import Executor
from ovlab.runs.failure import Failure
from ovlab.runs.here import Here
from ovlab.runs.sources import Sources
from ovlab.specs.errors import InputError, Stopped
from ovlab.specs.suite import SHAPES
from ovlab.specs.table import Row, Table, Variation
from ovlab.store.costs import costs_of
from ovlab.store.store import Store, open_store
from ovlab.sweeps.making import make_sweep
from ovlab.sweeps.planner import make_plan
from ovlab.sweeps.search import without_given_up
from ovlab.sweeps.sweep import Plan

pytestmark = pytest.mark.long

SOURCES = Sources(clip_files={"shapes-vit-s": RANDOM})
# A wish to stop takes up to a second to arrive: a run must last longer.
NUM_STEPS = 40


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        torch.set_num_threads(1)
        with connect("local", num_cpus=2) as cluster:
            yield cluster


def planned(store: Store, table: Table = TABLE, num_steps: int = NUM_STEPS) -> Plan:
    return make_plan([table], SHAPES, store, SOURCES, limit_steps=num_steps, limit_images=2)


def make(folder: Path, executor: Executor, plan: Callable[[Store], Plan] = planned, **changes: object) -> list[Failure]:
    store = open_store(str(folder / "store"))
    given = {"sources": SOURCES, "device": "cpu", "num_loader_workers": 0, "checkpoint_every": 2}
    context = RunContext(store=store, workdir=folder / "runs", **{**given, **changes})
    return make_sweep(plan(store), context, executor)


@pytest.fixture(scope="module")
def one_process(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    assert len(make(folder, Here())) == 1
    return folder


def test_trials_make_what_one_process_makes_and_one_that_fails_stops_no_other(
    cluster: Cluster, one_process: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (failure,) = make(tmp_path, OnRay(num_at_once=2))

    assert failure.run.name == "micro broken, seed 0"
    assert "the loss is nan" in failure.cause
    assert_same(tmp_path, one_process)
    assert statuses(tmp_path) == END
    # The driver says how far each of its trials is.
    assert re.search(r"\[\d/\d\] micro .*: train: step \d+/\d+, loss", capfd.readouterr().err)
    assert {group["state"] for group in placement_group_table().values()} <= {"REMOVED"}
    here = ray.get_runtime_context().gcs_address  # another Ray may run on this machine
    left = [actor.class_name for actor in list_actors(address=here, filters=[("state", "=", "ALIVE")])]
    assert [name for name in left if "ImplicitFunc" in name] == []


def test_trials_asked_to_stop_save_their_state_and_the_next_call_continues_to_the_same_weights(
    cluster: Cluster, one_process: Path, tmp_path: Path
) -> None:
    def begun() -> bool:
        # One of the two may be the run that ends by itself at its second step.
        return len(list((tmp_path / "runs").glob("*/spec.json"))) > 1

    with pytest.raises(Stopped, match="the same command continues"):
        make(tmp_path, OnRay(num_at_once=2), stop=begun)

    assert "RUNNING" not in statuses(tmp_path).values()
    assert "KILLED" in statuses(tmp_path).values()
    assert len(made_in(tmp_path)[1]) < 4

    make(tmp_path, OnRay(num_at_once=2))

    assert_same(tmp_path, one_process)
    store = open_store(str(tmp_path / "store"))
    attempts = [costs_of(store, record.fingerprint, record.fingerprint) for record in store.trainings()]
    assert "stopped" in {attempt.status for ofone in attempts for attempt in ofone}


def test_ray_that_a_command_starts_answers_nobody_without_its_token(cluster: Cluster) -> None:
    dashboard = get_dashboard_url()

    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://{dashboard}/api/jobs/", timeout=30)

    assert refused.value.code == 401


@pytest.mark.parametrize(("device", "reason"), [("cuda", "has no GPU"), ("cuda:1", "use cpu, cuda or auto")])
def test_device_that_a_trial_cannot_have_is_refused(device: str, reason: str, cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=reason):
        make(tmp_path, OnRay(), device=device)


def test_search_gives_up_a_run_that_does_not_learn_without_a_record_and_does_not_begin_it_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    learns = Variation(training_set="pc-59", model=SMALL, schedule={"batch_size": 1, "learning_rate": 1e-3})
    idles = replace(learns, schedule={"batch_size": 1, "learning_rate": 0.0})
    rows = tuple(Row(key=key, label="", run=run) for key, run in (("learns", learns), ("idles", idles)))
    table, store = replace(TABLE, name="searched", rows=rows), open_store(str(tmp_path / "store"))
    plan = planned(store, table, 18)

    failures = make(tmp_path, OnRay(num_at_once=1, search="asha"), lambda _: plan)

    assert failures == []
    assert [record.fingerprint for record in store.trainings()] == [plan.runs[0].subject.fingerprint]
    assert statuses(tmp_path) == {
        "searched": "FINISHED",
        "searched learns": "FINISHED",
        "searched idles": "KILLED",
    }
    again = planned(store, table, 18)
    assert again.runs[1].status == "missing"
    assert without_given_up(again, store).missing == ()
