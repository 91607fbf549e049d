"""`ovlab train`: from a folder of photographs and labels to weights."""

import argparse
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from logoseg.presets import PRESETS
from ovlab.runs.clip_files import clip_file
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError
from ovlab.specs.suite import SHAPES
from ovlab.specs.training import ScheduleSpec, TrainingSpec

if TYPE_CHECKING:
    from ovlab.datasets.sample import SegmentationDataset
    from ovlab.store.record import TrainingRecord

_EPILOG = """\
examples:
  ovlab train --data shapes-coco --preset shapes-vit-s --steps 300 --batch-size 8 --out runs/shapes
  ovlab train --data photographs/camvid --preset tiny --steps 800 --out runs/camvid \\
      --set schedule.batch_size=8 --set augmentation.crop_size=288
  ovlab train --data s3://bucket/coco-stuff --preset vit-b16 --clip ViT-B-16.pt --out runs/paper
  ovlab train --data s3://bucket/coco-stuff --preset vit-b16 --clip ViT-B-16.pt --store s3://bucket/store --workers 4

The same command again continues a run that was stopped or killed. `--set` changes any field of the spec, for
example --set model.prior_weight=0.5, --set model.fusion_depth=1, --set seed=3; a name that does not exist is
refused with the nearest one.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "train",
        help="train a model, or continue a run that was stopped",
        description="Train a model, or continue a run that was stopped. Writes RUN/weights.safetensors.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", required=True, help="a folder, prepared shards, or shapes-coco; see `ovlab data list`"
    )
    parser.add_argument("--split", default="train", help="split to train on (default: train)")
    parser.add_argument("--preset", default="tiny", choices=sorted(PRESETS), help="model to start from (default: tiny)")
    parser.add_argument(
        "--clip",
        metavar="FILE",
        help="released CLIP weights (OpenAI's or open_clip's file), or `none` for random ones; the presets of the "
        "shapes suite come with theirs, tiny has none",
    )
    parser.add_argument("--steps", type=int, default=1000, help="optimiser updates (default: 1000)")
    parser.add_argument("--batch-size", type=int, default=4, help="images an update (default: 4, as in the paper)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the spec")
    parser.add_argument(
        "--out", type=Path, metavar="RUN", help="folder of the run; with --store, of all runs (default there: ./runs)"
    )
    parser.add_argument("--store", metavar="STORE", help="leave weights and record in this store, a folder or s3://...")
    parser.add_argument(
        "--workers",
        type=_workers,
        default=1,
        metavar="N",
        help="processes that share each batch, on the Ray of RAY_ADDRESS or one that this command starts; FEWEST:MOST "
        "for as many as there is room for (default: 1, without Ray)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--loader-workers", type=int, default=1, help="threads that read images (default: 1)")
    parser.add_argument("--checkpoint-every", type=int, default=200, help="updates between checkpoints (default: 200)")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON document")
    parser.set_defaults(execute=execute)


def training_spec(arguments: argparse.Namespace) -> TrainingSpec:
    """The spec that the options describe, `--set` applied last."""
    from ovlab.specs.overrides import apply_overrides  # pydantic, which --help does not need

    model = PRESETS[arguments.preset]()
    is_pretrained = clip_file(arguments.preset, model.clip, arguments.clip) is not None
    spec = TrainingSpec(
        model=model,
        dataset=arguments.data,
        split=arguments.split,
        augmentation=_augmentation(arguments.data, model.clip.image_size),
        schedule=ScheduleSpec(
            steps=arguments.steps,
            batch_size=arguments.batch_size,
            # Of random weights there is nothing to fine-tune gently: the encoder learns at the full rate.
            image_encoder_scale=0.01 if is_pretrained else 1.0,
        ),
    )
    return apply_overrides(spec, arguments.set)


def _augmentation(data: str, crop_size: int) -> AugmentationSpec:
    """The suite's own on its scenes, where a colour is half of a name; the paper's elsewhere."""
    if data in SHAPES.training_sets.values():
        return replace(SHAPES.augmentation, crop_size=crop_size)
    return AugmentationSpec(crop_size=crop_size)


def execute(arguments: argparse.Namespace) -> int:
    _require_consistent(arguments)
    spec = training_spec(arguments)
    train = _train_here if arguments.store is None else _train_into_store
    return train(arguments, spec, clip_file(arguments.preset, spec.model.clip, arguments.clip))


def _require_consistent(arguments: argparse.Namespace) -> None:
    if arguments.store is None and arguments.out is None:
        raise InputError("ovlab train needs --out RUN, or --store STORE.")
    if arguments.store is None and arguments.workers != 1:
        raise InputError("--workers: several workers train into a store; give --store STORE too.")


def _train_here(arguments: argparse.Namespace, spec: TrainingSpec, clip: Path | None) -> int:
    from ovlab.datasets.opening import open_dataset
    from ovlab.runs.build import build_model, class_text
    from ovlab.runs.device import pick_device
    from ovlab.runs.interruption import stop_on_signals
    from ovlab.runs.progress import open_progress
    from ovlab.training.loop import train

    device = pick_device(arguments.device)
    dataset = open_dataset(spec.dataset, spec.split)
    model = build_model(spec, clip, device)
    text = class_text(model, dataset)
    schedule = spec.schedule
    with (
        stop_on_signals() as stop,
        open_progress("train", total=schedule.steps, unit="step", images_per_unit=schedule.batch_size) as progress,
    ):
        result = train(
            spec,
            model,
            text,
            dataset,
            arguments.out,
            device=device,
            num_loader_workers=arguments.loader_workers,
            checkpoint_every=arguments.checkpoint_every,
            on_step=[lambda record: progress.update(record.step, loss=record.loss)],
            stop=stop,
        )
    outcome = {"status": result.status, "steps": result.num_steps, "run": str(arguments.out)}
    print(json.dumps(outcome) if arguments.json else _sentence(result.status, result.num_steps, arguments.out))
    return 0 if result.status != "stopped" else 1


def _train_into_store(arguments: argparse.Namespace, spec: TrainingSpec, clip: Path | None) -> int:
    """Train what the store lacks, in this process or by the workers of a Ray."""
    from ovlab.datasets.opening import open_dataset
    from ovlab.runs.identity import resolve_training
    from ovlab.runs.interruption import stop_on_signals
    from ovlab.runs.progress import open_progress
    from ovlab.specs.resolved import training_fingerprint
    from ovlab.store.artifacts import weights_uri
    from ovlab.store.store import open_store
    from ovlab.tracking.provenance import provenance

    store = open_store(arguments.store)
    # A worker of Ray has another current folder.
    place = str(Path(spec.dataset).resolve()) if Path(spec.dataset).is_dir() else spec.dataset
    open_data = partial(open_dataset, place, spec.split)
    dataset = open_data()
    resolved = resolve_training(spec, dataset, clip)
    fingerprint, schedule = training_fingerprint(resolved), spec.schedule
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        if arguments.workers == 1 or store.training(fingerprint) is not None:
            train = _this_process(arguments, dataset)
        else:
            train = stack.enter_context(_workers_of_ray(arguments, schedule.batch_size, open_data))
        progress = stack.enter_context(
            open_progress("train", total=schedule.steps, unit="step", images_per_unit=schedule.batch_size)
        )
        record = train(
            resolved,
            store,
            arguments.out or Path("runs"),
            clip_file=clip,
            num_loader_workers=arguments.loader_workers,
            checkpoint_every=arguments.checkpoint_every,
            progress=progress,
            stop=stop,
            provenance=asdict(provenance()),
        )
    weights = weights_uri(store, record)
    outcome = {"status": "finished", "steps": record.num_steps, "fingerprint": fingerprint, "weights": weights}
    print(json.dumps(outcome) if arguments.json else f"in the store after {record.num_steps} steps: {weights}")
    return 0


def _this_process(arguments: argparse.Namespace, dataset: "SegmentationDataset") -> "Callable[..., TrainingRecord]":
    from ovlab.runs.device import pick_device
    from ovlab.runs.ensure import ensure_training

    return partial(ensure_training, dataset=dataset, device=pick_device(arguments.device))


@contextmanager
def _workers_of_ray(
    arguments: argparse.Namespace, batch_size: int, open_data: "Callable[[], SegmentationDataset]"
) -> "Iterator[Callable[..., TrainingRecord]]":
    """What trains over the workers of the Ray of RAY_ADDRESS, or of one that is there for the block."""
    from ovlab.ray.cluster import connect
    from ovlab.ray.trainer import train_on_workers
    from ovlab.training.process_group import require_shares

    require_shares(batch_size, arguments.workers)
    fewest = arguments.workers if isinstance(arguments.workers, int) else arguments.workers[0]
    with connect(num_cpus=max(fewest, os.cpu_count() or 1)) as cluster:
        use_gpu = arguments.device.startswith("cuda") or (arguments.device == "auto" and cluster.num_gpus > 0)
        if use_gpu and cluster.started and cluster.num_gpus < fewest:
            raise InputError(
                f"--workers: {fewest} need a GPU each, and this machine has {cluster.num_gpus:g}; give fewer, or "
                f"--device cpu."
            )
        yield partial(train_on_workers, open_data=open_data, num_workers=arguments.workers, use_gpu=use_gpu)


def _workers(text: str) -> int | tuple[int, int]:
    """ "2", or "1:4" for an elastic number."""
    numbers = text.split(":")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number, or FEWEST:MOST.")
    return int(text) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]))


def _sentence(status: str, num_steps: int, run: Path) -> str:
    weights = run / "weights.safetensors"
    return {
        "finished": f"finished after {num_steps} steps: {weights}",
        "already_finished": f"already finished, nothing to do: {weights}",
        "stopped": f"stopped after {num_steps} steps; the same command continues",
    }[status]
