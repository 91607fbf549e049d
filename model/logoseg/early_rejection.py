"""Early rejection of classes (Xie et al., CVPR 2024) in the class volume: most classes of a large vocabulary are not in
the image, and the coarse maps say so.

    x^0 of F_0, all classes     -> the kept[0] classes with the largest lead
    x^1 of F_1, those classes   -> the kept[1] classes with the largest lead
    logits of F_2, those classes

    lead_n = max over positions of (x_n - max over m != n of x_m)

A class that wins anywhere has a lead of 0 or more. SED keeps the k likeliest classes of every position, however many
that are; here the number is what is chosen, so that the cost of an image has a bound.

The decoder has no interaction between classes, so the logits of those that are left are the full decoder's: to the bit
for one view and for more than half of `maps_at_once`, on maps of 12 x 12 tokens and more. Elsewhere the convolutions
of a class that the full decoder takes alone run in another order, and it may differ by rounding.

Axes: B images, N classes, K that were kept, P prompts, D fused width, C channels, h x w tokens.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from logoseg.decoder import ClassVolumeDecoder, logit_of


class Survivors(NamedTuple):
    """The classes that were decoded to the end, in rising order, and their logits."""

    classes: Int64[Tensor, "K"]
    logits: Float[Tensor, "K H W"]


# So many class maps at a time: little slower than more, and in less memory.
MAPS_AT_ONCE = 2


def survivors(
    decoder: ClassVolumeDecoder,
    fused: Float[Tensor, "B D h w"],
    queries: Float[Tensor, "B N D"],
    cosine: Float[Tensor, "B N P h w"],
    guidance: tuple[Float[Tensor, "B C1 h1 w1"], Float[Tensor, "B C2 h2 w2"]],
    *,
    kept: tuple[int, int],
    class_mask: Bool[Tensor, "N"] | None = None,
) -> list[Survivors]:
    """What is left of the classes of each image, of which at most `kept` go on from F_0 and from F_1.

    The decoder needs auxiliary heads. A class that is False in `class_mask` goes on only where the others are too few.
    """
    height, width = fused.shape[2:]
    operands_1 = decoder.stage_1.operands(guidance[0], (2 * height, 2 * width))
    operands_2 = decoder.stage_2.operands(guidance[1], (4 * height, 4 * width))
    everyone = torch.arange(queries.shape[1], device=queries.device)
    # Maps of one prompt are in both layouts of memory at once, unless somebody copies them: as the full decoder does
    # where it takes one class of many images at a time. The convolution of the two differs in its last bits.
    channels_last = cosine.shape[2] > 1 or decoder.maps_at_once // 2 < len(fused)

    def of_image(image: int) -> Survivors:
        one = slice(image, image + 1)
        shared_1 = operands_1._replace(guidance=operands_1.guidance[one])
        shared_2 = operands_2._replace(guidance=operands_2.guidance[one])

        def correlation(classes: Int64[Tensor, "n"]) -> Float[Tensor, "n C h w"]:
            maps = cosine[image, classes]
            if channels_last:
                maps = maps.movedim(1, -1).clone(memory_format=torch.contiguous_format).movedim(-1, 1)
            return decoder.correlation(fused[one], queries[one, classes], maps)

        # F_0 is cheap to make again, and large to keep for everyone.
        coarse = torch.cat([decoder.guess(0, correlation(some)) for some in everyone.split(MAPS_AT_ONCE)])
        classes = largest_leads(coarse, kept[0], class_mask)
        # Channels last, as the stages have it.
        maps = fused.new_empty(len(classes), 2 * height, 2 * width, decoder.stage_1.upsample.out_channels).movedim(
            -1, 1
        )
        for place, some in zip(maps.split(MAPS_AT_ONCE), classes.split(MAPS_AT_ONCE), strict=True):
            place.copy_(decoder.stage_1(correlation(some), shared_1))
        finer = largest_leads(decoder.guess(1, maps), kept[1], None if class_mask is None else class_mask[classes])
        logits = [
            logit_of(decoder.to_logit, decoder.stage_2(maps[some], shared_2)) for some in finer.split(MAPS_AT_ONCE)
        ]
        return Survivors(classes[finer], torch.cat(logits))

    return [of_image(image) for image in range(len(fused))]


def largest_leads(
    logits: Float[Tensor, "N h w"], kept: int, class_mask: Bool[Tensor, "N"] | None = None
) -> Int64[Tensor, "K"]:
    """The `kept` classes, in rising order, that come nearest to winning at some position; all, of no more than those.
    Those that are False in `class_mask` come last, and nobody has to beat them."""
    if len(logits) <= kept:
        return torch.arange(len(logits), device=logits.device)
    if class_mask is not None:
        logits = logits.masked_fill(~class_mask[:, None, None], -torch.inf)
    best, second = logits.topk(2, dim=0).values
    rival = torch.where(logits == best, second, best)
    return (logits - rival).amax(dim=(1, 2)).topk(kept).indices.sort().values
