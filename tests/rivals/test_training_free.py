"""The four methods without training against loops in float64, as their papers write them."""

import pytest
import torch

from logoseg.config import ClipConfig
from logoseg.model_error import ModelError
from logoseg.presets import PRESETS as LOGOSEG
from logoseg.presets import shapes_convnext_s
from logoseg.prompts import IMAGENET
from rivals.configurations import MASKCLIP_TEMPLATES, PRESETS, TrainingFreeConfig
from rivals.training_free import ClearClip, MaskClip, NaClip, Sclip, neighbourhood
from small_clips import small_vit

METHODS = {"maskclip": MaskClip, "sclip": Sclip, "clearclip": ClearClip, "naclip": NaClip}

CONFIG = ClipConfig(name="small-vit", image_size=32, middle_layer=1, guidance_layers=(0, 1), tuning="frozen")
# 2 x 3 tokens of a tower that was trained at 4 x 4; width 16, two heads.
HEIGHT, WIDTH = 2, 3


def softmax(scores: list[torch.Tensor]) -> torch.Tensor:
    exponentials = torch.stack(scores).exp()
    return exponentials / exponentials.sum()


def weights(method: str, q: torch.Tensor, k: torch.Tensor, token: int) -> torch.Tensor:
    """How much the token takes of each value. `q` and `k` are L x width of one head."""
    scale, tokens = q.shape[1] ** 0.5, range(len(q))
    like_query = [q[token] @ q[other] / scale for other in tokens]
    like_key = [k[token] @ k[other] / scale for other in tokens]
    if method == "maskclip":
        return torch.eye(len(q), dtype=q.dtype)[token]
    if method == "sclip":
        return softmax(like_query) + softmax(like_key)
    if method == "clearclip":
        return softmax(like_query)
    near = []
    for other in tokens:
        (y, x), (y2, x2) = divmod(token - 1, WIDTH), divmod(other - 1, WIDTH)
        distance = torch.tensor((y - y2) ** 2 + (x - x2) ** 2, dtype=q.dtype)
        near.append(like_key[other] + (torch.exp(-distance / 50) if token and other else 0))
    return softmax(near)


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_dense_tokens_equal_loops_over_tokens_and_heads(method: str) -> None:
    segmenter = METHODS[method](TrainingFreeConfig(clip=CONFIG), small_vit(layers=3)).double()
    images = torch.rand(2, 3, 8 * HEIGHT, 8 * WIDTH, dtype=torch.float64)
    encoder = segmenter.image_encoder
    x, block = encoder.before_last_block(images), encoder.blocks[-1]
    attention = block.attn

    found = segmenter.encode_image(images)

    assert found.shape == (2, 12, HEIGHT, WIDTH)
    for image in range(2):
        y = block.ln_1(x[image])
        q = y @ attention.query_weight.T + attention.query_bias
        k = y @ attention.key_weight.T + attention.key_bias
        v = y @ attention.value_weight.T + attention.value_bias
        for token in range(1, 1 + HEIGHT * WIDTH):
            heads = []
            for head in (slice(0, 8), slice(8, 16)):
                share = weights(method, q[:, head], k[:, head], token)
                heads.append(sum(share[other] * v[other, head] for other in range(len(v))))
            out = attention.out_proj(torch.cat(heads))
            if method in ("maskclip", "sclip"):
                out = out + x[image, token]
                out = out + block.mlp(block.ln_2(out))
            expected = encoder.ln_post(out) @ encoder.proj
            place = divmod(token - 1, WIDTH)
            torch.testing.assert_close(found[image, :, *place], expected / expected.norm(), rtol=0, atol=1e-12)


def test_neighbourhood_of_a_place_and_itself_is_one_and_falls_with_distance() -> None:
    near = neighbourhood(3, 4).reshape(3, 4, 3, 4)

    assert near[1, 2, 1, 2] == 1
    assert near[0, 0, 2, 3].item() == pytest.approx(2.718281828 ** (-(4 + 9) / 50))
    assert torch.equal(near, near.permute(2, 3, 0, 1))


@pytest.mark.parametrize("method", METHODS)
def test_logits_are_the_temperature_times_the_cosine_with_the_mean_prompt(method: str) -> None:
    segmenter = METHODS[method](TrainingFreeConfig(clip=CONFIG), small_vit())
    features = torch.nn.functional.normalize(torch.randn(1, 12, 2, 2), dim=1)
    text = torch.nn.functional.normalize(torch.randn(3, 5, 12), dim=-1)

    logits = segmenter.head(features, text)
    masked = segmenter.head(features, text, class_mask=torch.tensor([True, False, True]), class_cap=1)

    temperature = {"maskclip": 100, "sclip": 40, "clearclip": 50, "naclip": 40}[method]
    for n in range(3):
        prompt = text[n].mean(dim=0)
        cosine = features[0, :, 1, 0] @ prompt / prompt.norm()
        assert logits[0, n, 1, 0].item() == pytest.approx(temperature * cosine.item(), abs=1e-4)
    assert torch.equal(masked[:, [0, 2]], logits[:, [0, 2]])
    assert (masked[:, 1] == -100).all()


def test_segmenter_of_the_miniature_answers_words() -> None:
    segmenter = Sclip(PRESETS["sclip"]["shapes-vit-s"]())
    templates = ("a photo of a {}", "a {}")

    text = segmenter.encode_text([("red star",), ("grass", "green grass")], templates)
    logits = segmenter.head(segmenter.encode_image(torch.rand(2, 3, 96, 96)), text)

    assert segmenter.input_size == 96
    assert text.shape[:2] == (2, 2)
    assert logits.shape == (2, 2, 12, 12)
    assert logits.isfinite().all()


def test_nothing_of_a_segmenter_learns_whatever_the_tuning() -> None:
    segmenter = ClearClip(PRESETS["clearclip"]["shapes-vit-s"]())

    assert not any(parameter.requires_grad for parameter in segmenter.parameters())


def test_templates_are_eighty_of_imagenet_and_five_more_of_maskclip() -> None:
    assert len(set(IMAGENET)) == 80
    assert len(set(MASKCLIP_TEMPLATES)) == 85
    assert all(template.format("zebra").count("zebra") == 1 for template in MASKCLIP_TEMPLATES)


def test_other_tower_is_refused() -> None:
    with pytest.raises(
        ModelError, match="Sclip changes the last block of open_clip's own ViT, which shapes-convnext-s"
    ):
        Sclip(TrainingFreeConfig(clip=shapes_convnext_s().clip))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", ["shapes-vit-s", "vit-b16"])
def test_presets_are_of_the_tower_and_ask_what_its_words_allow(method: str, preset: str) -> None:
    config = PRESETS[method][preset]()

    assert config.clip == LOGOSEG[preset]().clip
    assert len(config.prompt_templates) == (4 if preset == "shapes-vit-s" else 85 if method == "maskclip" else 80)
