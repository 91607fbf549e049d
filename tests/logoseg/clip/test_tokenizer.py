"""Words to numbers, with a short list of words."""

import sys

import open_clip
import pytest
import torch
from open_clip.tokenizer import HFTokenizer

from logoseg.clip.tokenizer import ReducedTokenizer, build_tokenizer, known_words
from logoseg.clip.towers import build_clip
from logoseg.model_error import ModelError
from logoseg.presets import shapes_vit_s

WORDS = ("a", "red", "star", "checkerboards")


def test_reduced_tokenizer_end_of_text_is_the_largest_number() -> None:
    tokenize = ReducedTokenizer(WORDS, context_length=8)

    tokens = tokenize(["a red star", "star"])

    assert tokens.shape == (2, 8)
    assert (tokens.argmax(dim=1) == tokens.new_tensor([4, 2])).all()  # where the text ends, and open_clip pools
    assert tokens.max() == tokenize.vocab_size - 1


def test_reduced_tokenizer_same_word_same_number_wherever_it_stands() -> None:
    tokens = ReducedTokenizer(WORDS, context_length=8)(["red star", "Star, red"])

    assert tokens[0, 1] == tokens[1, 2]
    assert tokens[0, 2] == tokens[1, 1]


def test_reduced_tokenizer_word_of_several_tokens_is_kept_whole() -> None:
    tokens = ReducedTokenizer(WORDS, context_length=8)(["checkerboards", "a"])

    assert (tokens[0] > 0).sum() > (tokens[1] > 0).sum()


def test_reduced_tokenizer_unknown_word_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"'zebra'.*checkerboards, red, star"):
        ReducedTokenizer(WORDS, context_length=8)(["a red zebra"])


def test_reduced_tokenizer_text_beyond_the_context_is_refused() -> None:
    with pytest.raises(ModelError, match=r"6 tokens; this text tower reads 5"):
        ReducedTokenizer(WORDS, context_length=5)(["a red red star"])


def test_build_tokenizer_without_a_word_list_is_open_clips_own() -> None:
    tokens = build_tokenizer({"context_length": 77})(["zebra"])

    assert tokens.max() == 49407


@pytest.mark.parametrize(("name", "length"), [("ViT-B-16", 77), ("PE-Core-T-16-384", 32)])
def test_build_tokenizer_has_the_context_of_the_model(name: str, length: int) -> None:
    tokens = build_tokenizer(open_clip.get_model_config(name)["text_cfg"])(["zebra", "a " * (length - 2)])

    assert tokens.shape == (2, length)


@pytest.mark.parametrize(("name", "length"), [("ViT-B-16", 77), ("PE-Core-T-16-384", 32)])
def test_whole_tokenizer_text_beyond_the_context_is_refused(name: str, length: int) -> None:
    tokenize = build_tokenizer(open_clip.get_model_config(name)["text_cfg"])

    with pytest.raises(ModelError, match=f"has {length + 1} tokens; this text tower reads {length}. Shorten it"):
        tokenize(["zebra", "a " * (length - 1)])


class Downloaded(HFTokenizer):
    """What HFTokenizer asks of transformers: a number for each word, and the end; it cuts as that does."""

    def __init__(self, name: str, context_length: int, **options: object) -> None:
        self.context_length = context_length

    def clean_fn(self, text: str) -> str:
        return " ".join(text.split())

    def tokenizer(self, texts: list[str]) -> dict[str, list[list[int]]]:
        return {"input_ids": [[7] * len(text.split()) + [1] for text in texts]}

    def __call__(self, texts: list[str]) -> torch.Tensor:
        rows = self.tokenizer(texts)["input_ids"]
        return torch.tensor([(row + [1] * self.context_length)[: self.context_length] for row in rows])


def test_downloaded_tokenizer_text_beyond_the_context_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logoseg.clip.tokenizer.HFTokenizer", Downloaded)
    tokenize = build_tokenizer(open_clip.get_model_config("ViT-B-16-SigLIP")["text_cfg"])

    assert tokenize(["zebra", "a  " * 63]).shape == (2, 64)
    with pytest.raises(ModelError, match="has 65 tokens; this text tower reads 64"):
        tokenize(["zebra", "a " * 64])


def test_build_tokenizer_of_siglip_is_built_without_network_and_asks_for_transformers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # as if it were not installed
    tokenize = build_tokenizer(open_clip.get_model_config("ViT-B-16-SigLIP")["text_cfg"])

    with pytest.raises(ModelError, match=r"^The tokenizer timm/ViT-B-16-SigLIP needs transformers, .* install [^\n]*$"):
        tokenize(["zebra"])


def test_build_tokenizer_that_cannot_be_fetched_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect.\nCheck your connection.")

    monkeypatch.setattr("logoseg.clip.tokenizer.HFTokenizer", offline)

    with pytest.raises(ModelError, match=r"timm/ViT-B-16-SigLIP2 cannot be fetched \(We couldn't connect\)\.$"):
        build_tokenizer(open_clip.get_model_config("ViT-B-16-SigLIP2")["text_cfg"])(["zebra"])


def test_shapes_clip_embedding_has_a_row_for_every_token() -> None:
    tokenizer = ReducedTokenizer(known_words("shapes-words"), context_length=32)

    assert build_clip(shapes_vit_s().clip).token_embedding.num_embeddings == tokenizer.vocab_size
