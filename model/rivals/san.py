"""SAN (Xu et al., TPAMI 2023): a side adapter network for open-vocabulary segmentation.

    masks     m_q, and attention biases for CLIP's last blocks, by a small ViT beside CLIP (rivals.side_adapter)
    classes   copies of CLS, one a query, go through CLIP's last blocks, each by its own bias; the cosines of what they
              become with the words and with a learned "nothing", times CLIP's scale
    score     s_n = sum_q softmax(class logits of q)_n sigmoid(m_q), the softmax over N + 1, masks up-sampled to the
              photograph first

Training matches masks to the classes of the image one to one (Kuhn 1955), as MaskFormer does: cross-entropy of the
class, binary cross-entropy and dice of the mask at points, most of them where the mask is undecided (PointRend).

Axes: B images, V views, N classes, P prompts, C joint CLIP width, Q queries, T masks of the truth, S points.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.released_weights import load_strictly
from logoseg.clip.text_encoder import TextEncoder
from logoseg.clip.towers import build_clip
from logoseg.ops.mask_classification import MaskClassification
from rivals.configurations import PRESETS, SanConfig, san_vit_b16, san_vit_l14
from rivals.cost_volume import IGNORED, learning, stretched
from rivals.official import Replacement, official_clip, official_config, part_of, read_official, renamed
from rivals.side_adapter import SideAdapter, SplitClip

# Weights of the three losses, and of the three costs of a match.
_CLASS, _MASK, _DICE = 2.0, 5.0, 5.0
# Weight of a query that matches nothing.
_NO_OBJECT = 0.1
# Of so many times the points that are asked for, this share is taken where the mask is nearest to undecided.
_OVERSAMPLING, _UNDECIDED_SHARE = 3, 0.75


class SanFeatures(NamedTuple):
    """What the head sees of an image, whatever the vocabulary."""

    masks: Float[Tensor, "V Q h w"]  # logits
    embeddings: Float[Tensor, "V Q C"]  # what each mask shows, a unit vector


class Guess(NamedTuple):
    """Masks and class logits, "nothing" last, of one supervised block of the adapter."""

    masks: Float[Tensor, "B Q h w"]
    classes: Float[Tensor, "B Q N1"]


class Truth(NamedTuple):
    """The classes that are in an image, and where."""

    classes: Int64[Tensor, "T"]
    masks: Float[Tensor, "T H W"]


class San(nn.Module):
    """Images and text features to masks and their classes."""

    Config: ClassVar[type] = SanConfig
    presets: ClassVar[Mapping[str, Any]] = PRESETS["san"]
    # Raised whenever the same weights predict otherwise.
    version: ClassVar[int] = 3
    # Scores come of masks and weights as they are.
    activation: ClassVar[Literal["sigmoid", "softmax", "identity"]] = "identity"
    learns_text: ClassVar[bool] = False

    def __init__(self, config: SanConfig, clip: Any = None) -> None:
        """A network to be trained. It takes over the towers of a CLIP of open_clip, or builds them with random weights.

        Raises ModelError for an image tower that cannot be split.
        """
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        self.config = config
        self.prompt_templates = config.prompt_templates
        self.input_size = config.image_size
        self.image_encoder = SplitClip(clip.visual, config.fused_layers[-1])
        self.text_encoder = TextEncoder(clip)
        self.adapter = SideAdapter(config, clip_dim=self.image_encoder.dim, clip_heads=self.image_encoder.num_heads)
        joint_dim = self.image_encoder.joint_dim
        self.nothing = nn.Parameter(torch.randn(1, joint_dim) * joint_dim**-0.5)

    @classmethod
    def from_released(cls, path: Path) -> "San":
        """`load_official`, which says what it raises."""
        return load_official(path)

    def encode_text(self, names: Sequence[Sequence[str]], templates: Sequence[str]) -> Float[Tensor, "N P C"]:
        """The mean of the unit vectors of all synonyms, for each template."""
        return self.text_encoder(names, templates)

    def text_digest(self) -> str:
        """sha256 of what `encode_text` depends on."""
        return self.text_encoder.digest()

    def encode_image(self, views: Float[Tensor, "V 3 H W"]) -> SanFeatures:
        """Features of RGB in [0, 1]. Sides may differ; they should be multiples of the adapter's and CLIP's patches."""
        return self._proposals(views)[-1]

    def head(
        self,
        features: SanFeatures,
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
    ) -> MaskClassification:
        """Masks and weights. Classes that are False in `class_mask`, and those beyond the `class_cap` of an image that
        fit some query best, have no part in the softmax and weight 0."""
        logits = self._class_logits(features.embeddings, text)
        left_out = torch.zeros(len(logits), 1, logits.shape[2], dtype=torch.bool, device=logits.device)
        if class_mask is not None:
            left_out[:, :, :-1] = ~class_mask
        if class_cap is not None and class_cap < len(text):
            best = logits.masked_fill(left_out, -torch.inf)[:, :, :-1].amax(dim=1)
            kept = torch.zeros_like(best, dtype=torch.bool).scatter(1, best.topk(class_cap, dim=1).indices, True)
            left_out[:, :, :-1] |= ~kept[:, None]
        weights = logits.masked_fill(left_out, -torch.inf).softmax(dim=2)[:, :, :-1]
        return MaskClassification(features.masks, weights)

    def training_loss(
        self,
        images: Float[Tensor, "B 3 H W"],
        labels: Int64[Tensor, "B H W"],
        text: Float[Tensor, "N P C"],
        ignore_index: int = IGNORED,
    ) -> Float[Tensor, "2"]:
        """Of classes and of masks: `set_loss` after every supervised block, added."""
        truths = [truth_of(one, ignore_index) for one in labels]
        guesses = [
            Guess(proposal.masks.float(), self._class_logits(proposal.embeddings, text).float())
            for proposal in self._proposals(stretched(images, self.input_size))
        ]
        return torch.stack([set_loss(guess, truths, self.config.num_points) for guess in guesses]).sum(dim=0)

    def loss_weights(self, labels: Int64[Tensor, "B H W"], ignore_index: int = IGNORED) -> tuple[float, float]:
        """What the two terms of the loss are means over: queries by their weight, and masks of the truth."""
        num_queries = self.config.num_queries
        num_masks = sum(min(num_queries, int((one.unique() != ignore_index).sum())) for one in labels)
        return num_masks + _NO_OBJECT * (num_queries * len(labels) - num_masks), float(num_masks)

    def parameter_groups(self) -> list[tuple[str, list[nn.Parameter], float]]:
        """What learns: name, weights, factor of the learning rate."""
        return [
            ("image_encoder", learning(self.image_encoder), 1.0),
            ("head", [*self.adapter.parameters(), self.nothing], 1.0),
        ]

    def _proposals(self, images: Float[Tensor, "B 3 H W"]) -> list[SanFeatures]:
        normalised = self.image_encoder.normalise(images)
        scale = self.config.clip.image_size / self.config.image_size
        clip = self.image_encoder(F.interpolate(normalised, scale_factor=scale, mode="bilinear", align_corners=False))
        return [
            SanFeatures(proposal.masks, self.image_encoder.recognise(clip, proposal.bias))
            for proposal in self.adapter(normalised, clip)
        ]

    def _class_logits(
        self, embeddings: Float[Tensor, "B Q C"], text: Float[Tensor, "N P C"]
    ) -> Float[Tensor, "B Q N1"]:
        words = F.normalize(torch.cat([F.normalize(text.mean(dim=1), dim=-1), self.nothing]), dim=-1)
        return self.text_encoder.clip.logit_scale.exp() * embeddings @ words.T


def truth_of(labels: Int64[Tensor, "H W"], ignore_index: int) -> Truth:
    """One mask for each class that is in the image."""
    classes = labels.unique()
    classes = classes[classes != ignore_index]
    return Truth(classes, (labels == classes[:, None, None]).float())


def set_loss(guess: Guess, truths: Sequence[Truth], num_points: int) -> Float[Tensor, "2"]:
    """Every mask of the truth is matched with one query, and the losses of the pairs are added; the other queries are
    to say "nothing". That of the classes is the mean over queries by their weight, that of the masks over the masks.

    Points are random, by a seed of torch's generator: the same for every image, so that it is no matter which others
    are in its part of a batch.
    """
    seed = int(torch.randint(2**62, ()))
    num_classes, device = guess.classes.shape[2] - 1, guess.classes.device
    wanted = torch.full(guess.classes.shape[:2], num_classes, device=device)
    at_mask, at_target = [], []
    for image, truth in enumerate(truths):
        generator = torch.Generator(device).manual_seed(seed)
        of_image = Guess(guess.masks[image : image + 1], guess.classes[image : image + 1])
        queries, order = match(of_image, truth, num_points, generator)
        wanted[image, queries] = truth.classes[order]
        masks = guess.masks[image, queries]
        with torch.no_grad():
            points = undecided_points(masks, num_points, generator)
            at_target.append(at_points(truth.masks[order], points))
        at_mask.append(at_points(masks, points))
    weight = guess.classes.new_ones(num_classes + 1)
    weight[-1] = _NO_OBJECT
    of_class = F.cross_entropy(guess.classes.flatten(0, 1), wanted.flatten(), weight)
    of_masks = _of_masks(torch.cat(at_mask), torch.cat(at_target))
    # Of images without any mask, too, all that learns has a gradient.
    return torch.stack([_CLASS * of_class, of_masks + 0.0 * guess.masks.sum()])


def _of_masks(masks: Float[Tensor, "T S"], targets: Float[Tensor, "T S"]) -> Float[Tensor, ""]:
    """Binary cross-entropy and dice of logits at points, weighted and added; 0 of no mask."""
    entropy = F.binary_cross_entropy_with_logits(masks, targets, reduction="none").mean(dim=1)
    scores = masks.sigmoid()
    dice = 1 - (2 * (scores * targets).sum(dim=1) + 1) / (scores.sum(dim=1) + targets.sum(dim=1) + 1)
    return (_MASK * entropy + _DICE * dice).sum() / max(1, len(masks))


@torch.no_grad()
def match(
    guess: Guess, truth: Truth, num_points: int, generator: torch.Generator
) -> tuple[Int64[Tensor, "T"], Int64[Tensor, "T"]]:
    """The queries and the masks of one image that belong together: of all ways to give every mask a query of its own,
    that of the lowest cost, at points that all masks share."""
    points = guess.masks.new_empty(1, num_points, 2).uniform_(generator=generator)
    masks = at_points(guess.masks[0], points.expand(guess.masks.shape[1], -1, -1))
    targets = at_points(truth.masks, points.expand(len(truth.masks), -1, -1))
    cost = matching_cost(masks, targets, guess.classes[0].softmax(dim=1)[:, truth.classes])
    queries, order = linear_sum_assignment(cost.cpu().numpy())
    device = guess.masks.device
    return torch.as_tensor(queries, device=device), torch.as_tensor(order, device=device)


def matching_cost(
    masks: Float[Tensor, "Q S"], targets: Float[Tensor, "T S"], probabilities: Float[Tensor, "Q T"]
) -> Float[Tensor, "Q T"]:
    """Weighted: minus the probability of the class, binary cross-entropy and dice of the mask's logits."""
    num_points = masks.shape[1]
    entropy = (F.softplus(-masks) @ targets.T + F.softplus(masks) @ (1 - targets).T) / num_points
    scores = masks.sigmoid()
    dice = 1 - (2 * scores @ targets.T + 1) / (scores.sum(dim=1)[:, None] + targets.sum(dim=1) + 1)
    return _MASK * entropy - _CLASS * probabilities + _DICE * dice


def at_points(masks: Float[Tensor, "T h w"], points: Float[Tensor, "T S 2"]) -> Float[Tensor, "T S"]:
    """Masks at points (x, y) in [0, 1], bilinearly; the border is half a pixel outside of the outer ones."""
    if not len(masks):
        return masks.new_zeros(0, points.shape[1])
    return F.grid_sample(masks[:, None], 2 * points[:, :, None] - 1, align_corners=False)[:, 0, :, 0]


def undecided_points(
    masks: Float[Tensor, "T h w"], num_points: int, generator: torch.Generator
) -> Float[Tensor, "T S 2"]:
    """Random points, most of them where the mask's logit is nearest to 0."""
    drawn = masks.new_empty(len(masks), _OVERSAMPLING * num_points, 2).uniform_(generator=generator)
    num_undecided = int(_UNDECIDED_SHARE * num_points)
    nearest = at_points(masks, drawn).abs().topk(num_undecided, dim=1, largest=False).indices
    undecided = drawn.gather(1, nearest[:, :, None].expand(-1, -1, 2))
    anywhere = masks.new_empty(len(masks), num_points - num_undecided, 2).uniform_(generator=generator)
    return torch.cat([undecided, anywhere], dim=1)


_OFFICIAL_SIZES = {768: san_vit_b16, 1024: san_vit_l14}
# "clip." goes before what belongs to CLIP; the number of its split stands in the configuration.
_OFFICIAL_NAMES: tuple[Replacement, ...] = (
    (r"^criterion\.empty_weight$|^ov_classifier\.attn_mask$", ""),
    (r"^ov_classifier\.bg_embed$", "nothing"),
    (r"^ov_classifier\.", "clip."),
    (r"^clip_visual_extractor\.resblocks\.", "clip.visual.transformer.resblocks."),
    (r"^(clip_visual_extractor|clip_rec_head)\.", "clip.visual."),
    (r"^side_adapter_network\.", "adapter."),
    (r"^adapter\.vit_model\.patch_embed\.proj\.", "adapter.embed_patches."),
    (r"^adapter\.vit_model\.pos_embed$", "adapter.positions"),
    (r"^adapter\.vit_model\.", "adapter."),
    (r"^adapter\.query_embed$", "adapter.queries"),
    (r"^adapter\.query_pos_embed$", "adapter.query_positions"),
    (r"^adapter\.fusion_layers\.layer_(.)\.input_proj\.", r"adapter.fusions.\1."),
    (r"^adapter\.mask_decoder\.", "adapter.decoder."),
    (r"\.pix_mlp\.", ".mask_mlp."),
    (r"\.attn_mlp\.", ".bias_mlp."),
    (r"_mlp\.layers\.(.)\.", lambda found: f"_mlp.{2 * int(found[1])}."),
    (r"\.bias_scaling\.", ".scale_bias."),
)


def load_official(path: Path, config: SanConfig | None = None) -> San:
    """A released checkpoint, ready to predict: of `config`, or of the size of the paper that is in the file.

    Raises ModelError for the file of another method, and naming a key that does not fit.
    """
    state = read_official(path, "SAN")
    config = official_config(path, state.get("clip_visual_extractor.conv1.weight"), _OFFICIAL_SIZES, config)
    split = config.fused_layers[-1]
    second_part: Replacement = (
        r"^clip_rec_head\.resblocks\.(\d+)\.",
        lambda found: f"clip.visual.transformer.resblocks.{int(found[1]) + split}.",
    )
    state = renamed(state, (second_part, *_OFFICIAL_NAMES))
    model = San(config, official_clip(config.clip, part_of(state, "clip."), path))
    own = {name: tensor for name, tensor in state.items() if not name.startswith("clip.")}
    for name, tensor in own.items():
        if tensor.ndim == 3 and len(tensor) == 1:  # embeddings have an axis for the image
            own[name] = tensor[0]
        elif tensor.ndim == 4 and "embed_patches" not in name:  # convolutions of one pixel
            own[name] = tensor.flatten(1)
    holder = nn.Module()
    holder.adapter, holder.nothing = model.adapter, model.nothing
    load_strictly(holder, own, path)
    return model.eval()
