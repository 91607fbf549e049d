"""One photograph with its label map, and what every data set offers.

Labels are uint16 whatever the file on disk holds, and an ignored pixel is always IGNORE_INDEX: an 8-bit 255 would
collide with class 255 of the sets that have more classes than that (A-847, PC-459).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, UInt8, UInt16

from ovlab.datasets.label_pixels import LabelPixels
from ovlab.datasets.label_space import LabelSpace
from ovlab.specs.evaluation import SynonymRule

IGNORE_INDEX = 65535


@dataclass(frozen=True, slots=True)
class Sample:
    """An RGB photograph and the class index of each of its pixels.

    image: uint8, height x width x 3. label: uint16, height x width, 0 .. N-1 or IGNORE_INDEX.
    """

    id: str
    image: UInt8[np.ndarray, "H W 3"]
    label: UInt16[np.ndarray, "H W"]


@runtime_checkable
class SegmentationDataset(Protocol):
    """A split that can be read in any order. Only indexing reads a photograph.

    class_names: of the label values. seen: for each of them, whether training has named it; None where that is not
    known. digest: 64 hexadecimal digits, what a result names as its data; equal wherever the same data lie, and in any
    process. shapes: height and width of each image; None where they are not known without reading it.
    """

    @property
    def name(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def sample_ids(self) -> tuple[str, ...]: ...

    @property
    def seen(self) -> Bool[np.ndarray, "N"] | None: ...

    @property
    def digest(self) -> str: ...

    @property
    def shapes(self) -> Sequence[tuple[int, int]] | None: ...

    def label_pixels(self) -> LabelPixels | None:
        """How many pixels each class has; None where that would take painting or reading every photograph.

        Raises InputError for a label that cannot be read, and for labels that cannot be meant so.
        """
        ...

    def label_space(self, synonyms: SynonymRule) -> LabelSpace:
        """What a model is asked for, with the names of a class chosen by the rule, and what the labels mean."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
