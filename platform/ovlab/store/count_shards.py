"""An evaluation in shards of images: each is committed as it is counted, so that a killed evaluation continues.

Which images make up a shard follows from the ids alone. So any number of processes may count shards in any order, and
two that count the same one end with one file.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ovlab.metrics.evaluation_counts import ImageCounts
from ovlab.specs.errors import InputError, WorkError
from ovlab.specs.wording import first_names
from ovlab.store.counts import CountColumns, concatenated, counts_digest, pack_counts, unpack_columns
from ovlab.store.record import DamagedError
from ovlab.store.store import Store, evaluation_folder

IMAGES_PER_SHARD = 64

_log = logging.getLogger(__name__)


class CountShard(NamedTuple):
    """`file` is its name in the store; `indices` are the positions in the data set of the images `ids`."""

    file: str
    ids: tuple[str, ...]
    indices: tuple[int, ...]


def plan_shards(sample_ids: Sequence[str]) -> tuple[CountShard, ...]:
    """The shards of a data set: its images sorted by id, IMAGES_PER_SHARD in each.

    Raises InputError for an id that is there twice.
    """
    ordered = sorted((name, index) for index, name in enumerate(sample_ids))
    for (name, _), (following, _) in pairwise(ordered):
        if name == following:
            raise InputError(f"image {name!r} is there twice; every image of a data set needs an id of its own.")
    parts = [ordered[start : start + IMAGES_PER_SHARD] for start in range(0, len(ordered), IMAGES_PER_SHARD)]
    return tuple(
        CountShard(f"{number:05d}.parquet", tuple(name for name, _ in part), tuple(index for _, index in part))
        for number, part in enumerate(parts)
    )


def commit_shard(store: Store, fingerprint: str, shard: CountShard, images: Sequence[ImageCounts]) -> None:
    """Write the counts of a whole shard, unless another process was faster; what is there then stays.

    Raises WorkError, naming them, when other images were counted than those of the shard.
    """
    counted = {image.id: image for image in images}
    missing, others = [name for name in shard.ids if name not in counted], sorted(counted.keys() - set(shard.ids))
    if missing or others or len(images) != len(shard.ids):
        raise WorkError(
            f"shard {shard.file}: {len(shard.ids)} images in, {len(images)} out; missing: {first_names(missing)}; "
            f"not asked for: {first_names(others)}."
        )
    store.folder.create(_name(fingerprint, shard), pack_counts([counted[name] for name in shard.ids], fingerprint))


def committed_shards(store: Store, fingerprint: str, shards: Sequence[CountShard]) -> dict[CountShard, CountColumns]:
    """The counts of those shards that are committed.

    A file that is damaged, or of other images, is named in a warning and removed, so that it is counted again.
    """
    names = {_name(fingerprint, shard): shard for shard in shards}
    committed = {}
    for name, content in store.folder.read_existing(names).items():
        try:
            counts = unpack_columns(content, place=store.folder.locate(name), evaluation=fingerprint)
            if counts.ids != names[name].ids:
                raise DamagedError(f"{store.folder.locate(name)}: holds other images than its shard.")
        except DamagedError as error:
            _log.warning("%s It is counted again.", error)
            store.folder.remove(name)
        else:
            committed[names[name]] = counts
    return committed


def stored_shards(store: Store, fingerprint: str) -> dict[str, CountColumns]:
    """The counts of each file of a finished evaluation, in order. Raises DamagedError naming a damaged file."""
    folder = f"{evaluation_folder(fingerprint)}/counts"
    names = sorted(store.folder.sizes(folder))
    contents = store.folder.read_many(f"{folder}/{name}" for name in names)
    return {
        name: unpack_columns(content, place=store.folder.locate(f"{folder}/{name}"))
        for name, content in zip(names, contents, strict=True)
    }


def columns_of(store: Store, fingerprint: str) -> CountColumns:
    """The counts of every image of a finished evaluation, sorted by id. Errors as `stored_shards`."""
    return concatenated(list(stored_shards(store, fingerprint).values()))


def discard_counts(store: Store, fingerprint: str, digests: Mapping[str, str]) -> None:
    """Remove every file of counts but those of which `digests` has the `counts_digest`, so that it is counted again."""
    folder = f"{evaluation_folder(fingerprint)}/counts"
    for file in store.folder.sizes(folder):
        name = f"{folder}/{file}"
        try:
            digest = counts_digest(unpack_columns(store.folder.read(name), place=store.folder.locate(name)))
        except DamagedError:
            digest = None
        if digest != digests.get(file, ""):
            store.folder.remove(name)


def _name(fingerprint: str, shard: CountShard) -> str:
    return f"{evaluation_folder(fingerprint)}/counts/{shard.file}"
