"""The ImageNet-MiniLM bridge: an image classifier and a sentence encoder, joined by the names of the classes.

    logits   of the 1,000 classes of ImageNet, by the head of the classifier at every position of its last map
    p        softmax(logits / temperature), of the top_k likeliest classes
    V        sum over classes of p times the embedding of the class's name less the mean of all 1,000, as a unit vector
    T        the embedding of a prompt

It stands where a CLIP stands and is none: nobody trained the two for one another. It knows a thousand things, and of
anything else what the sentence encoder finds alike.

Axes: B images, K channels of the last map, N classes of the classifier, C width of an embedding, h x w positions.
"""

import math
from typing import Any

import timm
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.clip.bridge_facts import BridgeFacts
from logoseg.clip.pretrained_tag import PretrainedTag
from logoseg.clip.sentence_encoder import WordPieces, encoder_of
from logoseg.config import ClipConfig
from logoseg.image_features import ImageFeatures, ImageNormalisation
from logoseg.model_error import ModelError


class ClassifierTower(nn.Module):
    """The image side: a convolutional classifier of timm, and the embeddings of its classes' names."""

    class_embeddings: Tensor

    def __init__(self, facts: BridgeFacts) -> None:
        super().__init__()
        self.trunk: Any = timm.models.model_entrypoint(facts.trunk)(output_stride=facts.output_stride)
        self.temperature, self.top_k = facts.temperature, facts.top_k
        embeddings = F.normalize(torch.randn(self.trunk.num_classes, facts.width), dim=-1)
        self.register_buffer("class_embeddings", embeddings)


class Bridge(nn.Module):
    """What a CLIP of open_clip is to the rest of the model, with random weights."""

    def __init__(self, name: str, facts: BridgeFacts) -> None:
        super().__init__()
        self.visual = ClassifierTower(facts)
        self.sentences = encoder_of(facts)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.tokenize = WordPieces(name, facts)

    def encode_text(self, tokens: Int64[Tensor, "S L"]) -> Float[Tensor, "S C"]:
        return self.sentences(tokens)


class BridgeImageEncoder(nn.Module):
    """V as above; F_mid, S_1 and S_2 are maps after stages. It stays in evaluation mode: it has BatchNorm."""

    class_embeddings: Tensor

    def __init__(self, visual: ClassifierTower, config: ClipConfig) -> None:
        super().__init__()
        if config.guidance_layers == "stem":
            raise ModelError(
                "ClipConfig.guidance_layers = 'stem' is defined for a ViT with a stem of convolutions only."
            )
        self.trunk = visual.trunk
        self.temperature, self.top_k = visual.temperature, visual.top_k
        self.register_buffer("class_embeddings", visual.class_embeddings)
        self.middle_layer = config.middle_layer
        self.guidance_layers = config.guidance_layers
        cfg = self.trunk.pretrained_cfg
        self.normalise = ImageNormalisation(PretrainedTag(tuple(cfg["mean"]), tuple(cfg["std"]), quick_gelu=False))
        dims = [stage["num_chs"] for stage in self.trunk.feature_info]
        self.joint_dim = self.class_embeddings.shape[1]
        self.middle_dim = dims[self.middle_layer]
        self.guidance_dims = tuple(dims[layer] for layer in self.guidance_layers)

    def train(self, mode: bool = True) -> "BridgeImageEncoder":
        return super().train(False)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> ImageFeatures:
        last, maps = self.trunk.forward_intermediates(self.normalise(images))
        dense = self.to_joint(self.logits(last)).permute(0, 3, 1, 2)
        middle = F.adaptive_avg_pool2d(maps[self.middle_layer], (dense.shape[2], dense.shape[3]))
        first, second = (maps[layer] for layer in self.guidance_layers)
        return ImageFeatures(dense, middle, (first, second))

    def logits(self, last: Float[Tensor, "B K h w"]) -> Float[Tensor, "B h w N"]:
        """Of the classes, at each position as if it were an image of its own, which pooling leaves as it is."""
        positions = last.permute(0, 2, 3, 1)
        alone = self.trunk.forward_head(positions.flatten(0, 2)[:, :, None, None])
        return alone.unflatten(0, positions.shape[:3])

    def to_joint(self, logits: Float[Tensor, "B h w N"]) -> Float[Tensor, "B h w C"]:
        """V of the logits, a unit vector a position."""
        best, classes = (logits / self.temperature).softmax(dim=-1).topk(min(self.top_k, logits.shape[-1]), dim=-1)
        weights = torch.zeros_like(logits).scatter(-1, classes, best.to(logits.dtype))
        return F.normalize(weights @ self.class_embeddings.to(weights.dtype), dim=-1)

    def last_stage(self) -> list[nn.Parameter]:
        """The weights after the last map but one, and of the head: timm registers them in the order of their use."""
        before = self.trunk.get_submodule(self.trunk.feature_info[-2]["module"])
        weights = list(self.trunk.parameters())
        end = max(number for number, weight in enumerate(weights) if any(weight is one for one in before.parameters()))
        return weights[end + 1 :]
