from dataclasses import dataclass, field
from typing import Literal

import pytest

from logoseg.config import ClipConfig, ModelConfig
from ovlab.specs.errors import InputError
from ovlab.specs.overrides import apply_overrides


@dataclass(frozen=True, kw_only=True, slots=True)
class Inner:
    low: int = 1
    high: int = 2

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"Inner.low must not be above high, got {self.low} and {self.high}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    rate: float = 0.5
    limit: float | None = 1.0
    weight: float | Literal["adaptive"] = 1.0
    mode: Literal["first", "average"] = "first"
    name: str = "a"
    active: bool = True
    names: tuple[str, ...] = ("a",)
    pair: tuple[int, int] = (1, 2)


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("rate=2", "rate", 2.0),
        ("rate=1e-3", "rate", 0.001),
        ("limit=null", "limit", None),
        ("limit=None", "limit", None),
        ("weight=0.25", "weight", 0.25),
        ("weight=adaptive", "weight", "adaptive"),
        ("mode=average", "mode", "average"),
        ("name=123", "name", "123"),
        ("name=a=b", "name", "a=b"),
        ("name=None", "name", "None"),
        ("active=false", "active", False),
        ("active=False", "active", False),
        ('names=["x", "y"]', "names", ("x", "y")),
        ("pair=[3, 4]", "pair", (3, 4)),
    ],
)
def test_override_of_a_field_is_read_as_its_type(override: str, name: str, value: object) -> None:
    changed = getattr(apply_overrides(Outer(), [override]), name)

    assert changed == value
    assert type(changed) is type(value)


def test_override_of_a_nested_field_leaves_the_rest() -> None:
    assert apply_overrides(Outer(rate=3.0), ["inner.high=7"]) == Outer(rate=3.0, inner=Inner(high=7))


def test_override_given_twice_takes_the_last() -> None:
    assert apply_overrides(Outer(), ["rate=1", "rate=2"]).rate == 2.0


def test_overrides_that_need_each_other_are_made_together() -> None:
    assert apply_overrides(Outer(), ["inner.low=5", "inner.high=6"]).inner == Inner(low=5, high=6)


def test_override_of_the_model_config_reaches_its_clip() -> None:
    model = ModelConfig(clip=ClipConfig(name="x", image_size=32, middle_layer=1, guidance_layers=(0, 1)))

    changed = apply_overrides(model, ["clip.residual=token", "prior_weight=adaptive", "clip.guidance_layers=[1, 1]"])

    assert (changed.clip.residual, changed.prior_weight, changed.clip.guidance_layers) == ("token", "adaptive", (1, 1))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rat=1", ["--set rat", "nearest name is rate", "Fields of the spec: inner, rate"]),
        ("inner.hight=1", ["inner.hight", "nearest name is inner.high", "Fields of inner: low, high"]),
        ("low=1", ["nearest name is inner.low"]),
        ("rate.x=1", ["rate is one value", "nearest name is rate"]),
        ("inner=1", ["a group of fields", "inner.low, inner.high"]),
        ("rate", ["write name=value"]),
        ("rate=fast", ["--set rate: 'fast'", "give a number"]),
        ("rate=NaN", ["give a number"]),
        ("inner.low=1.5", ["'1.5'", "give a whole number"]),
        ("inner.low=true", ["give a whole number"]),
        ("active=1", ["give true or false"]),
        ("mode=last", ["give first or average"]),
        ("weight=none", ["give a number or adaptive"]),
        ("limit=off", ["give a number or null"]),
        ("names=x", ["give a JSON list, each item text"]),
        ("pair=[1]", ["give a JSON list of 2: a whole number, a whole number"]),
        ("inner.low=9", ["Inner.low must not be above high, got 9 and 2."]),
    ],
)
def test_override_that_is_wrong_says_what_is_allowed_in_one_line(override: str, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        apply_overrides(Outer(), [override])

    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)
