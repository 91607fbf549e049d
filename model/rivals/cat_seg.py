"""CAT-Seg (Cho et al., CVPR 2024): cost aggregation for open-vocabulary segmentation.

    volume       c_n,p = cos(V, T_n,p), by a 7 x 7 convolution to D channels, one map a class
    aggregation  twice: windowed attention over positions (Swin), guided by V; linear attention over classes, guided
                 by the text
    decoder      twice: up-sampling guided by an activation of CLIP; then one logit a class, at 4 times the token grid

It tunes the query and value matrices of both towers of CLIP, at a hundredth of the rate, so that its text features
change with every update.

Axes: B images, N classes, P prompts, C joint CLIP width, D channels, h x w tokens.
"""

import hashlib
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
from rivals.configurations import PRESETS, CatSegConfig, cat_seg_vit_b16, cat_seg_vit_l14
from rivals.cost_volume import (
    IGNORED,
    ClassAttention,
    GuidedUpsampling,
    among_all,
    bce_with_ignored_as_zeros,
    chosen_classes,
    cosine_volume,
    guided,
    learning,
    outputs_of,
    stretched,
)
from rivals.official import (
    COST_VOLUME_NAMES,
    Replacement,
    joined_attention,
    official_clip,
    official_config,
    part_of,
    read_official,
    renamed,
)

# Attention between positions that a shift brought side by side though they are not.
_APART = -100.0
_CLIP_SCALE = 0.01


class CatSegFeatures(NamedTuple):
    """What the head sees of an image, whatever the vocabulary."""

    dense: Float[Tensor, "B C h w"]  # V, a unit vector a token
    appearance: Float[Tensor, "B C h w"]  # V with its own length
    guidance: tuple[Tensor, Tensor]  # at 2 and 4 times the token grid


class CatSeg(nn.Module):
    """Images and text features to one logit map a class."""

    Config: ClassVar[type] = CatSegConfig
    presets: ClassVar[Mapping[str, Any]] = PRESETS["cat-seg"]
    # Raised whenever the same weights predict otherwise.
    version: ClassVar[int] = 1
    activation: ClassVar[Literal["sigmoid", "softmax", "identity"]] = "sigmoid"
    # Text features are to be made anew at every update, by `encode_text` with gradients.
    learns_text: ClassVar[bool] = True

    def __init__(self, config: CatSegConfig, clip: Any = None) -> None:
        """A network to be trained. It takes over the towers of a CLIP of open_clip, or builds them with random weights.

        Raises ModelError for towers that do not fit.
        """
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        self.config = config
        self.prompt_templates = config.prompt_templates
        self.input_size = config.clip.image_size
        # Of a ViT only; a tuple, so that it is not registered a second time.
        self._before_projection = tuple(filter(None, [getattr(clip.visual, "ln_post", None)]))
        self.image_encoder: Any = build_image_encoder(clip, config.clip)
        self.text_encoder = TextEncoder(clip)
        if not isinstance(clip, Bridge):  # whose images are made of what its text tower says as it is
            _tune_text(self.text_encoder.clip)
        self.upsample_guidance = nn.ModuleList(
            nn.ConvTranspose2d(channels, out_channels, kernel_size=scale, stride=scale)
            for channels, out_channels, scale in zip(
                self.image_encoder.guidance_dims, config.guidance_channels, config.guidance_upsampling, strict=True
            )
        )
        self.aggregator = Aggregator(config, joint_dim=self.image_encoder.joint_dim)

    @classmethod
    def from_released(cls, path: Path) -> "CatSeg":
        """`load_official`, which says what it raises."""
        return load_official(path)

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
        """Unit vectors of the first synonym of each class."""
        prompts = [template.format(synonyms[0]) for synonyms in names for template in templates]
        clip = self.text_encoder.clip
        tokens = self.text_encoder.tokenize(prompts).to(clip.logit_scale.device)
        return F.normalize(clip.encode_text(tokens), dim=-1).unflatten(0, (len(names), -1))

    def text_digest(self) -> str:
        """sha256 of what `encode_text` depends on."""
        return hashlib.sha256(f"first synonym, {self.text_encoder.digest()}".encode()).hexdigest()

    def encode_image(self, views: Float[Tensor, "V 3 S S"]) -> CatSegFeatures:
        """Features of RGB in [0, 1]."""
        with outputs_of(*self._before_projection) as normed:
            features = self.image_encoder(views)
        height, width = features.dense.shape[2:]
        if normed:
            tokens = normed[0][:, -height * width :] @ self.image_encoder.proj
            appearance = tokens.transpose(1, 2).unflatten(2, (height, width))
        else:  # a ConvNeXt: as long as if every channel had variance 1
            appearance = features.dense * features.dense.shape[1] ** 0.5
        first, second = (up(maps) for up, maps in zip(self.upsample_guidance, features.guidance, strict=True))
        return CatSegFeatures(features.dense, appearance, (first, second))

    def head(
        self,
        features: CatSegFeatures,
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
    ) -> Float[Tensor, "V N h4 w4"]:
        """Logits. An image keeps its best `config.num_classes` classes, or `class_cap` where that is fewer; those
        beyond, and those that are False in `class_mask`, have no influence and get REJECTED."""
        cap = self.config.num_classes if class_cap is None else min(class_cap, self.config.num_classes)
        classes = chosen_classes(features.dense, text, class_mask, cap)
        return among_all(self.aggregator(features, text[classes]), classes, len(text))

    def training_loss(
        self,
        images: Float[Tensor, "B 3 H W"],
        labels: Int64[Tensor, "B H W"],
        text: Float[Tensor, "N P C"],
        ignore_index: int = IGNORED,
    ) -> Float[Tensor, ""]:
        """Binary cross-entropy, its mean over pixels and classes; ignored pixels count as of no class."""
        logits = self.head(self.encode_image(stretched(images, self.input_size)), text)
        return bce_with_ignored_as_zeros(logits, labels, ignore_index)

    def parameter_groups(self) -> list[tuple[str, list[nn.Parameter], float]]:
        """What learns: name, weights, factor of the learning rate."""
        return [
            ("image_encoder", learning(self.image_encoder), _CLIP_SCALE),
            ("text_encoder", learning(self.text_encoder), _CLIP_SCALE),
            ("head", [*self.upsample_guidance.parameters(), *self.aggregator.parameters()], 1.0),
        ]


class Aggregator(nn.Module):
    """From the cosine volume to logits."""

    def __init__(self, config: CatSegConfig, *, joint_dim: int) -> None:
        super().__init__()
        dim = config.dim
        self.embed_volume = nn.Conv2d(len(config.prompt_templates), dim, kernel_size=7, padding=3)
        self.project_appearance = nn.Conv2d(joint_dim, dim, kernel_size=3, padding=1)
        self.project_text = nn.Linear(joint_dim, dim)
        self.project_guidance = nn.ModuleList(
            nn.Conv2d(channels, out_channels, kernel_size=3, padding=1)
            for channels, out_channels in zip(config.guidance_channels, config.guidance_dims, strict=True)
        )
        self.layers = nn.ModuleList(AggregatorLayer(config) for _ in range(config.num_layers))
        widths = (dim, *config.decoder_dims)
        self.decoder = nn.ModuleList(
            GuidedUpsampling(in_dim=widths[i], out_dim=widths[i + 1], guidance_dim=config.guidance_dims[i])
            for i in range(2)
        )
        self.to_logit = nn.Conv2d(widths[-1], 1, kernel_size=3, padding=1)

    def forward(self, features: CatSegFeatures, text: Float[Tensor, "B N P C"]) -> Float[Tensor, "B N h4 w4"]:
        volume = cosine_volume(features.dense, text)
        x = self.embed_volume(volume.flatten(0, 1)).unflatten(0, volume.shape[:2])
        appearance = F.relu(self.project_appearance(features.appearance)).movedim(1, -1)
        text_guidance = F.relu(self.project_text(F.normalize(text.mean(dim=2), dim=-1)))
        for layer in self.layers:
            x = layer(x, appearance, text_guidance)
        for stage, project, guidance in zip(self.decoder, self.project_guidance, features.guidance, strict=True):
            x = stage(x, F.relu(project(guidance)))
        return self.to_logit(x.flatten(0, 1)).unflatten(0, x.shape[:2])[:, :, 0]


class AggregatorLayer(nn.Module):
    """Positions, then classes."""

    def __init__(self, config: CatSegConfig) -> None:
        super().__init__()
        self.norm_appearance = nn.LayerNorm(config.dim)
        self.blocks = nn.ModuleList(
            WindowBlock(dim=config.dim, num_heads=config.num_heads, window=config.window, shift=shift)
            for shift in (0, config.window // 2)
        )
        self.class_attention = ClassAttention(
            dim=config.dim,
            guidance_dim=config.dim,
            num_heads=config.num_heads,
            training_pooling=config.training_pooling,
            padded_classes=config.num_classes,
        )

    def forward(
        self,
        x: Float[Tensor, "B N D h w"],
        appearance: Float[Tensor, "B h w D"],
        text_guidance: Float[Tensor, "B N D"],
    ) -> Float[Tensor, "B N D h w"]:
        tokens = x.movedim(2, -1)
        normed = self.norm_appearance(appearance)
        for block in self.blocks:
            tokens = block(tokens, normed)
        return self.class_attention(tokens.movedim(-1, 2), text_guidance)


class WindowBlock(nn.Module):
    """A block of Swin (Liu et al. 2021) without position bias, for each class by itself: attention inside windows of
    the map, rolled by `shift`, and an MLP. q and k see the appearance beside the features. A map that is no larger than
    the window is one window, and is not rolled."""

    def __init__(self, *, dim: int, num_heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window = window
        self.shift = shift
        self.norm_1 = nn.LayerNorm(dim)
        self.query = nn.Linear(2 * dim, dim)
        self.key = nn.Linear(2 * dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.norm_2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(
        self, x: Float[Tensor, "B N h w D"], appearance: Float[Tensor, "B h w D"]
    ) -> Float[Tensor, "B N h w D"]:
        """Raises ModelError for a map that windows do not divide."""
        height, width = x.shape[2:4]
        window = min(self.window, height, width)
        shift = self.shift if min(height, width) > window else 0
        if height % window or width % window:
            raise ModelError(f"CAT-Seg's map is {height} x {width} tokens; both must be multiples of {window}.")
        inside = _windows(self.norm_1(x), window, shift)  # (B, N, windows, positions, D)
        guidance = _windows(appearance, window, shift)[:, None]
        query = self._split_heads(guided(self.query, inside, guidance))
        key = self._split_heads(guided(self.key, inside, guidance))
        value = self._split_heads(self.value(inside))
        mask = _shift_mask(height, width, window, shift, x).repeat_interleave(self.num_heads, dim=0) if shift else None
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        attended = attended.unflatten(1, (-1, self.num_heads)).movedim(2, 3).flatten(3).unflatten(0, x.shape[:2])
        x = x + _unwindow(self.out(attended), window, shift, (height, width))
        return x + self.mlp(self.norm_2(x))

    def _split_heads(self, x: Float[Tensor, "B N W L D"]) -> Float[Tensor, "maps cells L d"]:
        return x.flatten(0, 1).unflatten(-1, (self.num_heads, -1)).movedim(3, 2).flatten(1, 2)


def _windows(x: Float[Tensor, "*axes h w D"], window: int, shift: int) -> Float[Tensor, "*axes W L D"]:
    """The map in windows, in reading order, each with its positions in a row."""
    rolled = x.roll((-shift, -shift), dims=(-3, -2)) if shift else x
    parted = rolled.unflatten(-3, (-1, window)).unflatten(-2, (-1, window)).transpose(-4, -3)
    return parted.flatten(-5, -4).flatten(-3, -2)


def _unwindow(
    x: Float[Tensor, "*axes W L D"], window: int, shift: int, size: tuple[int, int]
) -> Float[Tensor, "*axes h w D"]:
    """Undoes `_windows`."""
    parted = x.unflatten(-3, (size[0] // window, -1)).unflatten(-2, (window, window)).transpose(-4, -3)
    rolled = parted.flatten(-5, -4).flatten(-3, -2)
    return rolled.roll((shift, shift), dims=(-3, -2)) if shift else rolled


def _shift_mask(height: int, width: int, window: int, shift: int, like: Tensor) -> Float[Tensor, "W L L"]:
    """What is added to the attention of a rolled map: 0 between positions of one region of the map, else _APART."""

    def band(length: int) -> Tensor:
        position = torch.arange(length, device=like.device)
        return (position >= length - window).long() + (position >= length - shift)

    region = 3 * band(height)[:, None] + band(width)
    regions = _windows(region[..., None].to(like.dtype), window, 0)[..., 0]
    return torch.where(regions[:, :, None] == regions[:, None, :], 0.0, _APART).to(like.dtype)


class TextAttention(nn.Module):
    """The attention of a text tower with one matrix each for query, key and value, so that two of them can learn alone.
    It is called as torch's own."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        query, key, value = attention.in_proj_weight.detach().clone().chunk(3)
        self.query_weight = nn.Parameter(query.contiguous())
        self.key_weight = nn.Parameter(key.contiguous(), requires_grad=False)
        self.value_weight = nn.Parameter(value.contiguous())
        self.in_proj_bias = attention.in_proj_bias
        self.out_proj = attention.out_proj

    def forward(
        self,
        query: Float[Tensor, "M L D"],
        key: Float[Tensor, "M L D"],
        value: Float[Tensor, "M L D"],
        *,
        attn_mask: Float[Tensor, "L L"] | None = None,
        need_weights: bool = False,
    ) -> tuple[Float[Tensor, "M L D"], None]:
        weights = (self.query_weight, self.key_weight, self.value_weight)
        query, key, value = (
            F.linear(x, weight, bias).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for x, weight, bias in zip((query, key, value), weights, self.in_proj_bias.chunk(3), strict=True)
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=attn_mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2)), None


def _tune_text(clip: Any) -> None:
    """Let query and value of every block of the text tower learn. Raises ModelError for another kind of tower."""
    blocks = getattr(getattr(clip, "transformer", None), "resblocks", None)
    if blocks is None or not all(isinstance(block.attn, nn.MultiheadAttention) for block in blocks):
        raise ModelError("CAT-Seg tunes the text tower of OpenAI's CLIP and open_clip; this CLIP has another one.")
    for block in blocks:
        block.attn = TextAttention(block.attn)


_CLIP = "sem_seg_head.predictor.clip_model."
_OFFICIAL_SIZES = {768: cat_seg_vit_b16, 1024: cat_seg_vit_l14}
_OFFICIAL_NAMES: tuple[Replacement, ...] = (
    (r"^upsample([12])\.", lambda found: f"upsample_guidance.{int(found[1]) - 1}."),
    (r"^sem_seg_head\.predictor\.transformer\.", "aggregator."),
    (r"^.*\.attn_mask$", ""),
    (r"\.swin_block\.block_([12])\.", lambda found: f".blocks.{int(found[1]) - 1}."),
    (r"\.swin_block\.guidance_norm\.", ".norm_appearance."),
    (r"\.attn\.proj\.", ".out."),
    (r"\.attn\.", "."),
    (r"\.mlp\.fc([12])\.", lambda found: f".mlp.{2 * int(found[1]) - 2}."),
    (r"\.padding_tokens$", ".padding"),
    (r"\.guidance_projection\.0\.", ".project_appearance."),
    (r"\.text_guidance_projection\.0\.", ".project_text."),
    *COST_VOLUME_NAMES,
    (r"^aggregator\.head\.", "aggregator.to_logit."),
)


def load_official(path: Path, config: CatSegConfig | None = None) -> CatSeg:
    """A released checkpoint, ready to predict: of `config`, or of the size of the paper that is in the file.

    Raises ModelError for the file of another method, and naming a key that does not fit.
    """
    state = read_official(path, "CAT-Seg")
    clip_state = joined_attention(part_of(state, _CLIP), path)
    config = official_config(path, clip_state.get("visual.conv1.weight"), _OFFICIAL_SIZES, config)
    model = CatSeg(config, official_clip(config.clip, clip_state, path))
    own = renamed({name: tensor for name, tensor in state.items() if not name.startswith(_CLIP)}, _OFFICIAL_NAMES)
    for name in own:
        if name.endswith((".padding", ".padding_guidance")):
            own[name] = own[name].flatten()
    parts = nn.ModuleDict({"aggregator": model.aggregator, "upsample_guidance": model.upsample_guidance})
    load_strictly(parts, own, path)
    return model.eval()
