"""Which classes of a benchmark training has named, by the benchmark's name alone, without opening its data."""

import numpy as np
from jaxtyping import Bool

from ovlab.datasets.catalog import DATASETS
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES, shapes_benchmark


def seen_classes(benchmark: str) -> Bool[np.ndarray, "N"] | None:
    """For each label value, whether COCO-Stuff (or its miniature) trains on it; None for a data set of one's own."""
    if benchmark in SHAPES_NAMES:
        return np.array(shapes_benchmark(benchmark).seen)
    known = DATASETS.get(benchmark)
    if known is None:
        return None
    seen = np.array(known.seen[: known.num_label_classes], bool)
    # Background, the last label of PAS-20b, is no word of training.
    return np.pad(seen, (0, known.num_label_classes - len(seen)))
