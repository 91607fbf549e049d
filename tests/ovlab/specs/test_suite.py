"""ovlab.specs.suite: the paper's and its miniature answer to the same names, and each suite only to its own."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from logoseg.config import PaddedImage, ShortestEdge, SlidingWindow, WholeImage
from logoseg.presets import PRESETS
from ovlab.datasets.catalog import DATASETS
from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import Protocol
from ovlab.specs.suite import PAPER, PHOTOGRAPHS, SHAPES, Place, Suite, place_of, suite_named

COLUMNS = ["a-847", "pc-459", "a-150", "pc-59", "pas-20", "pas-20b"]


@pytest.mark.parametrize("suite", [PAPER, SHAPES], ids=["paper", "shapes"])
def test_suite_answers_to_the_names_of_the_tables_in_their_order(suite: Suite) -> None:
    assert list(suite.benchmarks) == COLUMNS
    assert list(suite.backbones) == ["vit-b", "vit-l", "convnext-b", "convnext-l"]
    assert list(suite.training_sets) == ["coco-stuff", "pc-59", "a-150"]


@pytest.mark.parametrize(
    ("suite", "known"),
    [(PAPER, {*DATASETS} - {"msrc", "camvid"}), (SHAPES, {*SHAPES_NAMES})],
    ids=["paper", "shapes"],
)
def test_suite_every_set_is_one_that_there_is(suite: Suite, known: set[str]) -> None:
    assert {*suite.benchmarks.values(), *suite.training_sets.values()} == known


def test_photographs_every_set_and_backbone_is_one_that_there_is() -> None:
    assert {*PHOTOGRAPHS.benchmarks.values(), *PHOTOGRAPHS.training_sets.values()} <= {*DATASETS}
    for backbone, known in PHOTOGRAPHS.backbones.items():
        assert known.preset in PRESETS
        assert PHOTOGRAPHS.protocol(backbone).inference.size == PHOTOGRAPHS.model(backbone).clip.image_size


def test_photographs_has_none_of_the_names_of_the_paper_for_its_backbones() -> None:
    with pytest.raises(InputError, match="suite photographs: backbone 'vit-b'"):
        PHOTOGRAPHS.training()


def test_paper_training_is_that_of_the_paper() -> None:
    spec = PAPER.training("convnext-l", "pc-59", seed=3)

    # Section 3.2: 80K iterations, batch 4, AdamW at 2e-4 with decay 1e-4, the encoder at 0.01 of it.
    schedule = spec.schedule
    assert (schedule.steps, schedule.batch_size) == (80_000, 4)
    assert (schedule.learning_rate, schedule.weight_decay, schedule.image_encoder_scale) == (2e-4, 1e-4, 0.01)
    assert (spec.dataset, spec.split, spec.seed) == ("pc-59", "train", 3)
    assert spec.model == PRESETS["convnext-l"]()
    assert spec.augmentation.crop_size == 768


def test_paper_protocols_are_a_sliding_window_for_a_vit_and_768_for_a_convnext() -> None:
    assert PAPER.protocol("vit-b").inference == SlidingWindow(input_size=384)
    assert PAPER.protocol("vit-l").inference == SlidingWindow(input_size=336)
    assert PAPER.protocol("convnext-b").inference == WholeImage(size=768)


def test_paper_protocols_of_the_methods_own_are_those_they_were_published_with() -> None:
    loader = ShortestEdge(size=640, longest=2560)
    templates = PAPER.model().prompt_templates

    assert PAPER.protocol("vit-l", own="cat-seg") == Protocol(
        inference=SlidingWindow(input_size=336, loader=loader), class_cap=256, prompt_templates=templates
    )
    assert PAPER.protocol("convnext-b", own="sed") == Protocol(
        inference=WholeImage(size=768, loader=loader), synonyms="average", prompt_templates=templates
    )
    assert PAPER.protocol("vit-b", own="san") == Protocol(
        inference=PaddedImage(loader=loader, multiple=32), synonyms="joined", prompt_templates=templates
    )


@pytest.mark.parametrize("suite", [PAPER, SHAPES], ids=["paper", "shapes"])
def test_suite_methods_with_no_protocol_of_their_own_have_that_of_the_backbone(suite: Suite) -> None:
    for backbone in suite.backbones:
        for method in ("clip", "naclip", "mine"):
            assert suite.protocol(backbone, own=method) == suite.protocol(backbone)
        assert suite.backbones[backbone].own.keys() == ({"cat-seg", "san"} if "vit" in backbone else {"sed"})


def test_suite_training_of_a_variant_has_its_model_and_input_size() -> None:
    variant = replace(PAPER.model(), fusion_depth=3, clip=replace(PAPER.model().clip, image_size=320))

    spec = PAPER.training(model=variant)

    assert spec.model == variant
    assert spec.augmentation.crop_size == 320


def test_suite_prompts_of_the_protocol_are_those_of_the_preset() -> None:
    for backbone in PAPER.backbones:
        assert PAPER.protocol(backbone).prompt_templates == PAPER.model(backbone).prompt_templates


@pytest.mark.parametrize("backbone", SHAPES.backbones)
def test_shapes_protocol_runs_the_model_at_its_own_size(backbone: str) -> None:
    assert SHAPES.protocol(backbone).inference.size == SHAPES.model(backbone).clip.image_size


@pytest.mark.parametrize(("suite", "tokens"), [(PAPER, 24), (SHAPES, 12)], ids=["paper", "shapes"])
def test_suite_region_grids_keep_the_tokens_of_a_region(suite: Suite, tokens: int) -> None:
    # The paper has 24 x 24 tokens, so its regions are 6, 4 and 3 tokens a side.
    assert [tokens / suite.region_grid(grid) for grid in (4, 6, 8)] == [6, 4, 3]
    assert suite.model().region_grid == suite.region_grid(6)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: suite_named("shape"), "'shapes'"),
        (lambda: PAPER.model("vit-x"), "backbone 'vit-x'.*'vit-"),
        (lambda: PAPER.training(training_set="coco"), "training set 'coco'.*'coco-stuff'"),
        (lambda: SHAPES.benchmark("a847"), "benchmark 'a847'.*'a-847'"),
        (lambda: SHAPES.region_grid(5), "region grid 5 of the paper; for 4, 6, 8"),
    ],
)
def test_suite_unknown_name_is_refused_with_the_nearest(ask: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ask()


def test_suites_load_without_torch() -> None:
    program = (
        "import sys, json, ovlab.specs.suite; print(json.dumps([m for m in ('torch', 'numpy') if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert json.loads(found) == []


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("a-150", None),
        ("./street", Place("street", "./street")),
        ("/data/street/", Place("street", "/data/street")),
        ("s3://bucket/sets/street", Place("street", "s3://bucket/sets/street")),
        ("street=/data/one", Place("street", "/data/one")),
        ("street=one", Place("street", "one")),
        ("/data/run=1/street", Place("street", "/data/run=1/street")),
    ],
)
def test_place_of_a_column_goes_by_its_last_part_or_the_given_name(column: str, expected: Place | None) -> None:
    assert place_of(column) == expected
    if expected is not None:
        assert SHAPES.benchmark(column) == PAPER.benchmark(column) == expected.name


@pytest.mark.parametrize("column", ["/", "./", "../", "a/..", "=x", "x="])
def test_place_without_a_name_is_refused(column: str) -> None:
    with pytest.raises(InputError, match=r"no name in it\. Write NAME=URI"):
        place_of(column)


def test_place_with_the_name_of_a_data_set_of_the_suite_is_refused() -> None:
    with pytest.raises(InputError, match=r"a-150 is a data set of the suite paper.*--data a-150=/data/a-150"):
        PAPER.benchmark("/data/a-150")
    assert SHAPES.benchmark("/data/a-150") == "a-150"


def test_benchmark_that_is_neither_a_name_nor_a_place_is_told_how_a_place_looks() -> None:
    with pytest.raises(InputError, match=r"'street': there is none.*written with a '/': \./street"):
        SHAPES.benchmark("street")
