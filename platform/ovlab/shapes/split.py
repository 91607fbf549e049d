"""A split of the shapes suite as something to prepare, like an original download: for a cluster, or to look into."""

import io
from dataclasses import dataclass

from PIL import Image

from ovlab.datasets.original import OriginalPair
from ovlab.shapes.dataset import ShapesDataset


@dataclass(frozen=True, slots=True)
class ShapesSplit:
    """The scenes of `dataset`, painted when they are read. Photographs are PNG, so that nothing is lost."""

    dataset: ShapesDataset
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def split(self) -> str:
        return self.dataset.split

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.dataset.class_names

    @property
    def sample_ids(self) -> tuple[str, ...]:
        return self.dataset.sample_ids

    @property
    def expected_count(self) -> int:
        return len(self.dataset)

    def read(self, sample_id: str) -> OriginalPair:
        sample = self.dataset[int(sample_id)]
        content = io.BytesIO()
        Image.fromarray(sample.image).save(content, format="PNG")
        return OriginalPair(sample_id, content.getvalue(), sample.label)
