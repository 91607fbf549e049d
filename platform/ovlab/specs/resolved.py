"""A training with everything that its weights follow from: the spec, and digests of what the spec only names.

Its fingerprint is known before anything runs, so that a plan can be made, and cells that need the same run be found,
without computing.
"""

from dataclasses import dataclass

from ovlab.specs.errors import InputError
from ovlab.specs.fingerprint import fingerprint
from ovlab.specs.training import TrainingSpec

# Raised whenever the same spec, data and CLIP weights would be trained to other weights.
TRAINING_VERSION = 2

_HEXADECIMAL = frozenset("0123456789abcdef")


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedTraining:
    """`spec.dataset` is the name of the data set here, never a place. `data_digest` is what
    the opened split has as its `digest`. `weights_digest` is the sha256 of the CLIP file that the
    run starts from; None where it starts from random weights of the spec's seed."""

    spec: TrainingSpec
    data_digest: str
    weights_digest: str | None
    training_version: int = TRAINING_VERSION

    def __post_init__(self) -> None:
        if "/" in self.spec.dataset:
            raise InputError(
                f"ResolvedTraining.spec.dataset is {self.spec.dataset!r}, a place; identity needs the data set's name."
            )
        require_digest("ResolvedTraining.data_digest", self.data_digest)
        if self.weights_digest is not None:
            require_digest("ResolvedTraining.weights_digest", self.weights_digest)


def training_fingerprint(resolved: ResolvedTraining) -> str:
    """64 hexadecimal digits: equal if and only if two trainings are the same."""
    return fingerprint(resolved)


def require_digest(name: str, value: str) -> None:
    """Raise InputError unless `value` is a sha256 as 64 hexadecimal digits."""
    if len(value) != 64 or not _HEXADECIMAL.issuperset(value):
        raise InputError(f"{name} must be a sha256 of 64 lower-case hexadecimal digits, got {value!r}.")
