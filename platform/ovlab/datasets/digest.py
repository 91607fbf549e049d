"""The digest of an opened split: what a result names as its data. No pixel is read for it.

It is equal wherever the same data lie, and in any process. Two digests that differ may still be of equal pixels; for a
folder of one's own, equal digests are of equal names and file sizes, which is as much as can be known without reading.
"""

import hashlib
from functools import singledispatch

from ovlab.datasets.folder import FolderDataset
from ovlab.datasets.manifest import names_digest
from ovlab.datasets.sample import SegmentationDataset
from ovlab.datasets.sharded import ShardedDataset
from ovlab.shapes.dataset import ShapesDataset
from ovlab.specs.fingerprint import fingerprint

# Raised whenever the painter would paint the same recipe otherwise; test_shapes.py holds the hash of its scenes.
SHAPES_VERSION = 1


@singledispatch
def data_digest(dataset: SegmentationDataset) -> str:
    """64 hexadecimal digits over the samples' ids and the class names, for a data set of no kind known here.

    Prepared shards give the digest in their manifest, which is over all pixels; a set of the shapes world the version
    of its painter and its recipe; a folder also the sizes of its files.
    """
    return fingerprint({"kind": "names", **_names(dataset)})


@data_digest.register
def _(dataset: ShardedDataset) -> str:
    # Not the digest of the manifest's bytes: the same samples in larger shards are the same data.
    manifest = dataset.manifest
    identity = manifest.identity
    return fingerprint(
        {"kind": "shards", "content": manifest.content_digest, "class_names": names_digest(identity.class_names)}
    )


@data_digest.register
def _(dataset: ShapesDataset) -> str:
    benchmark = dataset.benchmark
    split = benchmark.splits[dataset.split]
    return fingerprint(
        {
            "kind": "shapes",
            "version": SHAPES_VERSION,
            "distribution": split.distribution,
            "seed": split.seed,
            "num_samples": len(dataset),
            "class_names": names_digest(dataset.class_names),
            "label_names": names_digest(dataset.label_names),
            "label_of": benchmark.label_of.tolist(),
        }
    )


@data_digest.register
def _(dataset: FolderDataset) -> str:
    sizes = [[path.stat().st_size for path in pair] for pair in dataset.pairs]
    return fingerprint(
        {"kind": "folder", **_names(dataset), "ignore_index": dataset.ignore_index, "sizes": _text_digest(sizes)}
    )


def _names(dataset: SegmentationDataset) -> dict[str, str]:
    return {"sample_ids": names_digest(dataset.sample_ids), "class_names": names_digest(dataset.class_names)}


def _text_digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
