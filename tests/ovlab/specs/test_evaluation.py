"""ovlab.specs.evaluation: a protocol's hash moves with every choice and with nothing else."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from logoseg.config import ClipConfig, PaddedImage, ShortestEdge, SlidingWindow, WholeImage
from logoseg.prompts import VILD
from ovlab.specs.errors import InputError
from ovlab.specs.evaluation import (
    PROTOCOLS,
    Collapse,
    DenseClip,
    EvaluationSpec,
    Oracle,
    Protocol,
    Scoring,
    cat_seg,
    counting,
    evaluation_fingerprint,
    meaning_hash,
    oracles_for,
    plain,
    protocol_hash,
    scoring_hash,
    sliding_window,
    whole,
    whole_768,
    with_boundary,
    with_oracles,
)
from ovlab.specs.fingerprint import canonical_json, fingerprint
from ovlab.specs.scores import Kind
from ovlab.specs.serialization import spec_from_json, spec_to_json

BASE = sliding_window()


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, inference=replace(BASE.inference, stride=192)),
        replace(BASE, inference=replace(BASE.inference, global_view=False)),
        replace(BASE, inference=replace(BASE.inference, input_size=336)),
        cat_seg(),
        replace(BASE, inference=PaddedImage()),
        replace(BASE, prompt_templates=VILD),
        replace(BASE, synonyms="average"),
        replace(BASE, class_cap=None),
        replace(BASE, early_rejection=(48, 24)),
        replace(BASE, scoring=replace(BASE.scoring, headline="ground_truth_or_prediction")),
        replace(BASE, scoring=replace(BASE.scoring, collapse=Collapse(background=20))),
        with_boundary(BASE),
        with_boundary(BASE, 0.03),
        with_oracles(BASE, ["classes"]),
        with_oracles(BASE, ["classes", "regions"]),
        replace(BASE, scoring=replace(BASE.scoring, evaluator_version=BASE.scoring.evaluator_version + 1)),
    ],
)
def test_protocol_hash_any_field_changed_differs(changed: Protocol) -> None:
    assert protocol_hash(changed) != protocol_hash(BASE)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_named_protocol_read_from_its_json_is_itself(name: str) -> None:
    protocol = PROTOCOLS[name]()

    assert spec_from_json(Protocol, spec_to_json(protocol), place="here") == protocol
    assert ("loader" in spec_to_json(protocol)) == (name in ("cat-seg", "sed", "san"))


def test_padding_and_loaders_of_other_sizes_are_other_protocols() -> None:
    inferences = [PaddedImage(multiple=16), *(PaddedImage(loader=ShortestEdge(size=size)) for size in (512, 640))]

    assert len({protocol_hash(replace(BASE, inference=inference)) for inference in inferences}) == 3


def test_protocol_hash_another_process_is_equal() -> None:
    program = "from ovlab.specs.evaluation import *; print(protocol_hash(sliding_window()))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert found.strip() == protocol_hash(BASE)


def test_scoring_hash_other_views_of_the_same_benchmark_is_equal() -> None:
    with_background = Scoring(collapse=Collapse(background=20))

    hashes = {
        scoring_hash(replace(protocol, scoring=with_background))
        for protocol in (BASE, sliding_window(336), whole_768())
    }

    assert len(hashes) == 1
    assert hashes != {scoring_hash(BASE)}


def test_named_protocols_are_those_of_the_field() -> None:
    # Sheet 3.1: 640 square, 384 windows at stride int(384 * 0.667) = 256, 256 classes. Sheet 3.2: 768 whole, stretched.
    assert sliding_window().inference == SlidingWindow(
        size=640, kernel=384, stride=256, global_view=True, input_size=384
    )
    assert sliding_window().class_cap == 256
    assert whole_768().inference == WholeImage(size=768, resize="stretch")
    assert whole(112).inference == WholeImage(size=112, resize="keep_aspect")
    assert all(protocol().scoring == Scoring(headline="ground_truth") for protocol in PROTOCOLS.values())


def test_protocol_template_without_a_place_for_the_name_is_refused() -> None:
    with pytest.raises(InputError, match="for the class name"):
        replace(BASE, prompt_templates=("a photo",))


def test_protocol_class_cap_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        replace(BASE, class_cap=0)


def test_specs_import_loads_no_torch() -> None:
    program = "import sys, ovlab.specs.evaluation; print('torch' in sys.modules, 'numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert found.split() == ["False", "False"]


EVALUATION = EvaluationSpec(
    subject="a" * 64,
    benchmark="a-150",
    split="val",
    data_digest="b" * 64,
    vocabulary_digest="c" * 64,
    protocol=BASE,
)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "d" * 64},
        {"benchmark": "a-847"},
        {"split": "test"},
        {"data_digest": "d" * 64},
        {"vocabulary_digest": "d" * 64},
        {"protocol": sliding_window(336)},
        {"num_images": 10},
        {"prediction_version": 2},
    ],
)
def test_evaluation_fingerprint_any_field_changed_differs(change: dict) -> None:
    assert evaluation_fingerprint(replace(EVALUATION, **change)) != evaluation_fingerprint(EVALUATION)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": "runs/paper"}, "subject must be a sha256"),
        ({"benchmark": "/data/a-150"}, "benchmark must be a name and no place"),
        ({"num_images": 0}, "num_images must be at least 1"),
    ],
)
def test_evaluation_spec_of_something_else_is_refused(change: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(EVALUATION, **change)


def test_dense_clip_is_another_subject_with_other_weights_templates_or_features() -> None:
    clip = ClipConfig(name="ViT-B-16", image_size=384, middle_layer=7, guidance_layers=(3, 7))
    dense = DenseClip(clip=clip, weights_digest="a" * 64)
    others = [
        replace(dense, weights_digest="b" * 64),
        replace(dense, prompt_templates=VILD),
        replace(dense, clip=replace(clip, residual="none")),
    ]

    assert len({fingerprint(subject) for subject in (dense, *others)}) == 4
    with pytest.raises(InputError, match="weights_digest must be a sha256"):
        replace(dense, weights_digest="file.pt")


def test_identities_without_boundaries_and_oracles_are_those_of_before_there_were_any() -> None:
    # Stores hold records under these names: they were computed when Scoring had no trim width and no oracles.
    assert scoring_hash(BASE) == "13a9b40b932a3fdffba4eeb754a3b77ddbe2c734fba69dc4f3abb9b56ac72962"
    assert protocol_hash(BASE) == "4dcae9d4277745d2c28c1050fb49facd42b40cb64d48007622e4b06901fa1eec"
    assert evaluation_fingerprint(EVALUATION) == "9a8864d78e2aee6605b01d3c49e28f96c15375f431027d2abec23f49ae0d370d"
    with_background = replace(whole(96), scoring=Scoring(collapse=Collapse(background=20)))
    assert protocol_hash(with_background) == "4b89237d72af0036c548a342d76ee07815bffc0513056ead453db3a211bcf946"
    assert not {"boundary", "oracles"} & json.loads(spec_to_json(EVALUATION))["protocol"]["scoring"].keys()


def test_evaluation_of_before_there_was_a_prediction_version_stays_of_the_first_whatever_is_todays() -> None:
    written = spec_to_json(EVALUATION)

    assert "prediction_version" not in written
    assert spec_from_json(EvaluationSpec, written, place="here").prediction_version == 1
    later = replace(EVALUATION, prediction_version=2)
    assert spec_from_json(EvaluationSpec, spec_to_json(later), place="here") == later


def test_evaluation_with_boundaries_is_another_one_and_reads_back() -> None:
    near = replace(EVALUATION, protocol=with_boundary(BASE))

    assert evaluation_fingerprint(near) != evaluation_fingerprint(EVALUATION)
    assert spec_from_json(EvaluationSpec, spec_to_json(near), place="here") == near
    assert spec_from_json(EvaluationSpec, spec_to_json(EVALUATION), place="here") == EVALUATION


def test_meaning_hash_heeds_the_trim_width_of_boundary_scores_only() -> None:
    protocols = [BASE, with_boundary(BASE, 0.02), with_boundary(BASE, 0.03)]
    protocols += [with_oracles(protocol, ["regions"]) for protocol in protocols]

    assert {meaning_hash(protocol, of_boundary=False) for protocol in protocols} == {scoring_hash(BASE)}
    assert len({meaning_hash(protocol, of_boundary=True) for protocol in protocols}) == 3


def test_evaluation_with_oracles_is_another_one_and_reads_back() -> None:
    told = replace(EVALUATION, protocol=with_oracles(BASE, ["regions", "classes"]))

    assert told.protocol.scoring.oracles == ("classes", "regions")
    assert evaluation_fingerprint(told) != evaluation_fingerprint(EVALUATION)
    assert spec_from_json(EvaluationSpec, spec_to_json(told), place="here") == told


@pytest.mark.parametrize(
    ("kinds", "oracles"),
    [
        ({"classes_oracle"}, ("classes",)),
        ({"regions_oracle", "boundary"}, ("regions",)),
        ({"both_oracles"}, ("classes", "regions")),
    ],
)
def test_protocol_counts_at_least_what_is_needed(kinds: set[Kind], oracles: tuple[Oracle, ...]) -> None:
    scoring = counting(BASE, kinds).scoring

    assert scoring.oracles == oracles_for(kinds) == oracles
    assert scoring.kinds >= kinds
    assert (scoring.boundary is not None) == ("boundary" in kinds)
    assert plain(counting(BASE, kinds)) == counting(BASE, set()) == BASE


@pytest.mark.parametrize("oracles", [("regions", "classes"), ("classes", "classes")])
def test_oracles_in_another_order_or_twice_are_refused(oracles: tuple[Oracle, ...]) -> None:
    with pytest.raises(InputError, match="oracles must be some of classes, regions, each once, in this order"):
        Scoring(oracles=oracles)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.0, 2.0])
def test_trim_width_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="boundary must be a share between 0 and 1"):
        with_boundary(BASE, share)


@pytest.mark.parametrize("numbers", [(8, 9), (3, 0), (0, 0)])
def test_protocol_rejection_that_keeps_nobody_or_ever_more_is_refused(numbers: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"early_rejection must be two numbers from 1 on"):
        replace(BASE, early_rejection=numbers)


def test_protocol_without_rejection_is_written_as_before_there_was_one() -> None:
    assert "early_rejection" not in canonical_json(BASE)
    assert "early_rejection" not in spec_to_json(BASE)
    rejecting = replace(BASE, early_rejection=(48, 24))
    assert spec_from_json(Protocol, spec_to_json(rejecting), place="here") == rejecting
