"""SED (Xie et al., CVPR 2024): a simple encoder-decoder for open-vocabulary segmentation.

    volume    c_n,p = cos(V, T_n,p) with every prompt a channel, by a 7 x 7 convolution to D channels: F_0
    decoder   F_i+1 of F_i: a ConvNeXt block of a large kernel, attention over classes, then up-sampling guided by a
              stage of CLIP and by the up-sampled volume
    logits    one of every F_i; only the last reaches what is before it in training

Early rejection: in prediction a class goes on from F_i if it is among the k likeliest of one position at least.
The whole image tower learns, at a hundredth of the rate; the text tower does not.

Axes: B images, N classes, K classes that were kept, P prompts, C joint CLIP width, D channels, h x w positions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.bridge import Bridge
from logoseg.clip.released_weights import load_strictly
from logoseg.clip.text_encoder import TextEncoder
from logoseg.clip.towers import build_clip
from logoseg.image_encoder import build_image_encoder
from logoseg.model_error import ModelError
from rivals.configurations import PRESETS, SedConfig, sed_convnext_b, sed_convnext_l
from rivals.cost_volume import (
    IGNORED,
    ClassAttention,
    GuidedUpsampling,
    among_all,
    bce_with_ignored_as_zeros,
    chosen_classes,
    cosine_volume,
    learning,
    outputs_of,
    stretched,
)
from rivals.official import (
    COST_VOLUME_NAMES,
    Replacement,
    official_clip,
    official_config,
    part_of,
    read_official,
    renamed,
)

_CLIP_SCALE = 0.01


class SedFeatures(NamedTuple):
    """What the head sees of an image, whatever the vocabulary."""

    dense: Float[Tensor, "B C h w"]  # V, a unit vector a position
    guidance: tuple[Tensor, ...]  # at 2, 4, 8 times the grid; the decoder's loss does not reach the tower by them


class Sed(nn.Module):
    """Images and text features to one logit map a class."""

    Config: ClassVar[type] = SedConfig
    presets: ClassVar[Mapping[str, Any]] = PRESETS["sed"]
    # Raised whenever the same weights predict otherwise.
    version: ClassVar[int] = 1
    activation: ClassVar[Literal["sigmoid", "softmax", "identity"]] = "sigmoid"
    learns_text: ClassVar[bool] = False

    def __init__(self, config: SedConfig, clip: Any = None) -> None:
        """A network to be trained. It takes over the towers of a CLIP of open_clip, or builds them with random weights.

        Raises ModelError for an image tower without stages.
        """
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        trunk: Any = getattr(clip.visual, "trunk", None)
        if not isinstance(clip, Bridge) and not (hasattr(trunk, "stages") and hasattr(trunk, "stem")):
            raise ModelError(f"SED is guided by the stages of a ConvNeXt; {config.clip.name} has none.")
        self.config = config
        self.prompt_templates = config.prompt_templates
        self.input_size = config.clip.image_size
        # A tuple, so that they are not registered a second time.
        self._guides = tuple(
            trunk.stem if stage < 0 else trunk.get_submodule(trunk.feature_info[stage]["module"])
            for stage in config.guidance_stages
        )
        channels = [trunk.feature_info[max(stage, 0)]["num_chs"] for stage in config.guidance_stages]
        self.image_encoder: Any = build_image_encoder(clip, config.clip)
        self.text_encoder = TextEncoder(clip)
        self.decoder = SedDecoder(config, guidance_channels=channels)

    @classmethod
    def from_released(cls, path: Path) -> "Sed":
        """`load_official`, which says what it raises."""
        return load_official(path)

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
        """The mean of the unit vectors of all synonyms, for each template."""
        return self.text_encoder(names, templates)

    def text_digest(self) -> str:
        """sha256 of what `encode_text` depends on."""
        return self.text_encoder.digest()

    def encode_image(self, views: Float[Tensor, "V 3 S S"]) -> SedFeatures:
        """Features of RGB in [0, 1]."""
        with outputs_of(*self._guides) as outputs:
            dense = self.image_encoder(views).dense
        return SedFeatures(dense, tuple(maps.detach() for maps in reversed(outputs)))

    def head(
        self,
        features: SedFeatures,
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
    ) -> Float[Tensor, "V N H W"]:
        """Logits. Classes beyond the `class_cap` likeliest of an image, and those that are False in `class_mask`, have
        no influence; they, and those that `config.early_rejection` drops on the way, get REJECTED."""
        classes = chosen_classes(features.dense, text, class_mask, class_cap)
        top = self.config.early_rejection
        if top is None or self.training:
            return among_all(self.decoder(features, text[classes])[-1], classes, len(text))
        logits = []
        for image in range(len(classes)):
            one = SedFeatures(
                *(features.dense[image : image + 1], tuple(g[image : image + 1] for g in features.guidance))
            )
            found, kept = self.decoder.rejecting(one, text[classes[image : image + 1]], top)
            logits.append(among_all(found, classes[image : image + 1, kept], len(text)))
        return torch.cat(logits)

    def training_loss(
        self,
        images: Float[Tensor, "B 3 H W"],
        labels: Int64[Tensor, "B H W"],
        text: Float[Tensor, "N P C"],
        ignore_index: int = IGNORED,
    ) -> Float[Tensor, ""]:
        """Binary cross-entropy at every scale, each its mean over pixels and classes; ignored pixels count as of no
        class."""
        features = self.encode_image(stretched(images, self.input_size))
        scales = self.decoder(features, text.expand(len(images), *text.shape))
        return torch.stack([bce_with_ignored_as_zeros(logits, labels, ignore_index) for logits in scales]).sum()

    def parameter_groups(self) -> list[tuple[str, list[nn.Parameter], float]]:
        """What learns: name, weights, factor of the learning rate."""
        return [
            ("image_encoder", learning(self.image_encoder), _CLIP_SCALE),
            ("head", list(self.decoder.parameters()), 1.0),
        ]


class SedDecoder(nn.Module):
    """From the cosine volume to logits at every scale."""

    def __init__(self, config: SedConfig, *, guidance_channels: Sequence[int]) -> None:
        super().__init__()
        widths = (config.dim, *config.decoder_dims)
        volume_dims = (len(config.prompt_templates), *config.guidance_dims)
        num_stages = len(config.decoder_dims)
        self.embed_volume = nn.Conv2d(volume_dims[0], config.dim, kernel_size=7, padding=3)
        self.project_volume = nn.ModuleList(
            nn.ConvTranspose2d(volume_dims[i], volume_dims[i + 1], kernel_size=2, stride=2) for i in range(num_stages)
        )
        self.project_guidance = nn.ModuleList(
            nn.Conv2d(channels, dim, kernel_size=3, padding=1)
            for channels, dim in zip(guidance_channels, config.guidance_dims, strict=True)
        )
        self.decoder = nn.ModuleList(SedStage(config, stage, widths) for stage in range(num_stages))
        self.to_logit = nn.ModuleList(nn.Conv2d(width, 1, kernel_size=3, padding=1) for width in widths)

    def forward(self, features: SedFeatures, text: Float[Tensor, "B N P C"]) -> list[Tensor]:
        """Logits of F_0, F_1 ..., each B x N x its own height x width. All but the last see detached features."""
        volume = cosine_volume(features.dense, text)
        x = self._embed(volume)
        logits = []
        for stage, guidance in enumerate(features.guidance):
            logits.append(self._logits(stage, x.detach()))
            x, volume = self._next(stage, x, volume, guidance)
        return [*logits, self._logits(-1, x)]

    def rejecting(
        self, features: SedFeatures, text: Float[Tensor, "1 N P C"], top: int
    ) -> tuple[Float[Tensor, "1 K H W"], Int64[Tensor, "K"]]:
        """The last logits of one image, of the classes that every guess lets pass, and which they are."""
        volume = cosine_volume(features.dense, text)
        x = self._embed(volume)
        kept = torch.arange(text.shape[1], device=text.device)
        for stage, guidance in enumerate(features.guidance):
            passed = likeliest_somewhere(self._logits(stage, x)[0], top)
            kept = kept[passed]
            x, volume = self._next(stage, x[:, passed], volume[:, passed], guidance)
        return self._logits(-1, x), kept

    def _embed(self, volume: Float[Tensor, "B N P h w"]) -> Float[Tensor, "B N D h w"]:
        return self.embed_volume(volume.flatten(0, 1)).unflatten(0, volume.shape[:2])

    def _next(self, stage: int, x: Tensor, volume: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """F_i+1 of F_i, and the volume at its size."""
        finer = F.relu(self.project_volume[stage](volume.flatten(0, 1))).unflatten(0, volume.shape[:2])
        return self.decoder[stage](x, F.relu(self.project_guidance[stage](guidance)), finer), finer

    def _logits(self, stage: int, x: Float[Tensor, "B N D h w"]) -> Float[Tensor, "B N h w"]:
        return self.to_logit[stage](x.flatten(0, 1)).unflatten(0, x.shape[:2])[:, :, 0]


class SedStage(GuidedUpsampling):
    """A ConvNeXt block and attention over classes, then the guided up-sampling."""

    def __init__(self, config: SedConfig, stage: int, widths: Sequence[int]) -> None:
        guidance_dim = config.guidance_dims[stage]
        super().__init__(
            in_dim=widths[stage], out_dim=widths[stage + 1], guidance_dim=guidance_dim, volume_dim=guidance_dim
        )
        self.block = ConvNextBlock(widths[stage], config.kernel_size)
        self.class_attention = ClassAttention(
            dim=widths[stage], guidance_dim=0, num_heads=config.num_heads, training_pooling=config.training_pooling
        )

    def forward(
        self,
        x: Float[Tensor, "B N D h w"],
        guidance: Float[Tensor, "B G 2*h 2*w"],
        volume: Float[Tensor, "B N E 2*h 2*w"] | None = None,
    ) -> Float[Tensor, "B N D2 2*h 2*w"]:
        x = self.block(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        x = self.class_attention(x, x.new_zeros(*x.shape[:2], 0))
        return super().forward(x, guidance, volume)


class ConvNextBlock(nn.Module):
    """A block of ConvNeXt (Liu et al. 2022): depthwise convolution, LayerNorm, an MLP, and a learned scale."""

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, kernel_size=kernel_size, padding=kernel_size // 2, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "M D h w"]) -> Float[Tensor, "M D h w"]:
        tokens = self.depthwise(x).movedim(1, -1)
        return x + (self.scale * self.mlp(self.norm(tokens))).movedim(-1, 1)


def likeliest_somewhere(logits: Float[Tensor, "N h w"], top: int) -> Int64[Tensor, "K"]:
    """The classes, in order, that are among the `top` highest of at least one position."""
    return logits.topk(min(top, len(logits)), dim=0).indices.unique()


_CLIP = "sem_seg_head.predictor.clip_model."
_OFFICIAL_SIZES = {128: sed_convnext_b, 192: sed_convnext_l}
_OFFICIAL_NAMES: tuple[Replacement, ...] = (
    (r"^sem_seg_head\.predictor\.transformer\.", "decoder."),
    (r"\.decoder_corr_guidance_projection\.(.)\.0\.", r".project_volume.\1."),
    (r"\.cnext\.dwconv\.", ".block.depthwise."),
    (r"\.cnext\.pwconv([12])\.", lambda found: f".block.mlp.{2 * int(found[1]) - 2}."),
    (r"\.cnext\.gamma$", ".block.scale"),
    (r"\.cnext\.", ".block."),
    *COST_VOLUME_NAMES,
    (r"^decoder\.head([012])\.", r"decoder.to_logit.\1."),
    (r"^decoder\.head\.", "decoder.to_logit.3."),
)


def load_official(path: Path, config: SedConfig | None = None) -> Sed:
    """A released checkpoint, ready to predict: of `config`, or of the size of the paper that is in the file.

    Raises ModelError for the file of another method, and naming a key that does not fit.
    """
    state = read_official(path, "SED")
    clip_state = part_of(state, _CLIP)
    config = official_config(path, clip_state.get("visual.trunk.stem.0.weight"), _OFFICIAL_SIZES, config)
    model = Sed(config, official_clip(config.clip, clip_state, path))
    own = renamed({name: tensor for name, tensor in state.items() if not name.startswith(_CLIP)}, _OFFICIAL_NAMES)
    load_strictly(nn.ModuleDict({"decoder": model.decoder}), own, path)
    return model.eval()
