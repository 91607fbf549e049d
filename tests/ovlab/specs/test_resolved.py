"""ovlab.specs.resolved: a training is what its spec and the digests say, in any process, wherever the data lie."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from ovlab.specs.errors import InputError
from ovlab.specs.resolved import ResolvedTraining, training_fingerprint
from ovlab.specs.suite import PAPER

BASE = ResolvedTraining(spec=PAPER.training(), data_digest="a" * 64, weights_digest="b" * 64)


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, data_digest="c" * 64),
        replace(BASE, weights_digest="c" * 64),
        replace(BASE, weights_digest=None),
        replace(BASE, training_version=BASE.training_version + 1),
        replace(BASE, spec=PAPER.training(seed=1)),
        replace(BASE, spec=PAPER.training(training_set="a-150")),
        replace(BASE, spec=PAPER.training(model=replace(PAPER.model(), prior_weight=0.5))),
    ],
)
def test_training_fingerprint_anything_changed_differs(changed: ResolvedTraining) -> None:
    assert training_fingerprint(changed) != training_fingerprint(BASE)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_training_fingerprint_another_process_and_hash_seed_is_equal(hash_seed: str) -> None:
    program = (
        "from ovlab.specs.resolved import *; from ovlab.specs.suite import PAPER\n"
        "print(training_fingerprint(ResolvedTraining(spec=PAPER.training(), data_digest='a' * 64, "
        "weights_digest='b' * 64)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.strip() == training_fingerprint(BASE)


@pytest.mark.parametrize("digest", ["", "A" * 64, "a" * 63, "g" * 64])
def test_resolved_training_with_something_else_for_a_digest_is_refused(digest: str) -> None:
    with pytest.raises(InputError, match=r"data_digest must be a sha256"):
        replace(BASE, data_digest=digest)
    with pytest.raises(InputError, match=r"weights_digest must be a sha256"):
        replace(BASE, weights_digest=digest)


def test_resolved_training_with_a_place_for_a_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"s3://bucket/coco-stuff.*a place"):
        replace(BASE, spec=replace(BASE.spec, dataset="s3://bucket/coco-stuff"))
