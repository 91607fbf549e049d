"""What a CLIP can name: zero-shot classification of close-ups among all 384 compositions.

Axes: B close-ups, N compositions, C joint CLIP width.
"""

from collections.abc import Sequence

import torch
from open_clip import CLIP
from torch.nn import functional as F

from logoseg.image_features import ImageNormalisation
from ovlab.shapes.captions import with_article
from ovlab.shapes.close_ups import close_up
from ovlab.shapes.world import COMPOSITIONS

# No training draws from it.
HELD_OUT_SEED = 999_331
PROMPT = "a photo of {}"


def zero_shot_accuracy(clip: CLIP, compositions: Sequence[int], *, num_images: int = 500) -> dict[str, float]:
    """The share of close-ups of `compositions` (world ids) whose colour, texture, shape, and all three, are right.

    Every close-up is compared with the prompts of all 384 compositions; its attributes are those of the nearest.
    """
    device = clip.logit_scale.device
    drawn = [close_up(HELD_OUT_SEED, index, compositions) for index in range(num_images)]
    normalise = ImageNormalisation().to(device)
    pixels = torch.stack([torch.from_numpy(one.image).permute(2, 0, 1) for one in drawn]).to(device)
    prompts = [PROMPT.format(with_article(composition.name)) for composition in COMPOSITIONS]
    with torch.inference_mode():
        pictures = torch.cat([clip.visual(normalise(part.float() / 255)) for part in pixels.split(100)])
        texts = F.normalize(clip.encode_text(clip.tokenize(prompts).to(device)), dim=-1)
        nearest = (F.normalize(pictures, dim=-1) @ texts.T).argmax(dim=1).tolist()
    pairs = [(COMPOSITIONS[found], one.composition) for found, one in zip(nearest, drawn, strict=True)]
    return {
        "colour": sum(found.colour == shown.colour for found, shown in pairs) / num_images,
        "texture": sum(found.texture == shown.texture for found, shown in pairs) / num_images,
        "shape": sum(found.shape == shown.shape for found, shown in pairs) / num_images,
        "composition": sum(found == shown for found, shown in pairs) / num_images,
    }
