"""`ovlab demo`: the whole way once, on a laptop: a small CLIP, LoGoSeg on top of it, six benchmarks, pictures."""

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ovlab.commands import evaluate, predict, train
from ovlab.specs.suite import SHAPES

_EPILOG = """\
example:
  ovlab demo --out demo

The shapes suite is a miniature of the study: painted scenes, a small CLIP that comes with the package, a training set
of seen classes and six benchmarks that also have unseen ones. The demo scores that CLIP without any training, trains
LoGoSeg on top of it, scores it on the same images, and segments a scene with words that no training ever held. Nothing
is downloaded. It prints every command it runs, so that you can run them yourself.
"""

_PRESET = "shapes-vit-s"


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "demo",
        help="train, evaluate and predict once, in minutes",
        description="Train, evaluate and predict once, in minutes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write to (default: demo)")
    parser.add_argument("--steps", type=int, default=150, help="optimiser updates (default: 150)")
    parser.add_argument("--limit", type=int, default=40, help="images of each benchmark (default: 40)")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    run, clip_scores = out / "run", out / "clip-alone"
    scene = out / "scene.png"
    words = _write_unseen_scene(scene)
    limit = ["--limit", str(arguments.limit)]
    start = f"train --data shapes-coco --preset {_PRESET} --steps {arguments.steps} --batch-size 8".split()
    commands = (
        ["evaluate", f"clip:{_PRESET}", "--suite", "shapes", *limit, "--out", str(clip_scores)],
        [*start, "--set", "schedule.learning_rate=0.001", "--out", str(run)],
        ["evaluate", str(run), "--suite", "shapes", *limit],
        ["predict", str(scene), "--weights", str(run), "--classes", ", ".join(words), "--out", str(out)],
    )
    for command in commands:
        if code := _run(command):
            return code
    _print_comparison(clip_scores, run, arguments.limit)
    _write_gallery(run, out / "gallery.png")
    print(f"\nLook at {out / 'gallery.png'} and {out / 'scene-overlay.png'}. What next:")
    print(f'  ovlab predict {scene} --weights {run} --classes "red star, blue ring, grass, sky"')
    print(f"  ovlab train --data shapes-coco --preset {_PRESET} --set model.prior_weight=0 --out runs/no-prior")
    print("  ovlab train --data FOLDER --preset tiny --out runs/mine    # your own photographs")
    return 0


def _run(command: Sequence[str]) -> int:
    """Run one command in this process, which has paid for its imports already."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for module in (train, evaluate, predict):
        module.configure(commands)
    parsed = parser.parse_args(command)
    print(f"\n$ ovlab {shlex.join(command)}", flush=True)
    return parsed.execute(parsed)


def _write_unseen_scene(path: Path) -> list[str]:
    """Write a scene whose objects no training ever showed; returns their names, its stuff and a few wrong names."""
    import numpy as np
    from PIL import Image

    from ovlab.datasets.shapes import open_shapes

    dataset = open_shapes("shapes-a-847", "val")
    seen = np.array(dataset.seen)

    def num_unseen_objects(label: np.ndarray) -> int:
        return sum(" " in dataset.class_names[index] and not seen[index] for index in np.unique(label))

    sample = max((dataset[index] for index in range(60)), key=lambda sample: num_unseen_objects(sample.label))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sample.image).resize((4 * 96, 4 * 96), Image.Resampling.BICUBIC).save(path)
    present = [dataset.class_names[index] for index in np.unique(sample.label)]
    others = ("red plain star", "blue dotted ring", "green checked moon", "grass", "sky", "brick")
    return present + [name for name in others if name not in present][:4]


def _print_comparison(clip_scores: Path, run: Path, limit: int) -> None:
    """mIoU of CLIP alone and of LoGoSeg on every benchmark: all, seen and unseen classes."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"shapes suite, mIoU in %, first {limit} images of each benchmark")
    table.add_column("classes")
    table.add_column("model")
    for column in SHAPES.benchmarks:
        table.add_column(column, justify="right")
    for name, score in (("all", "miou"), ("seen", "seen_miou"), ("unseen", "unseen_miou")):
        for model, folder in (("CLIP alone", clip_scores), ("LoGoSeg", run)):
            figures = [_read(folder, data, limit) for data in SHAPES.benchmarks.values()]
            table.add_row(name, model, *(f"{100 * f[score]:.1f}" if f[score] is not None else "-" for f in figures))
    Console().print(table)


def _read(folder: Path, data: str, limit: int) -> dict[str, Any]:
    return json.loads((folder / f"evaluation-{data}-val-first-{limit}.json").read_text(encoding="utf-8"))


def _write_gallery(run: Path, path: Path) -> None:
    """Five scenes of the middle benchmark: image, ground truth, prediction, difference."""
    from ovlab.atomic_file import replacing
    from ovlab.datasets.shapes import open_shapes
    from ovlab.device import pick_device
    from ovlab.gallery import GalleryRow, gallery
    from ovlab.predict import predict_photograph
    from ovlab.specs.evaluation import whole
    from ovlab.weights import open_model

    model = open_model(str(run))
    dataset = open_shapes("shapes-a-150", "val")
    protocol = whole(model.config.clip.image_size)
    rows = []
    for index in range(5):
        sample = dataset[index]
        labels = predict_photograph(model, sample.image, dataset.class_names, protocol, pick_device("auto"))
        rows.append(GalleryRow(sample.image, sample.label, labels))
    with replacing(path) as partial:
        gallery(rows, dataset.class_names).save(partial, format="PNG")
