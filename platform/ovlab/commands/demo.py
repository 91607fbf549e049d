"""`ovlab demo`: the whole way once, on a laptop: a small CLIP, LoGoSeg on top of it, six benchmarks, pictures."""

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovlab.commands import evaluate, predict, report, run
from ovlab.commands.count_option import require_at_least_one
from ovlab.specs.run_limits import Limits
from ovlab.specs.suite import SHAPES

if TYPE_CHECKING:
    from ovlab.store.store import Store

_EPILOG = """\
example:
  ovlab demo --out demo

The shapes suite is a miniature of the study: painted scenes, a small CLIP that comes with the package, a training set
of seen classes and six benchmarks that also have unseen ones. The demo scores that CLIP without any training, trains
LoGoSeg on top of it, scores it on the same images, writes the paper's tables as far as this run goes, and segments a
scene with words that no training ever held. Nothing is downloaded. It prints every command it runs, so that you can run
them yourself. The same command again continues.
"""

_PRESET = "shapes-vit-s"
_TABLE = "first_run"


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "demo",
        help="train, evaluate and predict once, in minutes",
        description="Train, evaluate and predict once, in minutes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write to (default: demo)")
    parser.add_argument("--steps", type=int, default=100, help="optimiser updates, at most 100 (default: 100)")
    parser.add_argument("--limit", type=int, default=40, help="images of each benchmark (default: 40)")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    require_at_least_one(arguments, "--steps", "--limit")
    out: Path = arguments.out
    store, scene = out / "store", out / "scene.png"
    words = _write_unseen_scene(scene)
    limits = ["--limit-steps", str(arguments.steps), "--limit-images", str(arguments.limit)]
    in_store = ["--suite", "shapes", "--store", str(store)]
    commands = (
        ["evaluate", f"clip:{_PRESET}", *in_store, "--limit", str(arguments.limit)],
        ["run", _TABLE, *in_store, *limits, "--workdir", str(out / "runs"), "--runs-at-once", "1"],
        ["report", *in_store, *limits, "--out", str(out / "report")],
    )
    for command in commands:
        if code := _run(command):
            return code
    weights = out / "runs" / _print_comparison(store, arguments.steps, arguments.limit)
    predict_scene = ["predict", str(scene), "--weights", str(weights), "--classes", ", ".join(words)]
    if code := _run([*predict_scene, "--out", str(out)]):
        return code
    _write_gallery(weights, out / "gallery.png")
    print(f"\nLook at {out}/gallery.png, {out}/scene-overlay.png and {out}/report/index.html. What next:")
    for suggestion in next_commands(scene, weights, store):
        print(f"  {suggestion}")
    return 0


def next_commands(scene: Path, weights: Path, store: Path) -> list[str]:
    """What to type after the demo, from where it was started."""
    activate = Path(sys.executable).with_name("activate")
    return [
        *([] if shutil.which("ovlab") else [f"source {shlex.quote(os.path.relpath(activate))}"]),
        f'ovlab predict {scene} --weights {weights} --classes "red star, blue ring, grass, sky"',
        f"mlflow ui --backend-store-uri sqlite:///{store}/tracking/mlflow.db",
        f"ovlab plan table4 --suite shapes --store {store}    # what an ablation table takes",
        "ovlab train --data FOLDER --preset tiny --out runs/mine    # your own photographs",
    ]


def _run(command: Sequence[str]) -> int:
    """Run one command in this process, which has paid for its imports already."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for module in (evaluate, run, report, predict):
        module.configure(commands)
    parsed = parser.parse_args(command)
    print(f"\n$ ovlab {shlex.join(command)}", flush=True)
    return parsed.execute(parsed)


def _write_unseen_scene(path: Path) -> list[str]:
    """Write a scene whose objects no training ever showed; returns their names, its stuff and a few wrong names."""
    import numpy as np
    from PIL import Image

    from ovlab.shapes.dataset import open_shapes

    dataset = open_shapes("shapes-a-847", "val")
    seen = dataset.seen

    def num_unseen_objects(label: np.ndarray) -> int:
        return sum(" " in dataset.class_names[index] and not seen[index] for index in np.unique(label))

    sample = max((dataset[index] for index in range(60)), key=lambda sample: num_unseen_objects(sample.label))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sample.image).resize((4 * 96, 4 * 96), Image.Resampling.BICUBIC).save(path)
    present = [dataset.class_names[index] for index in np.unique(sample.label)]
    others = ("red plain star", "blue dotted ring", "green checked moon", "grass", "sky", "brick")
    return present + [name for name in others if name not in present][:4]


def _print_comparison(place: Path, steps: int, limit: int) -> str:
    """mIoU of CLIP alone and of LoGoSeg on every benchmark: all, seen and unseen classes. Returns LoGoSeg's run."""
    from rich.table import Table

    from ovlab.report.fitted_table import print_table
    from ovlab.store.store import open_store

    store = open_store(str(place))
    steps = min(steps, SHAPES.schedule.steps)
    trained = next(record.fingerprint for record in store.trainings() if record.num_steps == steps)
    figures = _figures(store, limit)
    alone = next(subject for subject, _ in figures if subject != trained)
    full = SHAPES.schedule.steps
    limits = Limits(steps, full, limit) if steps < full else Limits(num_images=limit)
    table = Table(title=f"shapes suite, mIoU in %; {limits.text} of each benchmark")
    table.add_column("classes")
    table.add_column("model")
    for column in SHAPES.benchmarks:
        table.add_column(column, justify="right")
    for name, score in (("all", "miou"), ("seen", "seen_miou"), ("unseen", "unseen_miou")):
        for model, subject in (("CLIP alone", alone), ("LoGoSeg", trained)):
            scores = [figures[subject, data][score] for data in SHAPES.benchmarks.values()]
            table.add_row(name, model, *("-" if value is None else f"{100 * value:.1f}" for value in scores))
    print_table(table)
    return trained


def _figures(store: "Store", limit: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Those of the evaluations on so many images, by subject and benchmark."""
    records = (record for record in store.evaluations() if record.evaluation.num_images == limit)
    return {(record.evaluation.subject, record.evaluation.benchmark): dict(record.figures) for record in records}


def _write_gallery(weights: Path, path: Path) -> None:
    """Five scenes of the middle benchmark: image, ground truth, prediction, difference."""
    from ovlab.evaluation.prediction import predict_photograph
    from ovlab.files.whole_file import writing
    from ovlab.report.gallery import GalleryRow, gallery
    from ovlab.runs.device import pick_device
    from ovlab.runs.subject import find_subject
    from ovlab.shapes.dataset import open_shapes
    from ovlab.specs.evaluation import whole

    model = find_subject(str(weights)).open_model()
    dataset = open_shapes("shapes-a-150", "val")
    protocol = whole(model.config.clip.image_size)
    rows = []
    for index in range(5):
        sample = dataset[index]
        labels = predict_photograph(model, sample.image, dataset.class_names, protocol, pick_device("auto"))
        rows.append(GalleryRow(sample.image, sample.label, labels))
    with writing(path) as partial:
        gallery(rows, dataset.class_names).save(partial, format="PNG")
