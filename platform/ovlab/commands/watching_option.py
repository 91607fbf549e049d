"""How a training is watched: `--track`, where its curves go, and `--validate-every`, its scores on the way."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ovlab.specs.errors import InputError
from ovlab.specs.suite import EVALUATION_SPLIT, FIT_SPLIT, HELD_OUT_SPLIT, TRAIN_SPLIT
from ovlab.specs.wording import shown

if TYPE_CHECKING:
    from ovlab.runs.observer import Observer
    from ovlab.runs.validation import Validation
    from ovlab.specs.training import TrainingSpec
    from ovlab.store.store import Store

_TRACKERS = ("mlflow", "tensorboard", "wandb")


def add_watching(parser: argparse.ArgumentParser) -> None:
    """--track, and --validate-every with what belongs to it."""
    parser.add_argument(
        "--track",
        nargs="*",
        choices=_TRACKERS,
        help="draw the curves while it trains, in MLflow (the default: the server of MLFLOW_TRACKING_URI, else a "
        "database in the run), TensorBoard or W&B; the last two are extras of the package",
    )
    validation = parser.add_argument_group(
        "validation",
        "Scores on the way, in every curve; the weights of the best stay beside the last, as "
        "RUN/best.safetensors. The last are the same to the bit, with it and without.",
    )
    validation.add_argument("--validate-every", type=int, metavar="STEPS", help="updates between two (default: none)")
    validation.add_argument("--validate-on", metavar="DATA", help="data set to score (default: that of --data)")
    validation.add_argument(
        "--validate-split",
        default=EVALUATION_SPLIT,
        metavar="SPLIT",
        help=f"its split (default: {EVALUATION_SPLIT}); {HELD_OUT_SPLIT} with --split {FIT_SPLIT}, where there is none",
    )
    validation.add_argument(
        "--validate-images", type=int, default=100, metavar="N", help="the first N of it (default: 100)"
    )


def trackers_of(arguments: argparse.Namespace, store: "Store", folder: Path) -> "list[Observer]":
    """Those that --track names. `folder`: of the run. Raises InputError where the package of one is not there."""
    found: list[Observer] = []
    asked = () if arguments.track is None else arguments.track or _TRACKERS[:1]
    for name in dict.fromkeys(asked):
        if name == "mlflow":
            from ovlab.tracking.destination import destination
            from ovlab.tracking.publisher import Publishing

            found.append(Publishing(store))
            if (uri := destination(str(store)).uri) is not None:
                _say(f"mlflow ui --backend-store-uri {uri}" if uri.startswith("sqlite:") else shown(uri))
        elif name == "tensorboard":
            from ovlab.tracking.tensorboard import TensorBoard

            found.append(TensorBoard(folder / "tensorboard"))
            _say(f"tensorboard --logdir {folder / 'tensorboard'}")
        else:
            from ovlab.tracking.weights_and_biases import WeightsAndBiases

            found.append(WeightsAndBiases(folder))
    return found


def _say(where: str) -> None:
    # Now, to be looked at while it trains; standard output is for the outcome.
    print(f"curves: {where}", file=sys.stderr)


def validation_of(arguments: argparse.Namespace, spec: "TrainingSpec") -> "Validation | None":
    """What --validate-every asks for; None without it. Raises InputError for what the training is on itself."""
    if arguments.validate_every is None:
        return None
    from ovlab.runs.validation import Validation
    from ovlab.shapes.shapes_benchmarks import SHAPES_NAMES

    place, split = arguments.validate_on or arguments.data, arguments.validate_split
    seen = (TRAIN_SPLIT, FIT_SPLIT, HELD_OUT_SPLIT) if spec.split == TRAIN_SPLIT else (spec.split, TRAIN_SPLIT)
    if place == arguments.data and split in seen:
        raise InputError(
            f"--validate-split {split}: the training is on {spec.split}, which has images of it. Give another split, "
            f"or --split {FIT_SPLIT} --validate-split {HELD_OUT_SPLIT}."
        )
    is_name = place in SHAPES_NAMES or "://" in place
    return Validation(
        every=arguments.validate_every,
        place=place if is_name else str(Path(place).resolve()),
        split=split,
        num_images=arguments.validate_images,
    )
