"""Photographs and label maps out of thin air, in the layout of an original download: as many as a benchmark asks for.

Real sets may not be passed on. These have what costs time in real ones: JPEG detail, and label maps whose regions
have curved borders.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from ovlab.datasets.label_map import lookup_table
from ovlab.datasets.original import FolderSplit

IGNORED = 255


def write_download(
    folder: Path, *, num_images: int, height: int = 512, width: int = 683, num_classes: int = 150, seed: int = 0
) -> FolderSplit:
    """Write `num_images` pairs to folder/images and folder/labels and open them as a split of `num_classes` <= 254.

    Image i is the same whatever `num_images` is. Files that are there already are left as they are.
    """
    images, labels = folder / "images", folder / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    sample_ids = tuple(f"{index:06d}" for index in range(num_images))
    for index, sample_id in enumerate(sample_ids):
        if (labels / f"{sample_id}.png").exists():
            continue
        random = np.random.default_rng((seed, index))
        Image.fromarray(_photograph(random, height, width)).save(images / f"{sample_id}.jpg", quality=90)
        Image.fromarray(_label(random, height, width, num_classes)).save(labels / f"{sample_id}.png")
    return open_download(folder, sample_ids, num_classes)


def open_download(folder: Path, sample_ids: tuple[str, ...], num_classes: int) -> FolderSplit:
    """The split that reads what `write_download` wrote: raw value = class index, 255 ignored."""
    return FolderSplit(
        name="synthetic",
        split="val",
        class_names=tuple(f"class {index}" for index in range(num_classes)),
        sample_ids=sample_ids,
        expected_count=len(sample_ids),
        image_folder=folder / "images",
        label_folder=folder / "labels",
        table=lookup_table(range(num_classes), num_values=256, ignored=(IGNORED,)),
    )


def _photograph(random: np.random.Generator, height: int, width: int) -> UInt8[np.ndarray, "H W 3"]:
    smooth = np.stack([_smooth_field(random, height, width, cells=12) for _ in range(3)], axis=-1)
    grain = random.normal(scale=6, size=(height, width, 1))
    return np.clip(smooth * 255 + grain, 0, 255).astype(np.uint8)


def _label(random: np.random.Generator, height: int, width: int, num_classes: int) -> UInt8[np.ndarray, "H W"]:
    levels = (_smooth_field(random, height, width, cells=6) * 12).astype(np.int64)
    classes = random.integers(num_classes, size=13)
    classes[0] = IGNORED
    return classes[np.clip(levels, 0, 12)].astype(np.uint8)


def _smooth_field(random: np.random.Generator, height: int, width: int, cells: int) -> Float32[np.ndarray, "H W"]:
    coarse = Image.fromarray(random.random((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
