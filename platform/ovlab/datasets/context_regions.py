"""The regions of trainval_merged.json, and the label map that they paint.

The file is in the format of the Detail API: `images` with file_name, image_id, phase, height and width;
`annos_segmentation` with image_id, category_id and a segmentation as in COCO, that is run lengths, compressed or not,
or polygons; `categories` with category_id and name. The ids are those of PASCAL-Context's labels.txt.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, UInt8

from ovlab.specs.errors import InputError
from ovlab.specs.wording import first_names, thousands

PHASES = ("train", "val")

# category_id, and a COCO segmentation: {"size": [h, w], "counts": ...} or a list of polygons x1, y1, x2, y2, ...
Region = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class MergedRegions:
    """What one phase of the file holds. Keys are stems of image files.

    shapes: height and width; regions: in the order in which they are painted; category_ids: all ids that may occur.
    notes: what of the file is in no split, if anything is.
    """

    shapes: dict[str, tuple[int, int]]
    regions: dict[str, tuple[Region, ...]]
    category_ids: frozenset[int]
    notes: tuple[str, ...] = ()


def load_merged_regions(path: Path, phase: str) -> MergedRegions:
    """The images of `phase`, "train" or "val". Raises InputError, one line, for a file of another kind,
    and for an image that is there twice."""
    try:
        data = json.loads(path.read_bytes())
        listed = [image for image in data["images"] if image["phase"] == phase]
        images = {image["image_id"]: image for image in listed}
        stems = {image_id: Path(image["file_name"]).stem for image_id, image in images.items()}
        regions: dict[str, list[Region]] = {stem: [] for stem in stems.values()}
        if len(regions) != len(listed):
            raise InputError(
                f"{path}: {len(listed)} images of {phase}, of which {len(regions)} differ; keep one of each."
            )
        for region in data["annos_segmentation"]:
            if region["image_id"] in stems:
                regions[stems[region["image_id"]]].append((region["category_id"], region["segmentation"]))
        return MergedRegions(
            shapes={stems[image_id]: (image["height"], image["width"]) for image_id, image in images.items()},
            regions={stem: tuple(painted) for stem, painted in regions.items()},
            category_ids=frozenset(category["category_id"] for category in data["categories"]),
            notes=_outside(path, data),
        )
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not the JSON of PASCAL-Context ({type(error).__name__}: {error}).") from None


def _outside(path: Path, data: dict[str, Any]) -> tuple[str, ...]:
    """Notes on images of no known phase, and on regions of images that are not listed."""
    phases = {image["image_id"]: image["phase"] for image in data["images"]}
    others = [str(phase) for phase in phases.values() if phase not in PHASES]
    lost = [str(region["image_id"]) for region in data["annos_segmentation"] if region["image_id"] not in phases]
    found = (
        (len(others), f"image(s) of a phase that is none of {', '.join(PHASES)}", sorted(set(others))),
        (len(lost), "region(s) of images that are not listed", sorted(set(lost))),
    )
    return tuple(f"{path}: {thousands(num)} {what} left out: {first_names(names)}" for num, what, names in found if num)


def paint(regions: tuple[Region, ...], shape: tuple[int, int], source: str) -> Int32[np.ndarray, "H W"]:
    """The category id of each pixel, 0 where no region is; a later region covers an earlier one.

    Raises InputError that begins with `source` for a segmentation that cannot be decoded, does not cover its image
    exactly or has another size.
    """
    label = np.zeros(shape, dtype=np.int32)
    for category_id, segmentation in regions:
        region = f"{source}: a region of category {category_id}"
        try:
            painted = _mask(segmentation, shape, region)
        except InputError:
            raise
        # pycocotools raises a bare Exception for a form that it does not know.
        except Exception as error:
            raise InputError(f"{region} cannot be decoded ({error}).") from None
        label[painted.astype(bool)] = category_id
    return label


def _mask(segmentation: Any, shape: tuple[int, int], region: str) -> UInt8[np.ndarray, "H W"]:
    """A region as 0 and 1. pycocotools believes what it is given, and reads beyond the end of short run lengths."""
    from pycocotools import mask as coco_mask

    if isinstance(segmentation, list):
        for corner in segmentation:
            xy = np.asarray(corner, dtype=np.float64)
            if not (np.abs(xy) <= 2 * max(shape)).all():
                raise InputError(f"{region} has corners far outside of its image.")
        encoded = coco_mask.merge(coco_mask.frPyObjects(segmentation, *shape))
    else:
        height, width = segmentation["size"]
        if (height, width) != shape:
            raise InputError(f"{region} is {width} x {height}, its image {shape[1]} x {shape[0]}.")
        counts = segmentation["counts"]
        runs = counts if isinstance(counts, list) else _run_lengths(counts)
        if not all(type(run) is int and run >= 0 for run in runs) or sum(runs) != height * width:
            raise InputError(f"{region} has run lengths that do not cover its image of {width} x {height} exactly.")
        encoded = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    painted = coco_mask.decode(encoded)
    if painted.max(initial=0) > 1 or int(coco_mask.area(encoded)) != np.count_nonzero(painted):
        raise InputError(f"{region} is painted with another area than its run lengths have.")
    return painted


def _run_lengths(compressed: str) -> list[int]:
    """The numbers in COCO's compressed run lengths: 5 bits a character from 48 on, the lowest first, 32 says that more
    follow; from the fourth number on, each is told as its difference to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for code in compressed.encode("ascii"):
        bits = code - 48
        if not 0 <= bits < 64:
            raise ValueError(f"character {chr(code)!r} in the run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("the run lengths end within a number")
    return runs
