"""Prior-guided regional alignment (section 2.2, eq. 3-7): from tokens and words to the guidance tensor G.

    A_kn    = <v_k, That_n> / (|v_k| |That_n|)                           (3)
    w_kn    = softmax over k of tau A_kn                                 (4)
    m_n     = sum_k w_kn v_k                                             (5)
    g_n     = W_t [m_n || That_n] + b_t                                  (6)  region-level textual guidance
    g~_k    = W_g sum_n softmax over n of (beta A_kn) g_n                (7)  the same, seen from region k
    alpha_k = sigmoid(|g_image_k| - |g~_k|)                              (7)  the two-way softmax of the norms
    G_k     = alpha_k g_image_k + (1 - alpha_k) g~_k                     (7)  the same for all tokens of region k

v_k is the mean token of region k. tau and beta are learned and start at CLIP's 1 / 0.07 (A7).

Axes: B images, C joint CLIP width, H x W tokens, K = grid * grid regions, N classes, D guidance width.
"""

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

INITIAL_TEMPERATURE = 1 / 0.07


def region_index(height: int, width: int, grid: int, device: torch.device | None = None) -> Int64[Tensor, "H W"]:
    """The region of each token: `grid` rows and columns of regions, numbered row by row.

    The regions do not overlap and cover everything; where a side is no multiple of `grid` their sizes differ by one.
    Raises ValueError when a side has fewer tokens than regions.
    """
    if height < grid or width < grid:
        raise ValueError(f"region_grid is {grid}, but the image has only {height} x {width} tokens.")
    rows = torch.arange(height, device=device) * grid // height
    columns = torch.arange(width, device=device) * grid // width
    return rows[:, None] * grid + columns[None, :]


def region_pool(image: Float[Tensor, "B C H W"], grid: int) -> Float[Tensor, "B K C"]:
    """v_k of eq. 3: the mean token of each region, regions numbered row by row."""
    member = _membership(image, grid)
    return torch.einsum("bct,tk->bkc", image.flatten(2), member / member.sum(dim=0))


def region_similarity(regions: Float[Tensor, "B K C"], weighted_text: Float[Tensor, "B N C"]) -> Float[Tensor, "B K N"]:
    """Eq. 3: the cosine between each region and each class. A positive prior cancels here (A2)."""
    return F.normalize(regions, dim=-1) @ F.normalize(weighted_text, dim=-1).transpose(1, 2)


def prior_scaled_similarity(
    regions: Float[Tensor, "B K C"], weighted_text: Float[Tensor, "B N C"], text: Float[Tensor, "N P C"]
) -> Float[Tensor, "B K N"]:
    """Eq. 3 with the norm of the plain text in the denominator: w_n times the cosine, so that the prior counts (A2)."""
    norm = text.mean(dim=1).norm(dim=-1).clamp(min=1e-12)
    return F.normalize(regions, dim=-1) @ (weighted_text / norm[:, None]).transpose(1, 2)


def region_weights(
    similarity: Float[Tensor, "B K N"], temperature: float | Float[Tensor, ""]
) -> Float[Tensor, "B K N"]:
    """Eq. 4: how much each region tells about a class; sums to one over the regions."""
    return torch.softmax(temperature * similarity, dim=1)


def class_prototypes(weights: Float[Tensor, "B K N"], regions: Float[Tensor, "B K C"]) -> Float[Tensor, "B N C"]:
    """Eq. 5: m_n, the visual prototype of each class."""
    return weights.transpose(1, 2) @ regions


def guidance_weight(
    image_guidance: Float[Tensor, "B K D"], text_guidance: Float[Tensor, "B K D"]
) -> Float[Tensor, "B K"]:
    """alpha of eq. 7: exp|g_image| / (exp|g_image| + exp|g~_text|), at least in float32 and without the overflow."""
    precision = torch.promote_types(image_guidance.dtype, torch.float32)
    difference = image_guidance.to(precision).norm(dim=-1) - text_guidance.to(precision).norm(dim=-1)
    return torch.sigmoid(difference).to(image_guidance.dtype)


class RegionAlignment(nn.Module):
    """Eq. 3-7. Both guidances pass a LayerNorm before their norms are compared, or alpha saturates (A8)."""

    def __init__(self, *, joint_dim: int, guidance_dim: int, grid: int, prior_in_similarity: bool) -> None:
        super().__init__()
        self.grid = grid
        self.prior_in_similarity = prior_in_similarity
        self.log_tau = nn.Parameter(torch.tensor(math.log(INITIAL_TEMPERATURE)))
        self.log_beta = nn.Parameter(torch.tensor(math.log(INITIAL_TEMPERATURE)))
        self.class_projection = nn.Linear(2 * joint_dim, guidance_dim)  # W_t, b_t
        self.text_projection = nn.Linear(guidance_dim, guidance_dim, bias=False)  # W_g
        self.token_score = nn.Sequential(nn.Linear(joint_dim, joint_dim), nn.GELU(), nn.Linear(joint_dim, 1))
        self.image_projection = nn.Linear(joint_dim, guidance_dim)
        self.image_norm = nn.LayerNorm(guidance_dim)
        self.text_norm = nn.LayerNorm(guidance_dim)

    def forward(
        self,
        image: Float[Tensor, "B C H W"],
        weighted_text: Float[Tensor, "B N C"],
        text: Float[Tensor, "N P C"],
        class_mask: Bool[Tensor, "N"] | None = None,
    ) -> Float[Tensor, "B D H W"]:
        """G of eq. 7. A class whose `class_mask` is False is padding and has no influence."""
        regions = region_pool(image, self.grid)
        if self.prior_in_similarity:
            similarity = prior_scaled_similarity(regions, weighted_text, text)
        else:
            similarity = region_similarity(regions, weighted_text)
        image_guidance = self.image_norm(self.image_guidance(image))
        text_guidance = self.text_norm(self.text_guidance(similarity, regions, weighted_text, class_mask))
        alpha = guidance_weight(image_guidance, text_guidance).unsqueeze(-1)
        guidance = alpha * image_guidance + (1 - alpha) * text_guidance  # (B, K, D)
        # every token gets its region's vector; as a product, because the gradient of indexing has to sort
        spread = guidance.transpose(1, 2) @ _membership(image, self.grid).T
        return spread.unflatten(2, image.shape[2:])

    def text_guidance(
        self,
        similarity: Float[Tensor, "B K N"],
        regions: Float[Tensor, "B K C"],
        weighted_text: Float[Tensor, "B N C"],
        class_mask: Bool[Tensor, "N"] | None = None,
    ) -> Float[Tensor, "B K D"]:
        """g~_text of eq. 7, from eq. 4-6."""
        prototypes = class_prototypes(region_weights(similarity, self.log_tau.exp()), regions)
        per_class = self.class_projection(torch.cat([prototypes, weighted_text], dim=-1))  # (B, N, D)
        scores = self.log_beta.exp() * similarity
        if class_mask is not None:
            scores = scores.masked_fill(~class_mask, -torch.inf)
        return self.text_projection(torch.softmax(scores, dim=-1) @ per_class)

    def image_guidance(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K D"]:
        """g_image of eq. 7: tokens pooled inside each region by learned attention."""
        tokens = image.flatten(2).transpose(1, 2)  # (B, T, C)
        scores = self.token_score(tokens)  # (B, T, 1)
        # softmax inside each region: tokens of the other regions are masked out
        member = _membership(image, self.grid).T  # (K, T)
        attention = torch.softmax(scores.transpose(1, 2).masked_fill(member == 0, -torch.inf), dim=-1)  # (B, K, T)
        return self.image_projection(attention @ tokens)


class PlainGuidance(nn.Module):
    """What is left without region alignment (Table 2): G is a projection of V."""

    def __init__(self, *, joint_dim: int, guidance_dim: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(joint_dim, guidance_dim, kernel_size=1)

    def forward(
        self,
        image: Float[Tensor, "B C H W"],
        weighted_text: Float[Tensor, "B N C"],
        text: Float[Tensor, "N P C"],
        class_mask: Bool[Tensor, "N"] | None = None,
    ) -> Float[Tensor, "B D H W"]:
        """G, which does not read the words."""
        return self.project(image)


def _membership(image: Float[Tensor, "B C H W"], grid: int) -> Float[Tensor, "T K"]:
    """One row a token with a single 1 in the column of its region."""
    index = region_index(image.shape[2], image.shape[3], grid, image.device).flatten()
    return F.one_hot(index, grid * grid).to(image.dtype)
