"""What CAT-Seg and SED have in common: the cosine volume, attention over classes, guided up-sampling and the loss.

Axes: B images, N classes, K classes that were kept, P prompts, C joint CLIP width, D channels, G channels of guidance,
h x w positions, H x W pixels of the labels.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.network import REJECTED
from rivals.configurations import GROUP_CHANNELS

EPSILON = 1e-6
# The label of a pixel that counts for no class, if nothing else is said: 255 is a class of its own in A-847 and PC-459.
IGNORED = 65535


def cosine_volume(dense: Float[Tensor, "B C h w"], text: Float[Tensor, "B K P C"]) -> Float[Tensor, "B K P h w"]:
    """The cosine of every position with every prompt of the image's own classes; both are unit vectors."""
    return torch.einsum("bchw,bkpc->bkphw", dense, text)


def chosen_classes(
    dense: Float[Tensor, "B C h w"],
    text: Float[Tensor, "N P C"],
    class_mask: Bool[Tensor, "N"] | None,
    class_cap: int | None,
) -> Int64[Tensor, "B K"]:
    """The classes an image is decoded for: those of the mask, and of more than `class_cap` those whose best position
    has the highest cosine, as CAT-Seg chooses them."""
    allowed = torch.arange(len(text), device=text.device)
    if class_mask is not None:
        allowed = allowed[class_mask]
    allowed = allowed.expand(len(dense), -1)
    if class_cap is None or allowed.shape[1] <= class_cap:
        return allowed
    best = cosine_volume(dense, text[allowed]).amax(dim=(2, 3, 4))
    return allowed.gather(1, best.topk(class_cap, dim=1).indices)


def among_all(
    logits: Float[Tensor, "B K h w"], classes: Int64[Tensor, "B K"], num_classes: int
) -> Float[Tensor, "B N h w"]:
    """The logits of all classes, REJECTED for those that were not decoded."""
    if classes.shape[1] == num_classes:
        return logits
    whole = logits.new_full((len(logits), num_classes, *logits.shape[2:]), REJECTED)
    return whole.scatter(1, classes[:, :, None, None].expand_as(logits), logits)


def guided(linear: nn.Linear, x: Float[Tensor, "..."], guidance: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """linear([x || guidance]), where the guidance is the same along some axes of x and is projected once."""
    weight_x, weight_guidance = linear.weight.tensor_split((x.shape[-1],), dim=1)
    return F.linear(x, weight_x) + F.linear(guidance, weight_guidance, linear.bias)


class ClassAttention(nn.Module):
    """Linear attention (Katharopoulos et al. 2020) over the classes, at every position by itself.

        out_n = phi(q_n) (sum_m phi(k_m) v_m^T) / (phi(q_n) . sum_m phi(k_m) + eps),   phi = elu + 1

    q and k see the guidance of their class beside its features; an MLP follows. The map is pooled by
    `training_pooling` in training, and brought back bilinearly with aligned corners.

    padded_classes: fewer classes are joined by so many copies of one learned class. They are all equal, so their sum
    is one term times their number.
    """

    def __init__(
        self, *, dim: int, guidance_dim: int, num_heads: int, training_pooling: int, padded_classes: int = 0
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.training_pooling = training_pooling
        self.padded_classes = padded_classes
        self.query = nn.Linear(dim + guidance_dim, dim)
        self.key = nn.Linear(dim + guidance_dim, dim)
        self.value = nn.Linear(dim, dim)
        self.norm_1 = nn.LayerNorm(dim)
        self.norm_2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
        if padded_classes:
            self.padding = nn.Parameter(torch.zeros(dim))
            self.padding_guidance = nn.Parameter(torch.zeros(guidance_dim))

    def forward(self, x: Float[Tensor, "B N D h w"], guidance: Float[Tensor, "B N G"]) -> Float[Tensor, "B N D h w"]:
        """guidance: of each class; without channels (G = 0) where there is none."""
        pooling = self.training_pooling if self.training else 1
        pooled = F.avg_pool3d(x, (1, pooling, pooling)) if pooling > 1 else x
        tokens = pooled.movedim(2, -1)
        tokens = tokens + self._attend(self.norm_1(tokens), guidance[:, :, None, None])
        tokens = tokens + self.mlp(self.norm_2(tokens))
        attended = tokens.movedim(-1, 2)
        if pooling > 1:
            resized = F.interpolate(attended.flatten(0, 1), size=x.shape[3:], mode="bilinear", align_corners=True)
            attended = resized.unflatten(0, x.shape[:2])
        return x + attended

    def _attend(
        self, x: Float[Tensor, "B N y x D"], guidance: Float[Tensor, "B N 1 1 G"]
    ) -> Float[Tensor, "B N y x D"]:
        query, key = self._phi(guided(self.query, x, guidance)), self._phi(guided(self.key, x, guidance))
        value = self._heads(self.value(x))
        context = torch.einsum("bnyxhd,bnyxhe->byxhde", key, value)
        total = key.sum(dim=1)
        if x.shape[1] < self.padded_classes:
            missing = self.padded_classes - x.shape[1]
            padding = self.norm_1(self.padding)
            padding_key = self._phi(guided(self.key, padding, self.padding_guidance))
            context = context + missing * padding_key[:, :, None] * self._heads(self.value(padding))[:, None]
            total = total + missing * padding_key
        normaliser = torch.einsum("bnyxhd,byxhd->bnyxh", query, total) + EPSILON
        out = torch.einsum("bnyxhd,byxhde->bnyxhe", query, context) / normaliser[..., None]
        return out.flatten(-2).to(x.dtype)

    def _phi(self, x: Float[Tensor, "*axes D"]) -> Float[Tensor, "*axes heads d"]:
        return F.elu(self._heads(x)) + 1

    def _heads(self, x: Float[Tensor, "*axes D"]) -> Float[Tensor, "*axes heads d"]:
        # The sums over classes need float32 at least.
        return x.to(torch.promote_types(x.dtype, torch.float32)).unflatten(-1, (self.num_heads, -1))


class GuidedUpsampling(nn.Module):
    """Doubles the maps of all classes: a learned up-sampling, then two 3 x 3 convolutions, each with GroupNorm and
    ReLU, of [up-sampled || guidance of the image || maps of the class], the last for SED only.

    The share of the guidance in the first convolution is the same for all classes of an image and computed once.
    """

    def __init__(self, *, in_dim: int, out_dim: int, guidance_dim: int, volume_dim: int = 0) -> None:
        super().__init__()
        self.parts = (in_dim - guidance_dim, guidance_dim, volume_dim)
        groups = out_dim // GROUP_CHANNELS
        self.up = nn.ConvTranspose2d(in_dim, in_dim - guidance_dim, kernel_size=2, stride=2)
        self.merge = nn.Conv2d(in_dim + volume_dim, out_dim, kernel_size=3, padding=1, bias=False)
        self.merge_norm = nn.GroupNorm(groups, out_dim)
        self.refine = nn.Conv2d(out_dim, out_dim, kernel_size=3, padding=1, bias=False)
        self.refine_norm = nn.GroupNorm(groups, out_dim)

    def forward(
        self,
        x: Float[Tensor, "B N D h w"],
        guidance: Float[Tensor, "B G 2*h 2*w"],
        volume: Float[Tensor, "B N E 2*h 2*w"] | None = None,
    ) -> Float[Tensor, "B N D2 2*h 2*w"]:
        num_images = len(x)
        by_maps, by_guidance, by_volume = self.merge.weight.split(self.parts, dim=1)
        merged = F.conv2d(self.up(x.flatten(0, 1)), by_maps, padding=1)
        if volume is not None:
            merged = merged + F.conv2d(volume.flatten(0, 1), by_volume, padding=1)
        shared = F.conv2d(guidance, by_guidance, padding=1)
        merged = (merged.unflatten(0, (num_images, -1)) + shared[:, None]).flatten(0, 1)
        merged = F.relu(self.merge_norm(merged))
        return F.relu(self.refine_norm(self.refine(merged))).unflatten(0, (num_images, -1))


def bce_with_ignored_as_zeros(
    logits: Float[Tensor, "B N h w"], labels: Int64[Tensor, "B H W"], ignore_index: int
) -> Float[Tensor, ""]:
    """Binary cross-entropy of logits brought bilinearly to the labels' size, its mean over B, H, W and N. To a pixel
    that is ignored, every class is absent.

    sum over pixels of (sum_n softplus(x_n) - x_label), which needs no one-hot tensor.
    """
    fine = F.interpolate(logits, size=labels.shape[1:], mode="bilinear", align_corners=False)
    labelled = labels != ignore_index
    of_label = fine.gather(1, labels.where(labelled, 0)[:, None])[:, 0]
    return (F.softplus(fine).sum() - of_label[labelled].sum()) / fine.numel()


def stretched(images: Float[Tensor, "B 3 H W"], side: int) -> Float[Tensor, "B 3 S S"]:
    """Images as squares of `side` pixels, bilinearly."""
    return F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)


@contextmanager
def outputs_of(*modules: nn.Module) -> Iterator[list[Tensor]]:
    """What the modules give while the block runs, in the order of their calls."""
    outputs: list[Tensor] = []
    handles = [
        module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output)) for module in modules
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def learning(module: nn.Module) -> list[nn.Parameter]:
    """The weights of a module that are not frozen."""
    return [weight for weight in module.parameters() if weight.requires_grad]
