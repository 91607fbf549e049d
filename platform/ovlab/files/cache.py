"""Where things that can always be computed again are kept between runs."""

import os
from pathlib import Path

from ovlab.specs.evaluation import PREDICTION_VERSION


def cache_folder() -> Path:
    """$OVLAB_CACHE, else ovlab/ in the user's cache folder."""
    if folder := os.environ.get("OVLAB_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ovlab"


def text_cache_folder() -> Path:
    """Text features, named after what they were computed from; those of another version of the encoders lie apart."""
    return cache_folder() / "text" / f"v{PREDICTION_VERSION}"


def weights_cache_folder() -> Path:
    """Copies of weights that lie in a store, named after their sha256."""
    return cache_folder() / "weights"


def digests_cache_folder() -> Path:
    """The sha256 of files of one's own, named after their paths."""
    return cache_folder() / "digests"
