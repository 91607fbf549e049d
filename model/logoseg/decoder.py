"""The two decoders (eq. 11-12, A16), with one call: X_fused, the class queries, CLIP's cosines and S_1, S_2 to logits.

ClassVolumeDecoder, the paper's: one correlation map a class, decoded to one logit map a class. Its cost grows with N.

    F_0[n] = W (query_n * X_fused) + Embed(cos(V, T_n,1..P))      the correlation tensor, B x C' x N x h x w
    F_1, F_2 = two stages of eq. 11, with the same weights for every class
    logits[n] = 1 x 1 convolution of F_2[n]; with auxiliary heads, also of F_0[n] and of F_1[n]

PixelEmbeddingDecoder: one embedding a pixel, one product a class. Its cost hardly grows with N.

    E = two stages of eq. 11 on X_fused, once per image           B x E x 4h x 4w
    s_n = <gain, cos(V, T_n,1..P)>, corrected by a small network at token resolution, the same for every class
    logits[n] = <E(pixel), W query_n> / sqrt(E) + up(s_n) + bias

No weight knows a class, and the logit of a class does not depend on the other classes.

Axes: B images, N classes, n of them in a chunk, P prompts, D fused width, C' correlation channels, E = dims[1]
embedding channels, h x w tokens.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, channels_last, nn

from logoseg.config import GROUP_CHANNELS
from logoseg.decoder_stage import DecoderStage
from logoseg.model_error import ModelError
from logoseg.ops.one_channel_convolution import one_channel_convolution

# The cosines of one image differ by hundredths; CLIP's own temperature brings them to the size of everything else.
COSINE_SCALE = 1 / 0.07
# One class of many is at a pixel. The sigmoids start near this probability, or the first steps would only lower them.
PRIOR_PROBABILITY = 0.05
PRIOR_LOGIT = math.log(PRIOR_PROBABILITY / (1 - PRIOR_PROBABILITY))


class ClassVolumeDecoder(nn.Module):
    """Correlation volume, two guided stages, one logit map a class.

    guidance_channels: of S_1 and S_2. dims: channels of the two stages; guidance_dims: of S_1 and S_2 in them.
    correlation_dim: C'. maps_at_once: without gradients, at most so many class maps are decoded together, but never
    less than one class of the whole batch; it bounds memory and does not change the answer. auxiliary_heads: whether
    F_0 and F_1 have logits, by which logoseg.early_rejection chooses.
    """

    def __init__(
        self,
        *,
        fused_dim: int,
        num_prompts: int,
        guidance_channels: tuple[int, int],
        dims: tuple[int, int] = (64, 32),
        guidance_dims: tuple[int, int] = (32, 16),
        correlation_dim: int = 32,
        maps_at_once: int = 8,
        auxiliary_heads: bool = False,
    ) -> None:
        super().__init__()
        if maps_at_once < 1:
            raise ModelError(f"maps_at_once must be at least 1, got {maps_at_once}.")
        self.maps_at_once = maps_at_once
        self.correlate = nn.Linear(fused_dim, correlation_dim, bias=False)
        self.embed_cosine = nn.Conv2d(num_prompts, correlation_dim, kernel_size=7, padding=3)
        self.stage_1 = DecoderStage(
            in_dim=correlation_dim,
            out_dim=dims[0],
            guidance_channels=guidance_channels[0],
            guidance_dim=guidance_dims[0],
        )
        self.stage_2 = DecoderStage(
            in_dim=dims[0], out_dim=dims[1], guidance_channels=guidance_channels[1], guidance_dim=guidance_dims[1]
        )
        self.to_logit = _rare_at_first(dims[1])
        self.auxiliary = nn.ModuleList(map(_rare_at_first, (correlation_dim, dims[0]) if auxiliary_heads else ()))

    def forward(
        self,
        fused: Float[Tensor, "B D h w"],
        queries: Float[Tensor, "B N D"],
        cosine: Float[Tensor, "B N P h w"],
        guidance: tuple[Float[Tensor, "B C1 h1 w1"], Float[Tensor, "B C2 h2 w2"]],
    ) -> Float[Tensor, "B N 4*h 4*w"]:
        (batch, num_classes, _), (height, width) = queries.shape, fused.shape[2:]
        operands_1 = self.stage_1.operands(guidance[0], (2 * height, 2 * width))
        operands_2 = self.stage_2.operands(guidance[1], (4 * height, 4 * width))
        # With gradients every activation is kept anyway, and one large call is faster than many.
        step = num_classes if torch.is_grad_enabled() else max(1, self.maps_at_once // batch)
        logits = fused.new_empty(batch, num_classes, 4 * height, 4 * width)
        for first in range(0, num_classes, step):
            chunk = slice(first, first + step)
            maps = self.correlation(fused, queries[:, chunk], _channels_last(cosine[:, chunk]))
            maps = self.stage_2(self.stage_1(maps, operands_1), operands_2)
            logits[:, chunk] = logit_of(self.to_logit, maps).unflatten(0, (batch, -1))
        return logits

    def correlation(
        self,
        fused: Float[Tensor, "B D h w"],
        queries: Float[Tensor, "B n D"],
        cosine: Float[Tensor, "M P h w"],
    ) -> Float[Tensor, "M K h w"]:
        """F_0, of K = C' channels, for M = B * n maps. The product query_n * X never exists: W (query_n * X) =
        (W * query_n) X."""
        class_weights = (self.correlate.weight * queries.unsqueeze(2)).flatten(1, 2)  # (B, n*C', D)
        product = torch.bmm(class_weights, fused.flatten(2))  # (B, n*C', h*w)
        embedded = F.conv2d(cosine, self.embed_cosine.weight * COSINE_SCALE, self.embed_cosine.bias, padding=3)
        return embedded.add_(product.view(embedded.shape))

    def at_every_scale(
        self,
        fused: Float[Tensor, "B D h w"],
        queries: Float[Tensor, "B N D"],
        cosine: Float[Tensor, "B N P h w"],
        guidance: tuple[Float[Tensor, "B C1 h1 w1"], Float[Tensor, "B C2 h2 w2"]],
    ) -> tuple[Float[Tensor, "B N h w"], Float[Tensor, "B N 2*h 2*w"], Float[Tensor, "B N 4*h 4*w"]]:
        """Logits of F_0, F_1 and F_2, for training: what the auxiliary heads learn reaches nothing before them."""
        (height, width), shape = fused.shape[2:], queries.shape[:2]
        maps_0 = self.correlation(fused, queries, _channels_last(cosine))
        maps_1 = self.stage_1(maps_0, self.stage_1.operands(guidance[0], (2 * height, 2 * width)))
        maps_2 = self.stage_2(maps_1, self.stage_2.operands(guidance[1], (4 * height, 4 * width)))
        return (
            self.guess(0, maps_0.detach()).unflatten(0, shape),
            self.guess(1, maps_1.detach()).unflatten(0, shape),
            logit_of(self.to_logit, maps_2).unflatten(0, shape),
        )

    def guess(self, stage: int, maps: Float[Tensor, "M C h w"]) -> Float[Tensor, "M h w"]:
        """Logits of F_0 or F_1 by its auxiliary head."""
        return logit_of(self.auxiliary[stage], maps)


def _channels_last(cosine: Float[Tensor, "B n P h w"]) -> Float[Tensor, "B*n P h w"]:
    return cosine.flatten(0, 1).contiguous(memory_format=channels_last)


def logit_of(head: nn.Module, maps: Float[Tensor, "M C h w"]) -> Float[Tensor, "M h w"]:
    """A 1 x 1 convolution to one channel."""
    return head(maps.movedim(1, -1)).squeeze(-1)  # a view: the channels are last in memory already


def _rare_at_first(dim: int) -> nn.Linear:
    """Its sigmoids start near PRIOR_PROBABILITY."""
    head = nn.Linear(dim, 1)
    nn.init.constant_(head.bias, PRIOR_LOGIT)
    return head


class PixelEmbeddingDecoder(nn.Module):
    """Two guided stages for the whole image, then a matrix product with the class queries.

    guidance_channels: of S_1 and S_2. dims: channels of the two stages; they run once per image, so they may be wide.
    guidance_dims: channels of S_1 and S_2 in them. typical_cosine: that at which a class starts with PRIOR_PROBABILITY.
    """

    def __init__(
        self,
        *,
        fused_dim: int,
        num_prompts: int,
        guidance_channels: tuple[int, int],
        dims: tuple[int, int] = (128, 64),
        guidance_dims: tuple[int, int] = (32, 16),
        typical_cosine: float = 0.25,
    ) -> None:
        super().__init__()
        self.stage_1 = DecoderStage(
            in_dim=fused_dim, out_dim=dims[0], guidance_channels=guidance_channels[0], guidance_dim=guidance_dims[0]
        )
        self.stage_2 = DecoderStage(
            in_dim=dims[0], out_dim=dims[1], guidance_channels=guidance_channels[1], guidance_dim=guidance_dims[1]
        )
        self.project_queries = nn.Linear(fused_dim, dims[1])
        # CLIP's own scale, and a bias by which the sigmoids start low. Neither gets far from here in a short training:
        # Adam moves a lone number by the learning rate a step.
        self.cosine_gain = nn.Parameter(torch.full((num_prompts,), 1 / num_prompts))
        self.refine_similarity = SimilarityRefinement(dim=GROUP_CHANNELS)
        self.bias = nn.Parameter(torch.tensor(PRIOR_LOGIT - COSINE_SCALE * typical_cosine))

    def forward(
        self,
        fused: Float[Tensor, "B D h w"],
        queries: Float[Tensor, "B N D"],
        cosine: Float[Tensor, "B N P h w"],
        guidance: tuple[Float[Tensor, "B C1 h1 w1"], Float[Tensor, "B C2 h2 w2"]],
    ) -> Float[Tensor, "B N 4*h 4*w"]:
        height, width = fused.shape[2:]
        operands_1 = self.stage_1.operands(guidance[0], (2 * height, 2 * width))
        operands_2 = self.stage_2.operands(guidance[1], (4 * height, 4 * width))
        maps = self.stage_1(fused.contiguous(memory_format=channels_last), operands_1)
        embedding = self.stage_2(maps, operands_2).flatten(2)  # (B, E, 4h * 4w)
        class_weights = self.project_queries(queries) * embedding.shape[1] ** -0.5

        similarity = torch.einsum("bnphw,p->bnhw", cosine, self.cosine_gain * COSINE_SCALE)
        similarity = self.refine_similarity(similarity.flatten(0, 1)).unflatten(0, queries.shape[:2]) + self.bias
        similarity = similarity.to(fused.dtype).contiguous(memory_format=channels_last)
        logits = F.interpolate(similarity, scale_factor=4, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
        # Classes last in memory: so the loss reads them, and writes their gradient. Where none is wanted the product is
        # added in place, since a second B x N x 4h x 4w tensor would cost more than it.
        add_product = torch.baddbmm if torch.is_grad_enabled() else Tensor.baddbmm_
        with torch.autocast(fused.device.type, enabled=False):
            flat = add_product(logits.flatten(1, 2), embedding.to(logits.dtype).mT, class_weights.to(logits.dtype).mT)
        return flat.unflatten(1, logits.shape[1:3]).permute(0, 3, 1, 2)


class SimilarityRefinement(nn.Module):
    """s + f(s) for one similarity map a class, f being two convolutions that see the neighbourhood.

    Without it, only the product of embedding and query can sharpen CLIP's noisy cosines, and that one learns the
    directions of the training words: it fits them and loses the unseen ones. f sees no word, so it holds for all.
    """

    def __init__(self, *, dim: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, dim, kernel_size=7, padding=3)
        self.norm = nn.GroupNorm(1, dim)
        self.mix = nn.Conv2d(dim, dim, kernel_size=3, padding=1)
        self.to_similarity = nn.Linear(dim, 1, bias=False)

    def forward(self, similarity: Float[Tensor, "M h w"]) -> Float[Tensor, "M h w"]:
        # In pieces that stay in a CPU's cache: fresh memory for all maps at once costs more than the convolutions.
        return torch.cat([self._refine(maps) for maps in similarity.split(256)])

    def _refine(self, similarity: Float[Tensor, "m h w"]) -> Float[Tensor, "m h w"]:
        assert self.embed.bias is not None
        maps = one_channel_convolution(similarity.unsqueeze(1), self.embed.weight, self.embed.bias)
        maps = maps.contiguous(memory_format=channels_last)
        maps = F.relu_(self.norm(maps))
        maps = F.relu_(self.mix(maps).add_(maps))
        return similarity + self.to_similarity(maps.movedim(1, -1)).squeeze(-1)
