"""`ovlab pretrain`: a small CLIP for the shapes world, from random weights to a file in open_clip's format."""

import argparse
import json
from pathlib import Path

from ovlab.specs.pretraining import SMALL_CLIPS
from ovlab.specs.wording import percent

_EPILOG = """\
examples:
  ovlab pretrain shapes-vit-s --out runs/clip-vit-s
  ovlab pretrain shapes-convnext-l --out runs/clip-convnext-l --set seed=1 --set contrastive.steps=2000

On pictures painted on the spot: first close-ups with their colour, texture, shape and stuff told one by one, four to an
image and then one, then captioned scenes with CLIP's contrastive loss. The same command again continues a run that was
stopped or killed. The weights that ship with the project were made this way.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "pretrain",
        help="train a small CLIP on captioned scenes of the shapes world",
        description="Train a small CLIP on captioned scenes of the shapes world. Writes OUT/clip.safetensors.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clip", choices=sorted(SMALL_CLIPS), metavar="CLIP", help=", ".join(sorted(SMALL_CLIPS)))
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder of the run")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a field of the spec")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    from ovlab.specs.overrides import apply_overrides

    spec = apply_overrides(SMALL_CLIPS[arguments.clip](), arguments.set)
    from logoseg.clip.released_weights import load_clip
    from ovlab.files.whole_file import write_text
    from ovlab.pretraining.stages import pretrain
    from ovlab.pretraining.zero_shot import zero_shot_accuracy
    from ovlab.runs.device import pick_device
    from ovlab.runs.interruption import stop_on_signals
    from ovlab.runs.progress import open_progress
    from ovlab.shapes.world import SEEN_COMPOSITIONS, UNSEEN_COMPOSITIONS

    device = pick_device(arguments.device)
    batch_size = spec.mosaics.batch_size
    with (
        stop_on_signals() as stop,
        open_progress("pretrain", total=spec.steps, unit="step", images_per_unit=batch_size) as progress,
    ):
        weights = pretrain(spec, arguments.out, device=device, progress=progress.update, stop=stop)
    if weights is None:
        print("stopped; the same command continues")
        return 1
    clip = load_clip(spec.clip, weights).to(device).eval()
    zero_shot = {
        "seen": zero_shot_accuracy(clip, SEEN_COMPOSITIONS),
        "unseen": zero_shot_accuracy(clip, UNSEEN_COMPOSITIONS),
    }
    outcome = {"weights": str(weights), "zero_shot": zero_shot}
    write_text(arguments.out / "zero_shot.json", json.dumps(outcome, indent=2) + "\n")
    if arguments.json:
        print(json.dumps(outcome))
        return 0
    print(f"written: {weights}\nzero-shot accuracy on 500 new close-ups, among all 384 compositions:")
    for kind, accuracy in zero_shot.items():
        print(f"  {kind:6s} " + "  ".join(f"{name} {percent(value)} %" for name, value in accuracy.items()))
    return 0
