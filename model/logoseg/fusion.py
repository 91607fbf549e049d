"""Contextual cross-modal fusion (section 2.3, eq. 8-10).

    X_local = [MHSA_h(F_h || G_h), MHSA_v(F_v || G_v)]                  (8)
    X_fused = adapt(proj([X_local || SS2D(G)]))                         (9)
    K = V   = [X_fused || E_text]   (tokens, not channels: A14)         (10)
    a       = Attn(Q, K, V);  Q <- Q + sigmoid(W [Q || a]) a;  Q <- Q + MLP(Q)

`fusion_depth` layers are stacked: from the second on X_fused takes the place of F_mid, and G stays the same (A12).

Axes: B images, D guidance width, H x W tokens, N classes (one query each, A16), C joint CLIP width, M width of
F_mid.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from logoseg.config import ModelConfig
from logoseg.ops.linear_attention import linear_attention
from logoseg.ops.rectangular_attention import RectangularAttention
from logoseg.state_space import SS2D


class DirectionalAttention(nn.Module):
    """X_local of eq. 8: half of the channels look along rows, the other half along columns."""

    def __init__(self, *, dim: int, num_heads: int, stripe_width: int) -> None:
        super().__init__()
        self.horizontal = RectangularAttention(
            dim=dim, num_heads=num_heads, stripe_width=stripe_width, direction="horizontal"
        )
        self.vertical = RectangularAttention(
            dim=dim, num_heads=num_heads, stripe_width=stripe_width, direction="vertical"
        )

    def forward(
        self, middle: Float[Tensor, "B D H W"], guidance: Float[Tensor, "B D H W"]
    ) -> Float[Tensor, "B 2*D H W"]:
        middle_h, middle_v = middle.chunk(2, dim=1)
        guidance_h, guidance_v = guidance.chunk(2, dim=1)
        horizontal = self.horizontal(torch.cat([middle_h, guidance_h], dim=1))
        vertical = self.vertical(torch.cat([middle_v, guidance_v], dim=1))
        return torch.cat([horizontal, vertical], dim=1)


class PlainConcatenation(nn.Module):
    """X_local without directional attention (Table 3): [F || G] as they are."""

    def forward(
        self, middle: Float[Tensor, "B D H W"], guidance: Float[Tensor, "B D H W"]
    ) -> Float[Tensor, "B 2*D H W"]:
        return torch.cat([middle, guidance], dim=1)


class ChannelAdaptation(nn.Module):
    """1 x 1 (D -> 2D), depthwise 3 x 3, gated linear unit (-> D), 1 x 1; residual and LayerNorm (A13)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(dim, 2 * dim, kernel_size=1)
        self.depthwise = nn.Conv2d(2 * dim, 2 * dim, kernel_size=3, padding=1, groups=2 * dim)
        self.project = nn.Conv2d(dim, dim, kernel_size=1)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Float[Tensor, "B D H W"]) -> Float[Tensor, "B D H W"]:
        x = x + self.project(F.glu(self.depthwise(self.expand(x)), dim=1))
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class QueryAttention(nn.Module):
    """Eq. 10: the class queries read the fused tokens and the text, through linear attention and a gate (A17)."""

    def __init__(self, *, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_norm = nn.LayerNorm(dim)
        self.source_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.gate = nn.Linear(2 * dim, dim)
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(
        self,
        queries: Float[Tensor, "B N D"],
        fused: Float[Tensor, "B D H W"],
        text: Float[Tensor, "B N D"],
        class_mask: Bool[Tensor, "N"] | None = None,
    ) -> Float[Tensor, "B N D"]:
        tokens = fused.flatten(2).transpose(1, 2)
        source = self.source_norm(torch.cat([tokens, text], dim=1))  # (B, H*W + N, D)
        source_mask = None
        if class_mask is not None:
            source_mask = torch.cat([class_mask.new_ones(tokens.shape[1]), class_mask])
        key, value = (self._split_heads(part) for part in self.key_value(source).chunk(2, dim=-1))
        query = self._split_heads(self.query(self.query_norm(queries)))
        attended = linear_attention(query, key, value, source_mask).transpose(1, 2).flatten(2)
        queries = queries + torch.sigmoid(self.gate(torch.cat([queries, attended], dim=-1))) * attended
        return queries + self.mlp(queries)

    def _split_heads(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B heads L d"]:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class FusionLayer(nn.Module):
    """One layer of eq. 8-10. What Table 3 switches off is simply not built."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim, heads = config.guidance_dim, config.attention_heads
        self.local = (
            DirectionalAttention(dim=dim, num_heads=heads, stripe_width=config.stripe_width)
            if config.directional_attention
            else PlainConcatenation()
        )
        self.global_context = (
            SS2D(dim=dim, state_dim=config.state_dim, expansion=config.state_expansion)
            if config.global_context
            else None
        )
        self.project = nn.Conv2d(3 * dim if config.global_context else 2 * dim, dim, kernel_size=1)
        self.adapt = ChannelAdaptation(dim)
        self.query_attention = QueryAttention(dim=dim, num_heads=heads) if config.language_queries else None

    def forward(
        self,
        middle: Float[Tensor, "B D H W"],
        guidance: Float[Tensor, "B D H W"],
        queries: Float[Tensor, "B N D"],
        text: Float[Tensor, "B N D"] | None,
        class_mask: Bool[Tensor, "N"] | None = None,
    ) -> tuple[Float[Tensor, "B D H W"], Float[Tensor, "B N D"]]:
        """X_fused and the refined queries; `text` (E_text) is for the language queries only."""
        streams = [self.local(middle, guidance)]
        if self.global_context is not None:
            streams.append(self.global_context(guidance))
        fused = self.adapt(self.project(torch.cat(streams, dim=1)))
        if self.query_attention is not None:
            queries = self.query_attention(queries, fused, text, class_mask)
        return fused, queries


class CrossModalFusion(nn.Module):
    """`fusion_depth` layers of eq. 8-10 on F_mid, projected to D first (A10)."""

    def __init__(self, config: ModelConfig, *, middle_dim: int, joint_dim: int) -> None:
        super().__init__()
        self.project_middle = nn.Conv2d(middle_dim, config.guidance_dim, kernel_size=1)
        self.project_text = nn.Linear(joint_dim, config.guidance_dim) if config.language_queries else None
        self.layers = nn.ModuleList(FusionLayer(config) for _ in range(config.fusion_depth))

    def forward(
        self,
        middle: Float[Tensor, "B M H W"],
        guidance: Float[Tensor, "B D H W"],
        queries: Float[Tensor, "B N D"],
        weighted_text: Float[Tensor, "B N C"],
        class_mask: Bool[Tensor, "N"] | None = None,
    ) -> tuple[Float[Tensor, "B D H W"], Float[Tensor, "B N D"]]:
        """X_fused of the last layer and the class queries that have read it."""
        fused = self.project_middle(middle)
        text = None if self.project_text is None else self.project_text(weighted_text)  # E_text: one token a class
        for layer in self.layers:
            fused, queries = layer(fused, guidance, queries, text, class_mask)
        return fused, queries


class PlainProjection(nn.Module):
    """What is left without cross-modal fusion (Table 2): X_fused is a 1 x 1 projection of [F_mid || G]."""

    def __init__(self, config: ModelConfig, *, middle_dim: int, joint_dim: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(middle_dim + config.guidance_dim, config.guidance_dim, kernel_size=1)

    def forward(
        self,
        middle: Float[Tensor, "B M H W"],
        guidance: Float[Tensor, "B D H W"],
        queries: Float[Tensor, "B N D"],
        weighted_text: Float[Tensor, "B N C"],
        class_mask: Bool[Tensor, "N"] | None = None,
    ) -> tuple[Float[Tensor, "B D H W"], Float[Tensor, "B N D"]]:
        """X_fused, and the queries as they came."""
        return self.project(torch.cat([middle, guidance], dim=1)), queries
