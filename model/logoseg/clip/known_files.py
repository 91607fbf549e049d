"""Which released CLIP a file is, since the weights themselves do not say what they were trained with.

A file of the same shapes fits a tower whatever its activation, the mean and standard deviation of its images and its
tokenizer were. Those of the released files are known: OpenAI's by the sha256 in their addresses, which open_clip checks
too, and LAION's by where the client of the Hugging Face hub puts them, under their sha256. Any other is read as the
model's name says, which is an assumption, and is said once.
"""

import hashlib
import logging
from functools import cache
from pathlib import Path
from typing import NamedTuple

from logoseg.clip.bridge_facts import BRIDGES
from logoseg.clip.shipped import is_own
from logoseg.clip.tower_facts import model_config
from logoseg.config import ClipConfig
from logoseg.model_error import ModelError

UNVERIFIED = "unverified"
OWN = "of a model that the package defines"

_log = logging.getLogger(__name__)


class Released(NamedTuple):
    """All of them are trained with OpenAI's mean and standard deviation, and CLIP's tokenizer."""

    title: str
    quick_gelu: bool


# By sha256, which stands in the addresses of OpenAI's `clip` package.
OPENAI = {
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af": Released("OpenAI's ViT-B-32.pt", True),
    "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f": Released("OpenAI's ViT-B-16.pt", True),
    "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836": Released("OpenAI's ViT-L-14.pt", True),
    "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02": Released("OpenAI's ViT-L-14-336px.pt", True),
}
# Of the bridges: no CLIP, but a classifier.
CLASSIFIERS = {
    facts.classifier.sha256: Released(f"{facts.trunk} of {facts.classifier.distribution}", False)
    for facts in BRIDGES.values()
}
# By repository of the hub; see `RELEASED` of logoseg.clip.shipped.
LAION = {
    name: Released(name, False)
    for name in (
        "laion/CLIP-convnext_base_w_320-laion_aesthetic-s13B-b82K",
        "laion/CLIP-convnext_large_d_320.laion2B-s29B-b131K-ft-soup",
    )
}


def origin(config: ClipConfig, path: Path) -> str:
    """The title of the released file, OWN for weights of a model of the package, or UNVERIFIED."""
    if is_own(config):
        return OWN
    released = _released(path.resolve(), _digest(path.resolve(), path.stat().st_mtime_ns))
    return UNVERIFIED if released is None else released.title


def require_origin(config: ClipConfig, path: Path) -> None:
    """Raises ModelError for a released file of another activation than the model `config.name` has; warns, once a file,
    of one that is not known, and says what is assumed."""
    if is_own(config):
        return
    file = path.resolve()
    digest = _digest(file, file.stat().st_mtime_ns)
    released, activation = _released(file, digest), _activation(config)
    if released is None:
        _warn(digest, path, f"{config.name}: {activation}, {_normalisation(config)}, the tokenizer of that model")
    elif released.quick_gelu != (activation == "QuickGELU"):
        trained = "QuickGELU" if released.quick_gelu else "GELU"
        other = config.name.removesuffix("-quickgelu") if not released.quick_gelu else f"{config.name}-quickgelu"
        raise ModelError(
            f"{path}: {released.title}, which was trained with {trained}; {config.name} has {activation}. "
            f"The model for it is {other}."
        )


def _released(file: Path, digest: str) -> Released | None:
    known = OPENAI | CLASSIFIERS
    if digest in known:
        return known[digest]
    # .../models--OWNER--NAME/blobs/SHA256, to which the file that has a name is a link.
    if file.name == digest and file.parent.name == "blobs":
        return LAION.get(file.parent.parent.name.removeprefix("models--").replace("--", "/", 1))
    return None


def _activation(config: ClipConfig) -> str:
    from logoseg.clip.pretrained_tag import pretrained_tag  # torch; who only asks for the origin does without

    quick = (model_config(config.name) or {}).get("quick_gelu") or pretrained_tag(config).quick_gelu
    return "QuickGELU" if quick else "GELU"


def _normalisation(config: ClipConfig) -> str:
    from logoseg.clip.pretrained_tag import UNTAGGED, pretrained_tag

    of = "OpenAI's" if pretrained_tag(config)[:2] == UNTAGGED[:2] else f"the tag {config.pretrained}'s"
    return f"{of} mean and standard deviation"


@cache
def _digest(file: Path, _modified: int) -> str:
    """sha256, once a file: they are large."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@cache
def _warn(_digest: str, path: Path, assumed: str) -> None:
    _log.warning("%s: no released file known here, read as %s; its record says %s.", path, assumed, UNVERIFIED)
