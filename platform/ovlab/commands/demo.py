"""`ovlab demo`: the whole way once, on a laptop: scenes, training, evaluation, a picture."""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

_EPILOG = """\
example:
  ovlab demo --out demo

Trains a small LoGoSeg on scenes of the shapes world, scores it on scenes it has not seen and segments one of them. The
scenes are made on the spot; nothing is downloaded. It prints every command it runs, so that you can run them yourself.
The model starts from random weights, its words included, so it cannot know the unseen classes: the scores show that it
learns, not that its vocabulary is open.
"""

_DATA = "shapes-pc-59"
# The scenes are 96 pixels a side; at twice that the tiny ViT has 12 x 12 tokens.
_SIZE = 192


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "demo",
        help="train, evaluate and predict once, in minutes",
        description="Train, evaluate and predict once, in minutes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write to (default: demo)")
    parser.add_argument("--steps", type=int, default=300, help="optimiser updates (default: 300)")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    run = out / "run"
    scene = out / "scene.png"
    words = _write_scene(scene)
    settings = (f"model.clip.image_size={_SIZE}", f"augmentation.crop_size={_SIZE}", "schedule.learning_rate=0.001")
    train = f"train --data {_DATA} --preset tiny --steps {arguments.steps} --batch-size 8".split()
    commands = (
        [*train, *(part for setting in settings for part in ("--set", setting)), "--out", str(run)],
        ["evaluate", str(run), "--data", _DATA, "--split", "val", "--limit", "100"],
        ["predict", str(scene), "--weights", str(run), "--classes", ", ".join(words), "--out", str(out)],
    )
    for command in commands:
        print(f"\n$ ovlab {shlex.join(command)}", flush=True)
        code = subprocess.run([sys.executable, "-m", "ovlab", *command], check=False).returncode
        if code:
            return code
    print(f"\nLook at {out / 'scene-overlay.png'}. Then try your own photographs:")
    print("  ovlab train --data FOLDER --preset tiny --out runs/mine")
    print("  ovlab evaluate runs/mine --data FOLDER --split test")
    print('  ovlab predict PHOTO.jpg --weights runs/mine --classes "road, car, tree"')
    return 0


def _write_scene(path: Path) -> list[str]:
    """Write a validation scene with several things that training shows too; returns their names and a few others."""
    import numpy as np
    from PIL import Image

    from ovlab.datasets.sample import IGNORE_INDEX
    from ovlab.datasets.shapes import open_shapes

    dataset = open_shapes(_DATA, "val")
    known = [*np.flatnonzero(dataset.seen), IGNORE_INDEX]
    samples = [dataset[index] for index in range(100)]
    sample = max(
        (sample for sample in samples if np.isin(sample.label, known).all()),
        key=lambda sample: len(np.unique(sample.label)),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sample.image).resize((4 * 96, 4 * 96), Image.Resampling.BICUBIC).save(path)
    present = [int(label) for label in np.unique(sample.label) if label != IGNORE_INDEX]
    absent = [label for label in range(len(dataset.class_names)) if label not in present]
    return [dataset.class_names[label] for label in present + absent[:4]]
