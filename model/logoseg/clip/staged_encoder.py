"""Dense features of towers of convolutions: the head is applied at every position of the last map (sheet 5.3).

Axes: B images, C joint CLIP width, K channels of the last stage, h x w positions.
"""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.pretrained_tag import pretrained_tag
from logoseg.config import ClipConfig
from logoseg.image_features import ImageFeatures, ImageNormalisation
from logoseg.model_error import ModelError


class StagedImageEncoder(nn.Module, ABC):
    """What is common: F_mid, S_1 and S_2 are maps after stages."""

    def __init__(self, visual: Any, config: ClipConfig) -> None:
        super().__init__()
        if config.guidance_layers == "stem":
            raise ModelError(
                "ClipConfig.guidance_layers = 'stem' is defined for a ViT with a stem of convolutions only."
            )
        self.middle_layer = config.middle_layer
        self.guidance_layers = config.guidance_layers
        self.normalise = ImageNormalisation(pretrained_tag(config))
        self.stem = visual.trunk.stem
        self.stages = visual.trunk.stages
        dims = [info["num_chs"] for info in visual.trunk.feature_info]
        self.middle_dim = dims[self.middle_layer]
        dims.append(dims[0])  # layer -1: the stem is as wide as the first stage
        self.guidance_dims = tuple(dims[layer] for layer in self.guidance_layers)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> ImageFeatures:
        x = embedded = self.stem(self.normalise(images))
        activations = []
        for stage in self.stages:
            x = stage(x)
            activations.append(x)
        activations.append(embedded)  # layer -1
        dense = F.normalize(self.to_joint(x), dim=-1).permute(0, 3, 1, 2)
        middle = F.adaptive_avg_pool2d(activations[self.middle_layer], (dense.shape[2], dense.shape[3]))
        first, second = (activations[layer] for layer in self.guidance_layers)
        return ImageFeatures(dense, middle, (first, second))

    @abstractmethod
    def to_joint(self, x: Float[Tensor, "B K h w"]) -> Float[Tensor, "B h w C"]:
        """The last map in the space of the text, of any length."""


class ConvNextImageEncoder(StagedImageEncoder):
    """A CLIP ConvNeXt that keeps its map."""

    def __init__(self, visual: Any, config: ClipConfig) -> None:
        super().__init__(visual, config)
        self.norm_pre = visual.trunk.norm_pre
        self.norm = visual.trunk.head.norm
        self.head = visual.head
        self.joint_dim = [child for child in self.head.modules() if isinstance(child, nn.Linear)][-1].out_features

    def to_joint(self, x: Float[Tensor, "B K h w"]) -> Float[Tensor, "B h w C"]:
        return self.head(self.norm(self.norm_pre(x)).permute(0, 2, 3, 1))


class FastVitImageEncoder(StagedImageEncoder):
    """A MobileCLIP's FastViT that keeps its map, and stays in evaluation mode: it has BatchNorm."""

    def __init__(self, visual: Any, config: ClipConfig) -> None:
        super().__init__(visual, config)
        self.final_conv = visual.trunk.final_conv
        self.head = visual.trunk.head.fc
        self.joint_dim = self.head.out_features

    def train(self, mode: bool = True) -> "FastVitImageEncoder":
        return super().train(False)

    def to_joint(self, x: Float[Tensor, "B K h w"]) -> Float[Tensor, "B h w C"]:
        return self.head(self.final_conv(x).permute(0, 2, 3, 1))
