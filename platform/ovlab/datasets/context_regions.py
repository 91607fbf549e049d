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
from jaxtyping import Int32

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

    Raises InputError that begins with `source` for a segmentation that cannot be decoded or has another size.
    """
    from pycocotools import mask as coco_mask

    label = np.zeros(shape, dtype=np.int32)
    for category_id, segmentation in regions:
        try:
            painted = coco_mask.decode(_run_lengths(segmentation, shape))
        # pycocotools raises a bare Exception for a form that it does not know.
        except Exception as error:
            raise InputError(f"{source}: a region of category {category_id} cannot be decoded ({error}).") from None
        if painted.shape != shape:
            found, expected = (f"{width} x {height}" for height, width in (painted.shape, shape))
            raise InputError(f"{source}: a region of category {category_id} is {found}, its image {expected}.")
        label[painted.astype(bool)] = category_id
    return label


def _run_lengths(segmentation: Any, shape: tuple[int, int]) -> Any:
    """A segmentation as compressed run lengths, the one form that can be decoded."""
    from pycocotools import mask as coco_mask

    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, *shape))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, *segmentation["size"])
    return segmentation
