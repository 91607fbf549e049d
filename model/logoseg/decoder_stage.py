"""One stage of the decoder (eq. 11): F_{i+1} = Decoder_i(Upsample(F_i), S_i).

Written out (A18, A19): a learned 2x up-sampling, the concatenation with the projected guidance S_i, and two 3 x 3
convolutions, each with GroupNorm and ReLU. Two identities make it cheap when M maps share one image, as the classes of
the class volume do:

    conv([up(x) || s]) = conv_x(up(x)) + conv_s(s)      the second term is one per image, not one per map
    conv_x(up(x))      = up'(x)                         no non-linearity lies between, so both are one transposed
                                                        convolution of kernel 4, stride 2, padding 1: the kernel of
                                                        the up-sampling, convolved with conv_x

Axes: B images, M = B * n maps (n of an image in a row), C channels in, E channels out, S channels of the guidance.
"""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, channels_last, nn

from logoseg.config import GROUP_CHANNELS
from logoseg.model_error import ModelError


class StageOperands(NamedTuple):
    """What a stage needs once per image or once per call, whatever the number of maps."""

    kernel: Float[Tensor, "C E 4 4"]
    guidance: Float[Tensor, "B E H W"]


class DecoderStage(nn.Module):
    """Doubles the resolution of maps, guided by an activation of the image encoder.

    guidance_channels: S, of the raw activation. guidance_dim: its channels after projection, in the concatenation.
    """

    def __init__(self, *, in_dim: int, out_dim: int, guidance_channels: int, guidance_dim: int) -> None:
        super().__init__()
        if out_dim % GROUP_CHANNELS:
            raise ModelError(f"The dims of a decoder must be multiples of {GROUP_CHANNELS}, got {out_dim}.")
        num_groups = out_dim // GROUP_CHANNELS
        self.upsample = nn.ConvTranspose2d(in_dim, out_dim, kernel_size=2, stride=2, bias=False)
        self.project_guidance = nn.Conv2d(guidance_channels, guidance_dim, kernel_size=1)
        self.merge = nn.Conv2d(out_dim + guidance_dim, out_dim, kernel_size=3, padding=1, bias=False)
        self.merge_norm = nn.GroupNorm(num_groups, out_dim)
        self.refine = nn.Conv2d(out_dim, out_dim, kernel_size=3, padding=1, bias=False)
        self.refine_norm = nn.GroupNorm(num_groups, out_dim)
        # Every output pixel has one tap of the kernel, so this keeps the variance of the maps. PyTorch's own start
        # shrinks them, and the guidance, equal for all classes, would drown what tells the classes apart.
        nn.init.normal_(self.upsample.weight, std=in_dim**-0.5)

    def operands(self, guidance: Float[Tensor, "B S h w"], size: tuple[int, int]) -> StageOperands:
        """The folded kernel, and the guidance's share of the first convolution at `size` = (H, W)."""
        merge_maps, merge_guidance = self.merge.weight.tensor_split((self.upsample.out_channels,), dim=1)
        kernel = F.conv2d(self.upsample.weight, merge_maps, padding=2)
        # A few channels of CLIP's raw activations are larger than all others together.
        normalised = F.layer_norm(guidance.movedim(1, -1), guidance.shape[1:2]).movedim(-1, 1)
        projected = F.relu(self.project_guidance(normalised))
        resized = F.interpolate(projected, size=size, mode="bilinear", align_corners=False)
        shared = F.conv2d(resized.contiguous(memory_format=channels_last), merge_guidance, padding=1)
        return StageOperands(kernel.contiguous(memory_format=channels_last), shared)

    def forward(self, maps: Float[Tensor, "M C h w"], operands: StageOperands) -> Float[Tensor, "M E 2*h 2*w"]:
        """maps: best in channels_last memory, which spares the convolutions a re-ordering of every input."""
        num_images = len(operands.guidance)
        merged = F.conv_transpose2d(maps, operands.kernel, stride=2, padding=1)
        merged.unflatten(0, (num_images, -1)).add_(operands.guidance.unsqueeze(1))
        merged = F.relu_(self.merge_norm(merged))
        return F.relu_(self.refine_norm(self.refine(merged)))
