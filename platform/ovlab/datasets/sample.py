"""One photograph with its label map, and what every data set offers.

Labels are uint16 whatever the file on disk holds, and an ignored pixel is always IGNORE_INDEX: an 8-bit 255 would
collide with class 255 of the sets that have more classes than that (A-847, PC-459).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8, UInt16

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
    """A split that can be read in any order. Indexing decodes; the length and the names cost nothing."""

    @property
    def name(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def sample_ids(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...
