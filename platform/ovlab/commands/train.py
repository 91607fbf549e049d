"""`ovlab train`: from a folder of photographs and labels to weights."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from logoseg.presets import PRESETS
from ovlab.commands.executor_option import add_elastic_workers, executor_of
from ovlab.commands.method_option import add_method, parse_options
from ovlab.commands.watching_option import add_watching, trackers_of, validation_of
from ovlab.runs.clip_files import clip_file
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.errors import InputError
from ovlab.specs.suite import SHAPES
from ovlab.specs.training import ScheduleSpec, TrainingSpec, require_trainable

if TYPE_CHECKING:
    from ovlab.runs.context import RunContext
    from ovlab.store.record import TrainingRecord

_EPILOG = """\
examples:
  ovlab train --data shapes-coco --preset shapes-vit-s --steps 300 --batch-size 8 --out runs/shapes
  ovlab train --data photographs/camvid --preset tiny --steps 800 --out runs/camvid \\
      --set schedule.batch_size=8 --set augmentation.crop_size=288
  ovlab train --data s3://bucket/coco-stuff --preset vit-b16 --clip ViT-B-16.pt --out runs/paper
  ovlab train --data s3://bucket/coco-stuff --preset vit-b16 --clip ViT-B-16.pt --store s3://bucket/store --workers 4
  ovlab train --data photographs/camvid --preset tiny --show-config > camvid.yaml
  ovlab train --config camvid.yaml --set seed=1 --out runs/camvid-1
  ovlab train --config camvid.yaml --validate-every 100 --track --out runs/camvid
  ovlab train --config camvid.yaml --dry-run                what it will take: weights, FLOPs, memory, hours

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
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", help="a folder, prepared shards, or shapes-coco; see `ovlab data list`")
    what.add_argument(
        "--config", type=Path, metavar="FILE", help="the whole spec, as --show-config prints it; only --set changes it"
    )
    parser.add_argument("--split", help="split to train on (default: train)")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="model to start from (default: tiny)")
    parser.add_argument(
        "--clip",
        metavar="FILE",
        help="released CLIP weights: OpenAI's or open_clip's file, open_clip's tag, by which it is fetched "
        "(openai), or hf-hub:OWNER/NAME; `none` for random ones. The presets of the shapes suite come with theirs, "
        "tiny has none",
    )
    add_method(parser)
    parser.add_argument("--steps", type=int, help="optimiser updates (default: 1000)")
    parser.add_argument("--batch-size", type=int, help="images an update (default: 4, as in the paper)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the spec")
    parser.add_argument(
        "--out", type=Path, metavar="RUN", help="folder of the run; with --store, of all runs (default there: ./runs)"
    )
    parser.add_argument("--store", metavar="STORE", help="leave weights and record in this store, a folder or s3://...")
    add_elastic_workers(parser, "each batch")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--loader-workers", type=int, default=1, help="threads that read images (default: 1)")
    parser.add_argument("--checkpoint-every", type=int, default=200, help="updates between checkpoints (default: 200)")
    add_watching(parser)
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON document")
    look = parser.add_mutually_exclusive_group()
    look.add_argument("--show-config", action="store_true", help="print the whole spec as YAML, and start nothing")
    look.add_argument(
        "--dry-run", action="store_true", help="make three updates that are thrown away; say what it takes"
    )
    parser.set_defaults(execute=execute)


_DEFAULTS = {"split": "train", "preset": "tiny", "steps": 1000, "batch_size": 4}


def training_spec(arguments: argparse.Namespace) -> TrainingSpec:
    """The spec that the options describe, `--set` applied last."""
    from ovlab.specs.overrides import apply_overrides  # pydantic, which --help does not need

    fields = _fill(arguments)
    if arguments.option and arguments.method is None:
        raise InputError("--option needs --method; fields of LoGoSeg are changed by --set model.NAME=VALUE.")
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
    if arguments.method is not None:
        from ovlab.methods.registry import named_method  # torch, which --help does not need

        method = named_method(arguments.method, arguments.preset, parse_options(arguments.option))
        spec = replace(spec, model=method, augmentation=_augmentation(arguments.data, method.clip.image_size))
    try:
        spec = apply_overrides(spec, fields)
    except InputError as error:
        raise InputError(f"{arguments.config}: {str(error).removeprefix('--set ')}") from None
    spec = apply_overrides(spec, arguments.set)
    require_trainable(spec)
    return spec


def _fill(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Put what --config says, or the default, where the options say nothing; returns the fields of the spec that the
    file sets, as NAME=VALUE."""
    said, fields = dict[str, object](_DEFAULTS), tuple[str, ...]()
    if arguments.config is not None:
        from ovlab.commands.training_config import read_config

        given = [name for name in (*_DEFAULTS, "method", "option") if getattr(arguments, name)]
        if given:
            option = given[0].replace("_", "-")
            raise InputError(f"--{option}: {arguments.config} says it; change its values with --set NAME=VALUE.")
        config = read_config(arguments.config)
        arguments.option = [f"{name}={json.dumps(value)}" for name, value in config.options.items()]
        said |= {"data": config.dataset, "preset": config.preset, "clip": config.clip, "method": config.method}
        fields = config.fields
    for name, value in said.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return fields


def _augmentation(data: str, crop_size: int) -> AugmentationSpec:
    """The suite's own on its scenes, where a colour is half of a name; the paper's elsewhere."""
    if data in SHAPES.training_sets.values():
        return replace(SHAPES.augmentation, crop_size=crop_size)
    return AugmentationSpec(crop_size=crop_size)


def execute(arguments: argparse.Namespace) -> int:
    """Train what the store lacks. Without a store, the run folder is one."""
    if arguments.show_config:
        from ovlab.commands.training_config import config_text

        spec = training_spec(arguments)
        print(config_text(spec, arguments.preset, arguments.clip, arguments.method), end="")
        return 0
    if arguments.out is None and arguments.store is None and not arguments.dry_run:
        raise InputError("ovlab train needs --out RUN, or --store STORE.")
    from ovlab.methods.registry import own_files
    from ovlab.runs.context import RunContext
    from ovlab.runs.header import header_of
    from ovlab.runs.identity import plan_training
    from ovlab.runs.interruption import stop_on_signals
    from ovlab.runs.journaling import journaled
    from ovlab.runs.planned import PlannedRun
    from ovlab.runs.progress import ProgressLine
    from ovlab.runs.trainings import ensure_training
    from ovlab.store.store import open_store
    from ovlab.tracking.provenance import provenance

    spec, executor = training_spec(arguments), executor_of(arguments)
    files = own_files([] if arguments.method is None else [arguments.method])
    training, sources = plan_training(spec, arguments.preset, arguments.clip, files)
    if arguments.dry_run:
        from ovlab.commands.dry_run import print_needs

        print_needs(training, sources, arguments)
        return 0
    run, validation = PlannedRun(subject=training), validation_of(arguments, spec)
    fingerprint = str(training.fingerprint)
    with stop_on_signals() as stop:
        context = RunContext(
            store=open_store(str(arguments.out) if arguments.store is None else arguments.store),
            workdir=arguments.out or Path("runs"),
            sources=sources,
            device=arguments.device,
            num_loader_workers=arguments.loader_workers,
            checkpoint_every=arguments.checkpoint_every,
            source=provenance().source,
            validation=validation,
            stop=stop,
            observer=ProgressLine(),
        )
        context = context.heard_by(*trackers_of(arguments, context.store, context.run_folder(fingerprint)))
        found = context.store.training(fingerprint)
        with journaled(header_of(run, context.source, context.sources), context) as inner:
            record = ensure_training(training, inner, executor)
    return _tell(record, context, arguments, was_there=found is not None)


def _tell(record: "TrainingRecord", context: "RunContext", arguments: argparse.Namespace, *, was_there: bool) -> int:
    from ovlab.runs.validation import BEST_WEIGHTS, read_best
    from ovlab.specs.wording import percent
    from ovlab.store.artifacts import weights_uri

    folder = context.run_folder(record.fingerprint)
    if arguments.store is None:
        weights = str(folder / "weights.safetensors")
        outcome = {"run": str(arguments.out)}
        sentence = "already finished, nothing to do" if was_there else f"finished after {record.num_steps} steps"
    else:
        weights = weights_uri(context.store, record)
        outcome = {"fingerprint": record.fingerprint, "weights": weights}
        sentence = f"in the store after {record.num_steps} steps"
    status = "already_finished" if was_there and arguments.store is None else "finished"
    best = None if context.validation is None else read_best(folder)
    if arguments.json:
        told = {} if best is None else {"best": {"weights": str(folder / BEST_WEIGHTS), **asdict(best)}}
        print(json.dumps({"status": status, "steps": record.num_steps, **outcome, **told}))
        return 0
    print(f"{sentence}: {weights}")
    if best is not None:
        benchmark, split, num_images = best.images
        scored = f"mIoU {percent(best.figures.get('miou'))} % on {num_images} images of {benchmark} {split}"
        print(f"best after {best.step} steps, {scored}: {folder / BEST_WEIGHTS}")
    return 0
