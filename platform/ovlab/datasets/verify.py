"""`ovlab data verify`: read every byte of a split once, and hold it against all that is known about it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt16

from ovlab.datasets.encoding import count_labels
from ovlab.datasets.folder import FolderDataset, open_folder
from ovlab.datasets.integrity import Problem, check_shard, manifest_problems
from ovlab.datasets.manifest import BAD_SAMPLES
from ovlab.datasets.oracle import constant_differences, constant_scores, perfect_differences
from ovlab.datasets.photograph import is_undecided
from ovlab.datasets.sample import IGNORE_INDEX
from ovlab.datasets.sharded import ShardedDataset, open_shards
from ovlab.datasets.workers import run_tasks
from ovlab.metrics.class_totals import ClassTotals
from ovlab.metrics.counting import sparse_counts
from ovlab.metrics.evaluation_counts import sum_counts
from ovlab.specs.errors import InputError

MAX_LISTED = 8
_PAIRS_A_TASK = 64

Label = UInt16[np.ndarray, "_ _"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was looked at, and in one line what was found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """The result for one split. `problems` names each damaged shard, and sample where one can be told."""

    uri: str
    name: str
    split: str
    num_samples: int
    num_bad_samples: int
    ignored_share: float
    checks: tuple[Check, ...]
    problems: tuple[Problem, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Counted:
    """What the sound samples of some shards add up to. `num_elsewhere`: the counted pixels of the images that have
    no pixel of the constant class."""

    label_pixels: Int64[np.ndarray, "65536"]
    num_elsewhere: int
    oracle: ClassTotals
    constant: ClassTotals

    def __add__(self, other: "_Counted") -> "_Counted":
        return _Counted(
            label_pixels=self.label_pixels + other.label_pixels,
            num_elsewhere=self.num_elsewhere + other.num_elsewhere,
            oracle=self.oracle + other.oracle,
            constant=self.constant + other.constant,
        )


@dataclass(frozen=True, slots=True)
class _Task:
    """What a worker needs to know. `constant` is the class that the constant prediction says everywhere."""

    dataset: ShardedDataset
    constant: int


def verify(
    uri: str,
    *,
    num_workers: int = 1,
    allow_partial: bool = False,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Verification:
    """Check counts, digests, label values and histogram of the split in `uri`, then the two oracles.

    `allow_partial` accepts fewer samples than the published split has. Raises InputError where nothing is prepared, or
    where manifest or index themselves cannot be read.
    """
    dataset = open_shards(uri)
    manifest = dataset.manifest
    task = _Task(dataset, constant=int(np.argmax(manifest.class_pixels)))
    counted = _count([], task)
    problems: list[Problem] = []
    num_done = 0
    progress(0, len(dataset))
    for shard, found, sums in run_tasks(_check_one_shard, task, range(len(manifest.shards)), num_workers=num_workers):
        problems += found
        counted += sums
        num_done += manifest.shards[shard].num_samples
        progress(num_done, len(dataset))
    num_ignored, num_pixels = int(counted.label_pixels[IGNORE_INDEX]), int(counted.label_pixels.sum())
    return Verification(
        uri=uri,
        name=dataset.name,
        split=dataset.split,
        num_samples=len(dataset),
        num_bad_samples=manifest.num_bad_samples,
        ignored_share=num_ignored / num_pixels if num_pixels else 0.0,
        checks=(
            _number_check(dataset, allow_partial=allow_partial),
            _manifest_check(dataset),
            _bytes_check(dataset, problems),
            _histogram_check(dataset, counted),
            _oracle_check(counted),
            _constant_check(counted, task.constant, dataset.class_names),
        ),
        problems=tuple(sorted(problems, key=lambda problem: (problem.file, problem.sample_id or ""))),
    )


def verify_folder(
    root: Path, split: str, *, num_workers: int = 1, progress: Callable[[int, int], object] = lambda done, total: None
) -> Verification:
    """Read every pair of a folder of one's own. Raises InputError where it cannot be opened."""
    dataset = open_folder(root, split)
    pixels = np.zeros(IGNORE_INDEX + 1, dtype=np.int64)
    problems: list[Problem] = []
    undecided: list[str] = []
    parts, num_done = range(0, len(dataset), _PAIRS_A_TASK), 0
    progress(0, len(dataset))
    for num_read, bad, unclear, counts in run_tasks(_read_pairs, dataset, parts, num_workers=num_workers):
        problems += bad
        undecided += unclear
        pixels += counts
        num_done += num_read
        progress(num_done, len(dataset))
    whole = "all can be read" if not problems else f"{len(problems)} of {len(dataset)} cannot be read"
    found = dataset.pixels_of(pixels)
    classes = Check(name="classes", passed=True, found=str(found))
    try:
        if not problems:  # of what is left of a split, little can be expected
            dataset.refuse_swallowed(found)
    except InputError as error:
        classes = Check(name="classes", passed=False, found=str(error))
    checks = [Check(name="photographs and labels", passed=not problems, found=whole), classes]
    if undecided:
        said = f"{len(undecided)} with an EXIF orientation that the size of the label cannot tell are read as stored"
        checks.append(Check(name="orientation", passed=True, found=f"{said}: {_some(sorted(undecided))}"))
    return Verification(
        uri=str(root),
        name=dataset.name,
        split=split,
        num_samples=len(dataset),
        num_bad_samples=len(problems),
        ignored_share=found.ignored_share or 0.0,
        checks=tuple(checks),
        problems=tuple(sorted(problems, key=lambda problem: problem.file)),
    )


def _read_pairs(dataset: FolderDataset, start: int) -> tuple[int, list[Problem], list[str], Int64[np.ndarray, "65536"]]:
    """How many pairs one task has from `start` on, those that cannot be read, the photographs of the others that are
    undecided (see `is_undecided`), and the label values of the others."""
    indices = range(start, min(start + _PAIRS_A_TASK, len(dataset)))
    problems, undecided, counts = [], [], np.zeros(IGNORE_INDEX + 1, dtype=np.int64)
    for index in indices:
        pair = dataset.pairs[index]
        try:
            label = dataset[index].label
            counts += count_labels(label)
            if is_undecided(pair.image, (label.shape[0], label.shape[1])):
                undecided.append(pair.image.name)
        except InputError as error:
            problems.append(Problem(file=str(pair.image), sample_id=dataset.sample_ids[index], message=str(error)))
    return len(indices), problems, undecided, counts


def _check_one_shard(task: _Task, shard: int) -> tuple[int, list[Problem], _Counted]:
    problems: list[Problem] = []
    sound = _sound_labels(check_shard(task.dataset, shard), problems)
    return shard, problems, _count(sound, task)


def _sound_labels(found: Iterable[Label | Problem], problems: list[Problem]) -> Iterator[Label]:
    for item in found:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            yield item


def _count(labels: Iterable[Label], task: _Task) -> _Counted:
    num_classes = len(task.dataset.class_names)
    label_pixels = np.zeros(IGNORE_INDEX + 1, dtype=np.int64)
    num_elsewhere = 0
    oracle, constant = [], []
    for label in labels:
        pixels = count_labels(label)
        label_pixels += pixels
        if not pixels[task.constant]:
            num_elsewhere += int(pixels[:IGNORE_INDEX].sum())
        oracle.append(sparse_counts(label, label, num_classes))
        constant.append(sparse_counts(np.full_like(label, task.constant), label, num_classes))
    return _Counted(
        label_pixels=label_pixels,
        num_elsewhere=num_elsewhere,
        oracle=sum_counts(oracle, num_classes),
        constant=sum_counts(constant, num_classes),
    )


def _number_check(dataset: ShardedDataset, *, allow_partial: bool) -> Check:
    manifest = dataset.manifest
    num_expected = manifest.identity.num_expected_samples
    found = f"{manifest.num_samples} of {num_expected} samples"
    if manifest.num_bad_samples:
        found += f", {manifest.num_bad_samples} bad ones left out (see {BAD_SAMPLES})"
    if manifest.num_samples == num_expected or allow_partial:
        return Check(name="number of samples", passed=True, found=found)
    return Check(name="number of samples", passed=False, found=f"{found} (--allow-partial accepts this)")


def _manifest_check(dataset: ShardedDataset) -> Check:
    problems = manifest_problems(dataset)
    return Check(name="manifest and index", passed=not problems, found="; ".join(problems) or "agree")


def _bytes_check(dataset: ShardedDataset, problems: Sequence[Problem]) -> Check:
    shards = dataset.manifest.shards
    found = f"{len(shards)} shards, {sum(shard.num_bytes for shard in shards)} bytes"
    files = sorted({problem.file for problem in problems})
    if files:
        found = f"{len(files)} of {len(shards)} shards are not as they were prepared: {_some(files)}"
    return Check(name="digests, images and label values", passed=not problems, found=found)


def _histogram_check(dataset: ShardedDataset, counted: _Counted) -> Check:
    expected = np.zeros(IGNORE_INDEX + 1, dtype=np.int64)
    expected[: len(dataset.class_names)] = dataset.manifest.class_pixels
    expected[IGNORE_INDEX] = dataset.manifest.num_ignored_pixels
    wrong = [
        f"{counted.label_pixels[value]} pixels of {value}, the manifest says {expected[value]}"
        for value in np.flatnonzero(expected != counted.label_pixels)
    ]
    num_present = np.count_nonzero(counted.label_pixels[:IGNORE_INDEX])
    equal = f"{num_present} of {len(dataset.class_names)} classes have pixels, as the manifest says"
    return Check(name="class histogram", passed=not wrong, found=_some(wrong) or equal)


def _oracle_check(counted: _Counted) -> Check:
    wrong = perfect_differences(counted.oracle)
    return Check(
        name="ground truth as prediction", passed=not wrong, found=_some(wrong) or "100.0 on every metric, exactly"
    )


def _constant_check(counted: _Counted, constant: int, class_names: Sequence[str]) -> Check:
    class_pixels = counted.label_pixels[: len(class_names)].tolist()
    name = f"'{class_names[constant]}' everywhere"
    if not any(class_pixels):
        return Check(name=name, passed=False, found="no pixel has a class")
    expected = constant_scores(class_pixels, constant, counted.num_elsewhere)
    wrong = constant_differences(counted.constant, expected)
    equal = (
        f"mIoU {100 * expected['miou']:.4f}, pixel accuracy {100 * expected['pixel_accuracy']:.4f}, as the formula says"
    )
    return Check(name=name, passed=not wrong, found=_some(wrong) or equal)


def _some(lines: Sequence[str]) -> str:
    more = f" and {len(lines) - MAX_LISTED} more" if len(lines) > MAX_LISTED else ""
    return "; ".join(lines[:MAX_LISTED]) + more
