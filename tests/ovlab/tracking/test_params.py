"""Specs as flat parameters."""

from dataclasses import dataclass, replace

from logoseg.presets import tiny
from ovlab.specs.evaluation import sliding_window, whole
from ovlab.specs.suite import PAPER
from ovlab.tracking.params import flat_params


@dataclass(frozen=True)
class _Inner:
    depth: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class _Outer:
    seed: int
    rate: float | None
    inner: _Inner
    extra: dict[str, int]


def test_flat_params_name_every_leaf_by_its_path() -> None:
    assert flat_params(_Outer(3, None, _Inner(2, (4, 5)), {"a": 1})) == {
        "seed": "3",
        "rate": "None",
        "inner": "_Inner",
        "inner.depth": "2",
        "inner.sizes": "4, 5",
        "extra.a": "1",
    }


def test_flat_params_of_two_ablations_differ_in_the_ablated_field_only() -> None:
    one, other = flat_params(tiny()), flat_params(replace(tiny(), prior_weight=0.25, region_grid=2))

    assert {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)} == {
        "prior_weight",
        "region_grid",
    }


def test_no_flat_param_is_the_name_of_a_class_that_says_nothing() -> None:
    params = flat_params(PAPER.training())

    assert not {"model", "model.clip", "augmentation", "schedule"} & params.keys()
    assert params["model.clip.name"] == "ViT-B-16-quickgelu"


def test_flat_params_tell_the_kinds_of_an_option_apart() -> None:
    assert flat_params(whole())["inference"] != flat_params(sliding_window())["inference"]
