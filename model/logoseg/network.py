"""LoGoSeg (Fig. 2): encoders -> prior -> alignment -> fusion -> decoder. Wiring only.

No weight is indexed by class: the network is trained with one vocabulary and used with any other.

Axes: B images, N classes, P prompts, C joint CLIP width, D guidance width, H x W pixels, h x w tokens, and h4 x w4 =
4h x 4w.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from logoseg.alignment import PlainGuidance, RegionAlignment
from logoseg.clip.text_encoder import TextEncoder
from logoseg.clip.towers import build_clip
from logoseg.config import Activation, ModelConfig
from logoseg.decoder import ClassVolumeDecoder, PixelEmbeddingDecoder
from logoseg.early_rejection import Survivors, survivors
from logoseg.fusion import CrossModalFusion, PlainProjection
from logoseg.image_encoder import build_image_encoder
from logoseg.image_features import ImageFeatures
from logoseg.model_error import ModelError
from logoseg.prior import ObjectPrior

# The logit of a class that is padding or beyond the class cap: its sigmoid is 0 in float32.
REJECTED = -100.0


class LoGoSeg(nn.Module):
    """Images and text features to one logit map a class, at four times the token grid."""

    activation: Activation = "sigmoid"

    def __init__(self, config: ModelConfig, clip: nn.Module | None = None) -> None:
        """A network to be trained. It takes over the towers of `clip` (see logoseg.checkpoint.load_clip), or builds
        them with random weights."""
        super().__init__()
        clip = build_clip(config.clip) if clip is None else clip
        self.config = config
        self.prompt_templates, self.input_size = config.prompt_templates, config.clip.image_size
        self.image_encoder = build_image_encoder(clip, config.clip)
        self.text_encoder = TextEncoder(clip)
        joint_dim, dim = self.image_encoder.joint_dim, config.guidance_dim

        self.prior = ObjectPrior(config.prior_weight if config.object_prior else 0.0)
        self.alignment = (
            RegionAlignment(
                joint_dim=joint_dim,
                guidance_dim=dim,
                grid=config.region_grid,
                prior_in_similarity=config.prior_in_similarity,
            )
            if config.region_alignment
            else PlainGuidance(joint_dim=joint_dim, guidance_dim=dim)
        )
        self.base_query = nn.Parameter(torch.zeros(dim))
        self.query_projection = nn.Linear(joint_dim, dim)
        fusion = CrossModalFusion if config.cross_modal_fusion else PlainProjection
        self.fusion = fusion(config, middle_dim=self.image_encoder.middle_dim, joint_dim=joint_dim)
        decoders: dict[str, Callable[..., nn.Module]] = {
            "class_volume": partial(ClassVolumeDecoder, auxiliary_heads=config.auxiliary_heads),
            "pixel_embedding": partial(PixelEmbeddingDecoder, typical_cosine=config.typical_cosine),
        }
        self.decoder: Any = decoders[config.decoder](
            fused_dim=dim,
            num_prompts=len(config.prompt_templates),
            guidance_channels=self.image_encoder.guidance_dims,
            dims=config.decoder_dims,
        )
        nn.init.normal_(self.base_query, std=0.02)
        # That is a unit vector, not one of unit variance: queries of scale 1 tell the classes apart from the start.
        nn.init.normal_(self.query_projection.weight, std=1.0)

    def forward(
        self,
        images: Float[Tensor, "B 3 H W"],
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
    ) -> Float[Tensor, "B N h4 w4"]:
        """Logits of every class. `images` are RGB in [0, 1]; both sides must be multiples of the patch.

        A class that is False in `class_mask` is padding: it has no influence and its logit is REJECTED.
        """
        return self.head(self.encode_image(images), text, class_mask=class_mask, class_cap=class_cap)

    def training_logits(
        self, images: Float[Tensor, "B 3 H W"], text: Float[Tensor, "N P C"]
    ) -> tuple[Float[Tensor, "B N _ _"], ...]:
        """All logits that learn: those of `forward`, after those of the auxiliary heads where there are any."""
        if not self.config.auxiliary_heads:
            return (self(images, text),)
        features = self.encode_image(images)
        fused, queries = self._fuse(features, text, None)
        return self.decoder.at_every_scale(fused, queries, clip_cosines(features.dense, text), features.guidance)

    def encode_image(self, images: Float[Tensor, "B 3 H W"]) -> ImageFeatures:
        """V, F_mid and S_1, S_2; independent of the vocabulary, so several vocabularies can share it."""
        return self.image_encoder(images)

    def encode_text(
        self, names: Sequence[str | Sequence[str]], templates: Sequence[str] | None = None
    ) -> Float[Tensor, "N P C"]:
        """T of classes, each a word or a few synonyms, in the prompts of `templates`, by default those it was trained
        with. For the disk cache see logoseg.clip.text_encoder."""
        synonyms = [(name,) if isinstance(name, str) else name for name in names]
        return self.text_encoder(synonyms, self.prompt_templates if templates is None else templates)

    def text_digest(self) -> str:
        """sha256 of the weights that T depends on."""
        return self.text_encoder.digest()

    def head(
        self,
        features: ImageFeatures,
        text: Float[Tensor, "N P C"],
        *,
        class_mask: Bool[Tensor, "N"] | None = None,
        class_cap: int | None = None,
        early_rejection: tuple[int, int] | None = None,
    ) -> Float[Tensor, "B N h4 w4"]:
        """Everything after the encoders. With more classes than `class_cap`, each image keeps those whose best token
        has the highest cosine, as CAT-Seg does, and the others get REJECTED; so do those that do not survive
        `early_rejection`, of which logoseg.early_rejection says what the two numbers mean. Raises ModelError where it
        is asked of a model without auxiliary heads."""
        if early_rejection is not None and not self.config.auxiliary_heads:
            raise ModelError("Early rejection needs a model that was trained with auxiliary_heads=True.")
        cosines = clip_cosines(features.dense, text)
        if class_cap is None or len(text) <= class_cap:
            if early_rejection is None:
                logits = self.decoder(*self._fuse(features, text, class_mask), cosines, features.guidance)
                return logits if class_mask is None else logits.masked_fill(~class_mask[:, None, None], REJECTED)
            found = self._survivors(features, text, cosines, class_mask, early_rejection)
        else:
            best = cosines.amax(dim=(2, 3, 4))  # (B, N)
            if class_mask is not None:
                best = best.masked_fill(~class_mask, -torch.inf)
            found = []
            for image, kept in enumerate(best.topk(class_cap, dim=1).indices):
                one, kept_mask = _of_image(features, image), None if class_mask is None else class_mask[kept]
                (some,) = self._survivors(one, text[kept], cosines[image : image + 1, kept], kept_mask, early_rejection)
                found.append(Survivors(kept[some.classes], some.logits))
        # Not before all are decoded, which frees as much memory as this takes.
        height, width = features.dense.shape[2:]
        logits = features.dense.new_full((len(found), len(text), 4 * height, 4 * width), REJECTED)
        for image, some in enumerate(found):
            logits[image, some.classes] = some.logits.to(logits.dtype)
        return logits if class_mask is None else logits.masked_fill(~class_mask[:, None, None], REJECTED)

    def _fuse(
        self, features: ImageFeatures, text: Float[Tensor, "N P C"], class_mask: Bool[Tensor, "N"] | None
    ) -> tuple[Float[Tensor, "B D h w"], Float[Tensor, "B N D"]]:
        """X_fused and the class queries."""
        weighted = self.prior(features.dense, text)  # That, (B, N, C)
        guidance = self.alignment(features.dense, weighted, text, class_mask)  # G, (B, D, h, w)
        queries = self.base_query + self.query_projection(weighted)  # (B, N, D)
        return self.fusion(features.middle, guidance, queries, weighted, class_mask)

    def _survivors(
        self,
        features: ImageFeatures,
        text: Float[Tensor, "N P C"],
        cosines: Float[Tensor, "B N P h w"],
        class_mask: Bool[Tensor, "N"] | None,
        early_rejection: tuple[int, int] | None,
    ) -> list[Survivors]:
        """Of each image, the classes that are decoded to the end: all, where none is rejected."""
        fused, queries = self._fuse(features, text, class_mask)
        if early_rejection is None:
            everyone = torch.arange(len(text), device=text.device)
            return [Survivors(everyone, logits) for logits in self.decoder(fused, queries, cosines, features.guidance)]
        inputs = (fused, queries, cosines, features.guidance)
        return survivors(self.decoder, *inputs, kept=early_rejection, class_mask=class_mask)


def _of_image(features: ImageFeatures, image: int) -> ImageFeatures:
    """What is of one image of the batch."""
    one = slice(image, image + 1)
    return ImageFeatures(
        features.dense[one], features.middle[one], (features.guidance[0][one], features.guidance[1][one])
    )


def clip_cosines(image: Float[Tensor, "B C h w"], text: Float[Tensor, "N P C"]) -> Float[Tensor, "B N P h w"]:
    """The cosine of every token with every prompt; both are unit vectors already."""
    height, width = image.shape[2:]
    cosines = text.flatten(0, 1) @ image.flatten(2)  # (B, N*P, h*w)
    return cosines.unflatten(2, (height, width)).unflatten(1, text.shape[:2])
