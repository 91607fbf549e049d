"""Pack a split into shards, in parallel, and go on where a killed preparation stopped.

    shards/00000.parquet ...   samples in the order of their ids, a fixed number each
    index.parquet              id, size and digest of every sample
    bad.jsonl                  what was left out with skip_bad, and why; only if there is any
    manifest.json              written last: without it, there is no prepared data here

While the work is under way, unfinished/ holds the identity of the preparation and one record for each finished shard,
written after the shard itself. Which samples go into which shard depends on the sorted ids alone, so that a resumed
preparation ends with the same bytes as one that was never disturbed.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ovlab.datasets.encoding import sample_digest
from ovlab.datasets.manifest import (
    BAD_SAMPLES,
    INDEX,
    MANIFEST,
    PREPARATION_VERSION,
    Identity,
    IndexEntry,
    Manifest,
    content_digest,
    identity_from_json,
    load_index,
    load_manifest,
    names_digest,
    pack_index,
    pack_manifest,
    to_json,
)
from ovlab.datasets.original import OriginalSplit
from ovlab.datasets.pack import UNFINISHED, Packing, ShardRecord, record_from_json, record_name, write_shard
from ovlab.datasets.workers import run_tasks
from ovlab.files.storage import Folder
from ovlab.specs.errors import InputError

CLAIM = f"{UNFINISHED}/identity.json"
NUM_PROBES = 3

# Called with the number of samples done and of all samples.
Progress = Callable[[int, int], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What a call did. `num_written_shards` is 0 when everything was there already."""

    manifest: Manifest
    num_written_shards: int


def prepare(
    split: OriginalSplit,
    uri: str,
    *,
    skip_bad: bool = False,
    num_workers: int = 1,
    num_samples_per_shard: int = 64,
    progress: Progress = lambda done, total: None,
) -> Preparation:
    """Pack `split` into `uri`, a folder or s3://bucket/prefix, unless it is there already.

    The first bad sample raises its InputError, and finished shards are kept; with `skip_bad` such samples are listed
    in bad.jsonl and counted in the manifest instead. Raises InputError when `uri` holds anything else: another split,
    another source, another number of samples a shard, or files of somebody else.
    """
    folder = Folder(uri)
    identity = _identity(split, num_samples_per_shard)
    packing = Packing(split=split, folder=folder, num_samples_per_shard=num_samples_per_shard, skip_bad=skip_bad)
    with folder.locked():
        if MANIFEST in folder.sizes():
            manifest = _finished_before(folder, identity, packing)
            num_written = 0
        else:
            manifest, num_written = _write_missing(folder, identity, packing, num_workers, progress)
        folder.remove_folder(UNFINISHED)
    return Preparation(manifest=manifest, num_written_shards=num_written)


def _identity(split: OriginalSplit, num_samples_per_shard: int) -> Identity:
    place = f"{split.name} {split.split}"
    if not split.sample_ids:
        raise InputError(f"{place}: the source holds no samples.")
    if list(split.sample_ids) != sorted(set(split.sample_ids)):
        raise InputError(f"{place}: sample ids must be sorted and unique.")
    if num_samples_per_shard < 1:
        raise InputError(f"samples per shard must be at least 1, got {num_samples_per_shard}.")
    return Identity(
        name=split.name,
        split=split.split,
        source=type(split).__qualname__,
        preparation_version=PREPARATION_VERSION,
        num_source_samples=len(split.sample_ids),
        num_expected_samples=split.expected_count,
        num_samples_per_shard=num_samples_per_shard,
        class_names=tuple(split.class_names),
        class_names_digest=names_digest(split.class_names),
        sample_ids_digest=names_digest(split.sample_ids),
    )


def _finished_before(folder: Folder, identity: Identity, packing: Packing) -> Manifest:
    manifest = load_manifest(folder)
    _refuse_other_identity(folder, manifest.identity, identity)
    _refuse_other_source(folder, load_index(folder, manifest), packing.split)
    if manifest.num_bad_samples and not packing.skip_bad:
        raise InputError(
            f"{folder}: prepared with {manifest.num_bad_samples} bad samples left out (see {BAD_SAMPLES}). "
            f"Accept them with --skip-bad, or mend the source and prepare into an empty place."
        )
    return manifest


def _write_missing(
    folder: Folder, identity: Identity, packing: Packing, num_workers: int, progress: Progress
) -> tuple[Manifest, int]:
    records = {record.index: record for record in _claim(folder, identity, packing)}
    missing = [shard for shard in range(packing.num_shards) if shard not in records]
    done = sum(len(packing.sample_ids(shard)) for shard in records)
    progress(done, identity.num_source_samples)
    for record in run_tasks(write_shard, packing, missing, num_workers=num_workers):
        records[record.index] = record
        done += len(packing.sample_ids(record.index))
        progress(done, identity.num_source_samples)
    return _write_manifest(folder, identity, [records[shard] for shard in sorted(records)]), len(missing)


def _claim(folder: Folder, identity: Identity, packing: Packing) -> list[ShardRecord]:
    """The shards that an earlier call finished, after making sure that it prepared the same thing.

    A shard that lost its file, and without skip_bad one with bad samples, counts as unfinished.
    """
    if folder.is_empty():
        folder.write(CLAIM, to_json(identity))
        return []
    claims = folder.sizes(UNFINISHED)
    if CLAIM.rsplit("/", 1)[-1] not in claims:
        raise InputError(f"{folder}: not empty, and not a preparation. Give an empty place.")
    _refuse_other_identity(folder, identity_from_json(json.loads(folder.read(CLAIM))), identity)
    names = [record_name(shard) for shard in range(packing.num_shards)]
    found = folder.read_many([name for name in names if name.rsplit("/", 1)[-1] in claims])
    sizes = {f"shards/{name}": size for name, size in folder.sizes("shards").items()}
    records = [record_from_json(json.loads(content)) for content in found]
    _refuse_other_source(folder, [entry for record in records for entry in record.samples], packing.split)
    return [
        record
        for record in records
        if sizes.get(record.entry.file) == record.entry.num_bytes and (packing.skip_bad or not record.bad)
    ]


def _refuse_other_identity(folder: Folder, there: Identity, wanted: Identity) -> None:
    before, now = asdict(there), asdict(wanted)
    differences = [
        f"{field} was {_short(before[field])}, now {_short(now[field])}"
        for field in now
        if field != "class_names" and before[field] != now[field]
    ]
    if differences:
        raise InputError(f"{folder}: holds another preparation ({'; '.join(differences)}). Give an empty place.")


def _refuse_other_source(folder: Folder, entries: Sequence[IndexEntry], split: OriginalSplit) -> None:
    """Another download may have the same ids: a few samples, spread over what is packed, must read as they did."""
    step = max(1, (len(entries) - 1) // (NUM_PROBES - 1))
    for entry in entries[::step]:
        pair = split.read(entry.id)
        if sample_digest(pair.image_bytes, pair.label) != entry.digest:
            raise InputError(f"{folder}: sample {entry.id} was packed from another source. Give an empty place.")


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 2 * hashlib.sha256().digest_size else text


def _write_manifest(folder: Folder, identity: Identity, records: Sequence[ShardRecord]) -> Manifest:
    samples = [entry for record in records for entry in record.samples]
    bad = [sample for record in records for sample in record.bad]
    index = pack_index(samples)
    folder.write(INDEX, index)
    if bad:
        folder.write(BAD_SAMPLES, "".join(json.dumps(sample._asdict()) + "\n" for sample in bad).encode())
    manifest = Manifest(
        identity=identity,
        num_samples=len(samples),
        num_bad_samples=len(bad),
        class_pixels=tuple(sum(column) for column in zip(*(r.class_pixels for r in records), strict=True)),
        num_ignored_pixels=sum(record.num_ignored_pixels for record in records),
        content_digest=content_digest(samples),
        index_sha256=hashlib.sha256(index).hexdigest(),
        shards=tuple(record.entry for record in records),
    )
    folder.write(MANIFEST, pack_manifest(manifest))
    return manifest
