"""The region oracle: it is told where the regions of an image are, and only what they are is left to the prediction.

A region is a connected component of one class in the ground truth; corners touch. So two cars apart are two regions,
each asked by itself, as two masks would be. Its answer is the class that most of its pixels were given, so that what
is still missing then is no matter of where masks end.

Axes: H x W pixels.
"""

import numpy as np
from jaxtyping import Int32, Integer, UInt16

from ovlab.metrics.counting import IGNORE_INDEX


def regions_of(label: Integer[np.ndarray, "H W"]) -> Int32[np.ndarray, "H W"]:
    """The regions of an image, numbered from 1; 0 where the label is ignored."""
    from scipy import ndimage  # here, because few evaluations ask for regions

    regions, num_before = np.zeros(label.shape, np.int32), 0
    boxes = ndimage.find_objects(np.where(label == IGNORE_INDEX, 0, label.astype(np.int32) + 1))
    for index, box in enumerate(boxes):
        if box is not None:
            found, num = ndimage.label(label[box] == index, np.ones((3, 3)))
            regions[box] += np.where(found, found + num_before, 0)
            num_before += num
    return regions


def majority(prediction: UInt16[np.ndarray, "H W"], regions: Int32[np.ndarray, "H W"]) -> UInt16[np.ndarray, "H W"]:
    """At each pixel of a region the class that most of its pixels have, of equals the lowest; elsewhere the
    prediction as it is."""
    inside = regions > 0
    pairs, number = np.unique(regions[inside].astype(np.int64) << 16 | prediction[inside], return_counts=True)
    region, answer = pairs >> 16, (pairs & 0xFFFF).astype(np.uint16)
    # The first of each region is its answer: pairs are sorted, so of equals the lower class comes first.
    order = np.lexsort((-number, region))
    first = order[np.unique(region[order], return_index=True)[1]]
    answers = np.zeros(regions.max() + 1, np.uint16)
    answers[region[first]] = answer[first]
    return np.where(inside, answers[regions], prediction)
