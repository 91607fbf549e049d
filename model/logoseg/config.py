"""What a LoGoSeg model is: plain values, no torch, so that specs and tables load in milliseconds.

The numbers A1-A27 in the comments are the gaps of the paper; model/README.md says how each was decided and why.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from logoseg.model_error import ModelError
from logoseg.prompts import PAPER, is_template

# keep_aspect rounds both sides to this many pixels: the coarsest stride of the encoders (ConvNeXt, patches of 16).
SIDE_MULTIPLE = 32
# Sides in pixels at which a model may run: attention over more tokens than 256 x 256 fits no memory.
SMALLEST_SIDE, LARGEST_SIDE = 8, 4096
# Of widths, heads, states, regions and layers. What is above is a slip of the keyboard.
LARGEST_WIDTH, LARGEST_GRID, LARGEST_DEPTH = 4096, 256, 64
# A GroupNorm of the decoder has groups of this many channels.
GROUP_CHANNELS = 8

# What makes logits scores: "sigmoid" and "identity" class by class, "softmax" over the classes, at the resolution of
# the logits.
Activation = Literal["sigmoid", "softmax", "identity"]


def require_range(name: str, value: int | float, low: int | float, high: int | float) -> None:
    """Raises ModelError unless `value` is a number in [low, high]."""
    if not value >= low:
        raise ModelError(f"{name} must be at least {low}, got {value}.")
    if value > high:
        raise ModelError(f"{name} must be at most {high}, got {value}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipConfig:
    """The vision-language model underneath, and which of its activations are used."""

    # An open_clip model name, the name of a file in logoseg/clip/clip_configs, or that of a bridge, see bridge_facts.
    name: str
    # Side in pixels of the square at which the image tower runs.
    image_size: int
    # Where F_mid is taken, and S_1 and S_2 of eq. 11: 0-based blocks of a ViT; 0-based stages of a ConvNeXt (A19), and
    # -1 for its stem.
    # "stem" takes S_1 and S_2 from the stack of convolutions, at 2 and 4 times the token grid.
    middle_layer: int
    guidance_layers: tuple[int, int] | Literal["stem"]
    # What the value path of a ViT's last block is added to (sheet 5.1): CAT-Seg adds the CLS token, ZegCLIP the token
    # itself, MaskCLIP nothing. Without effect on a ConvNeXt.
    residual: Literal["cls", "token", "none"] = "cls"
    # Which weights of the image tower learn (A23). "query_value" is defined for a ViT only, "last_stage" for a bridge.
    tuning: Literal["frozen", "query_value", "last_stage", "all"] = "query_value"
    # How pixels become tokens: CLIP's one strided convolution, or a stack of 3 x 3 convolutions, which learns from
    # little data. The released weights have "patch".
    stem: Literal["patch", "convolutions"] = "patch"
    # open_clip's tag of released weights. Normalisation, activation and the positional grid, which is then kept as it
    # was trained and resized for each input, follow from it. None: OpenAI's normalisation, and a grid of `image_size`.
    # Left out of fingerprints and files where it is None: there were records before there was this field.
    pretrained: str | None = field(default=None, metadata={"added_later": None})

    def __post_init__(self) -> None:
        require_range("ClipConfig.image_size", self.image_size, SMALLEST_SIDE, LARGEST_SIDE)
        if self.guidance_layers == "stem" and self.stem != "convolutions":
            raise ModelError("ClipConfig.guidance_layers is 'stem', which needs ClipConfig.stem = 'convolutions'.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Every choice that changes what the network computes. A variant is `dataclasses.replace` of a preset."""

    clip: ClipConfig
    prompt_templates: tuple[str, ...] = PAPER
    # D of the paper (A10).
    guidance_dim: int = 128

    # Eq. 1-2 (Table 2, OP). Off means prior_weight = 0.
    object_prior: bool = True
    # lambda (A1): 1 is eq. 2, 0 is no prior, "adaptive" learns it.
    prior_weight: float | Literal["adaptive"] = 1.0
    # Leaves the norm of the weighted text out of eq. 3's denominator, so that the prior acts there too (A2).
    prior_in_similarity: bool = False

    # Eq. 3-7 (Table 2, RA). Off: the guidance G is a plain projection of V.
    region_alignment: bool = True
    # Regions a side: K = region_grid ** 2 (A5).
    region_grid: int = 6

    # Eq. 8-10 (Table 2, CCF). Off: X_fused is a 1 x 1 projection of [F_mid || G].
    cross_modal_fusion: bool = True
    fusion_depth: int = 2
    # Table 3: directional attention (eq. 8), global context (SS2D in eq. 9), language queries (eq. 10).
    directional_attention: bool = True
    global_context: bool = True
    language_queries: bool = True
    attention_heads: int = 4
    # Width s in tokens of the stripes of the rectangular attention (A11).
    stripe_width: int = 4
    # SS2D: states a channel, and the width of the scan as a multiple of guidance_dim.
    state_dim: int = 16
    state_expansion: float = 1.0

    # Eq. 11-12 (A16): one volume a class, or one embedding a pixel.
    decoder: Literal["class_volume", "pixel_embedding"] = "class_volume"
    # Of a token with its own class before dense training: where the logits of "pixel_embedding" start to be likely.
    # About 0.25 for released CLIPs, 0 for one that begins at random.
    typical_cosine: float = 0.25
    # Channels of the two decoder stages, at 2 and 4 times the token grid.
    decoder_dims: tuple[int, int] = (64, 32)
    # Of "class_volume": a logit map of F_0 and of F_1 too, by which `head` can reject classes early.
    auxiliary_heads: bool = field(default=False, metadata={"added_later": False})

    def __post_init__(self) -> None:
        for name, high in (
            ("guidance_dim", LARGEST_WIDTH),
            ("attention_heads", LARGEST_WIDTH),
            ("state_dim", LARGEST_WIDTH),
            ("fusion_depth", LARGEST_DEPTH),
            ("region_grid", LARGEST_GRID),
            ("stripe_width", LARGEST_GRID),
        ):
            require_range(f"ModelConfig.{name}", getattr(self, name), 1, high)
        for dim in self.decoder_dims:
            require_range("ModelConfig.decoder_dims", dim, 1, LARGEST_WIDTH)
            if dim % GROUP_CHANNELS:
                raise ModelError(f"ModelConfig.decoder_dims must be multiples of {GROUP_CHANNELS}, got {dim}.")
        if self.auxiliary_heads and self.decoder != "class_volume":
            raise ModelError(
                f"ModelConfig.auxiliary_heads belong to decoder='class_volume', got decoder={self.decoder!r}."
            )
        require_range("ModelConfig.typical_cosine", self.typical_cosine, -1.0, 1.0)
        require_range("ModelConfig.state_expansion", self.state_expansion, 1 / self.guidance_dim, 16.0)
        if self.guidance_dim % (2 * self.attention_heads):
            raise ModelError(
                f"ModelConfig.guidance_dim must be a multiple of 2 * attention_heads = {2 * self.attention_heads}, "
                f"got {self.guidance_dim}."
            )
        if isinstance(self.prior_weight, float) and not 0.0 <= self.prior_weight <= 1.0:
            raise ModelError(f"ModelConfig.prior_weight must be in [0, 1] or 'adaptive', got {self.prior_weight}.")
        if not self.prompt_templates or not all(map(is_template, self.prompt_templates)):
            raise ModelError("ModelConfig.prompt_templates must be templates that each hold {} for the class name.")

    @property
    def fewest_tokens(self) -> int:
        """A side that it can work on, in tokens: one for each region."""
        return self.region_grid if self.region_alignment else 1


def model_config_to_dict(config: ModelConfig) -> dict[str, Any]:
    """Plain values for JSON. A field that was added later is left out where it has the value that held before, so that
    the file of a model that has no need of it stays the same."""
    values = asdict(config)
    for owner, written in ((config, values), (config.clip, values["clip"])):
        for later in (one for one in fields(owner) if "added_later" in one.metadata):
            if written[later.name] == later.metadata["added_later"]:
                del written[later.name]
    return values


def model_config_from_dict(values: Mapping[str, Any]) -> ModelConfig:
    """The configuration that `model_config_to_dict` took apart, also after a detour through JSON.

    Raises TypeError for an unknown or missing field and ModelError for a value that is not allowed.
    """
    clip = ClipConfig(**_with_tuples(values["clip"]))
    return ModelConfig(clip=clip, **_with_tuples({name: value for name, value in values.items() if name != "clip"}))


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortestEdge:
    """The loader of detectron2, which CAT-Seg, SED and SAN share: Pillow brings the photograph, 8 bits a channel, to a
    short side of `size` pixels, enlarged too, or less where the long side would be above `longest`."""

    size: int = 640
    longest: int = 2560

    def __post_init__(self) -> None:
        require_range("ShortestEdge.size", self.size, 1, LARGEST_SIDE)
        require_range("ShortestEdge.longest", self.longest, self.size, LARGEST_SIDE)


# There were records before there were loaders; without one, a photograph is reduced as `logoseg.views.views` says.
_NO_LOADER = {"added_later": None}


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeImage:
    """One view of the whole image. `stretch` makes it a square of `size` pixels a side, as SED does at 768;
    `keep_aspect` makes the short side `size` and rounds both sides to a multiple of 32 pixels; a long side is at most
    LARGEST_SIDE, so that a very narrow picture is squeezed."""

    size: int
    resize: Literal["stretch", "keep_aspect"] = "stretch"
    loader: ShortestEdge | None = field(default=None, metadata=_NO_LOADER)

    def __post_init__(self) -> None:
        smallest = SMALLEST_SIDE if self.resize == "stretch" else SIDE_MULTIPLE
        require_range("WholeImage.size", self.size, smallest, LARGEST_SIDE)

    def squeezes(self, shape: tuple[int, int]) -> bool:
        """Whether a picture of this height and width is so narrow that the bound of the long side changes its view."""
        long_side = max(shape) * self.size / min(shape)
        return self.resize == "keep_aspect" and round(long_side / SIDE_MULTIPLE) * SIDE_MULTIPLE > LARGEST_SIDE


@dataclass(frozen=True, kw_only=True, slots=True)
class SlidingWindow:
    """CAT-Seg's protocol (sheet 3.1): the image stretched to `size` x `size`, windows of `kernel` at every `stride`,
    and, with `global_view`, the whole image at `kernel` x `kernel`, averaged half and half with the windows.

    Every view is resized to `input_size`, the side at which the model runs.
    """

    size: int = 640
    kernel: int = 384
    stride: int = 256
    global_view: bool = True
    input_size: int = 384
    loader: ShortestEdge | None = field(default=None, metadata=_NO_LOADER)

    def __post_init__(self) -> None:
        for name in ("size", "kernel", "input_size"):
            require_range(f"SlidingWindow.{name}", getattr(self, name), SMALLEST_SIDE, LARGEST_SIDE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PaddedImage:
    """SAN's protocol: one view, the image as the loader gives it, made larger at the right and at the bottom to whole
    multiples of `multiple` pixels, with CLIP's mean colour. Masks are brought to the size of the view, cut, and only
    then brought to that of the photograph."""

    loader: ShortestEdge = field(default_factory=ShortestEdge)
    multiple: int = SIDE_MULTIPLE

    def __post_init__(self) -> None:
        require_range("PaddedImage.multiple", self.multiple, 1, LARGEST_SIDE)


Inference = WholeImage | SlidingWindow | PaddedImage
