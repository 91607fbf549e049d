"""Whatever a run tells fits what MLflow takes."""

import json
import re

import pytest

from ovlab.tracking.mlflow_limits import (
    MAX_KEY,
    MAX_PARAM_VALUE,
    MAX_PARAMS_OR_TAGS,
    batches,
    clip,
    text_batches,
    valid_key,
)


def test_clip_short_text_is_untouched() -> None:
    assert clip("x" * 50, 50) == "x" * 50


def test_clip_long_texts_fit_keep_their_beginning_and_stay_different() -> None:
    one, other = clip("x" * 9000 + "a", 6000), clip("x" * 9000 + "b", 6000)

    assert len(one) == len(other) == 6000
    assert one.startswith("x" * 5000)
    assert one != other


@pytest.mark.parametrize("key", ["miou", "a-847/miou", "class 3: car", "model.prior_weight"])
def test_valid_key_that_is_allowed_is_kept(key: str) -> None:
    assert valid_key(key) == key


@pytest.mark.parametrize("key", ["mIoU (%)", "a,b", "../x", "/x", "a//b", ".", "", "k" * 251, "Grün&weiß"])
def test_valid_key_is_allowed(key: str) -> None:
    name = valid_key(key)

    assert re.fullmatch(r"[/\w.\- :]+", name)
    assert 0 < len(name) <= MAX_KEY
    assert not name.startswith(("/", ".."))
    assert "//" not in name


def test_valid_key_of_different_keys_is_different() -> None:
    keys = ["mIoU (%)", "mIoU [%]", "k" * 251, "k" * 252, "mIoU ___"]

    assert len({valid_key(key) for key in keys}) == len(keys)


def test_text_batches_hold_everything_within_the_limits() -> None:
    # 6,000 characters of which JSON makes 36,000 bytes: fewer than a hundred fit a request
    values = {f"key {n}": "ü" * (7000 if n % 2 else 10) for n in range(250)}

    parts = list(text_batches(values, max_value=MAX_PARAM_VALUE))

    assert {key: value for part in parts for key, value in part.items()} == {
        key: clip(value, MAX_PARAM_VALUE) for key, value in values.items()
    }
    for part in parts:
        assert 0 < len(part) <= MAX_PARAMS_OR_TAGS
        assert len(json.dumps([{"key": key, "value": value} for key, value in part.items()])) < 1_000_000


def test_batches_keep_the_order() -> None:
    parts = list(batches(list(range(25)), 10))

    assert [len(part) for part in parts] == [10, 10, 5]
    assert [entry for part in parts for entry in part] == list(range(25))
