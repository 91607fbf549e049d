"""`ovlab train`: from a folder of photographs and labels to weights."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from logoseg.presets import PRESETS
from logoseg.shipped import shipped_clip
from ovlab.specs.augmentation import AugmentationSpec
from ovlab.specs.suite import SHAPES
from ovlab.specs.training import ScheduleSpec, TrainingSpec

_EPILOG = """\
examples:
  ovlab train --data shapes-coco --preset shapes-vit-s --steps 300 --batch-size 8 --out runs/shapes
  ovlab train --data photographs/camvid --preset tiny --steps 800 --out runs/camvid \\
      --set schedule.batch_size=8 --set augmentation.crop_size=288
  ovlab train --data s3://bucket/coco-stuff --preset vit-b16 --clip ViT-B-16.pt --out runs/paper

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
        type=Path,
        metavar="FILE",
        help="released CLIP weights (OpenAI's or open_clip's file); the presets of the shapes suite come with theirs",
    )
    parser.add_argument("--steps", type=int, default=1000, help="optimiser updates (default: 1000)")
    parser.add_argument("--batch-size", type=int, default=4, help="images an update (default: 4, as in the paper)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the spec")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--loader-workers", type=int, default=1, help="threads that read images (default: 1)")
    parser.add_argument("--checkpoint-every", type=int, default=200, help="updates between checkpoints (default: 200)")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON document")
    parser.set_defaults(execute=execute)


def training_spec(arguments: argparse.Namespace) -> TrainingSpec:
    """The spec that the options describe, `--set` applied last."""
    from ovlab.specs.overrides import apply_overrides  # pydantic, which --help does not need

    model = PRESETS[arguments.preset]()
    from_released = arguments.clip is not None or shipped_clip(model.clip) is not None
    spec = TrainingSpec(
        model=model,
        dataset=arguments.data,
        split=arguments.split,
        augmentation=_augmentation(arguments.data, model.clip.image_size),
        schedule=ScheduleSpec(
            steps=arguments.steps,
            batch_size=arguments.batch_size,
            # Without released weights there is nothing to fine-tune gently: the encoder learns at the full rate.
            image_encoder_scale=0.01 if from_released else 1.0,
        ),
    )
    return apply_overrides(spec, arguments.set)


def _augmentation(data: str, crop_size: int) -> AugmentationSpec:
    """The suite's own on its scenes, where a colour is half of a name; the paper's elsewhere."""
    if data in SHAPES.training_sets.values():
        return replace(SHAPES.augmentation, crop_size=crop_size)
    return AugmentationSpec(crop_size=crop_size)


def execute(arguments: argparse.Namespace) -> int:
    spec = training_spec(arguments)
    import torch

    from logoseg.checkpoint import load_clip
    from logoseg.network import LoGoSeg
    from logoseg.text_encoder import cached_text
    from ovlab.cache import text_cache_folder
    from ovlab.datasets.opening import open_dataset
    from ovlab.device import pick_device
    from ovlab.interruption import stop_on_signals
    from ovlab.progress import open_progress
    from ovlab.training.loop import train

    device = pick_device(arguments.device)
    dataset = open_dataset(spec.dataset, spec.split)
    torch.manual_seed(spec.seed)
    clip_file = arguments.clip or shipped_clip(spec.model.clip)
    clip = load_clip(spec.model.clip, clip_file) if clip_file else None
    model = LoGoSeg(spec.model, clip).to(device)
    names = [(name,) for name in dataset.class_names]
    text = cached_text(model.text_encoder, names, spec.model.prompt_templates, text_cache_folder())
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
            progress=progress,
            stop=stop,
        )
    outcome = {"status": result.status, "steps": result.num_steps, "run": str(arguments.out)}
    print(json.dumps(outcome) if arguments.json else _sentence(result.status, result.num_steps, arguments.out))
    return 0 if result.status != "stopped" else 1


def _sentence(status: str, num_steps: int, run: Path) -> str:
    weights = run / "weights.safetensors"
    return {
        "finished": f"finished after {num_steps} steps: {weights}",
        "already_finished": f"already finished, nothing to do: {weights}",
        "stopped": f"stopped after {num_steps} steps; the same command continues",
    }[status]
