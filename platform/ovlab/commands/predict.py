"""`ovlab predict`: a photograph and a list of words to a picture with a legend."""

import argparse
import json
from pathlib import Path

from ovlab.commands.method_option import add_method_files
from ovlab.specs.errors import InputError
from ovlab.specs.wording import percent

_EPILOG = """\
examples:
  ovlab predict photo.jpg --weights runs/camvid --classes "road, car, tree"
  ovlab predict photo.jpg --weights runs/camvid --classes "road, car, tree, other" --out overlays

writes PHOTO-overlay.png (the photograph under colours, with a legend) and PHOTO-labels.png (8- or 16-bit, the index of
the word at every pixel).
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "predict",
        help="segment a photograph with words of your own",
        description="Segment a photograph with words of your own.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photograph", type=Path, help="an image file")
    parser.add_argument(
        "--weights", required=True, metavar="RUN", help="folder of a run, its weights file, or clip:PRESET"
    )
    add_method_files(parser)
    parser.add_argument("--classes", required=True, help='the words, with commas: "road, car, tree"')
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to (default: here)")
    parser.add_argument("--size", type=int, help="side in pixels at which the model runs (default: that of its preset)")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print paths and shares as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    words = parse_words(arguments.classes)
    from logoseg.token_grid import require_views
    from ovlab.datasets.photograph import read_photograph
    from ovlab.evaluation.prediction import predict_photograph, write_prediction
    from ovlab.methods.registry import own_files
    from ovlab.runs.device import pick_device
    from ovlab.runs.subject import find_subject
    from ovlab.specs.evaluation import whole

    if not arguments.photograph.exists():
        raise InputError(f"{arguments.photograph}: no such file; give a photograph.")
    image, device = read_photograph(arguments.photograph, "upright").pixels, pick_device(arguments.device)
    subject = find_subject(arguments.weights, method_files=own_files(arguments.method))
    protocol = whole(subject.config.clip.image_size if arguments.size is None else arguments.size)
    require_views(subject.config, protocol.inference)
    labels = predict_photograph(subject.open_model(), image, words, protocol, device)
    written = write_prediction(arguments.out, arguments.photograph.stem, image, labels, words)
    shares = {word: float((labels == index).mean()) for index, word in enumerate(words)}
    if arguments.json:
        print(json.dumps({"overlay": str(written.overlay), "labels": str(written.labels), "shares": shares}))
    else:
        print(", ".join(f"{word} {percent(share)} %" for word, share in shares.items() if share))
        print(f"written: {written.overlay}, {written.labels}")
    return 0


def parse_words(text: str) -> tuple[str, ...]:
    """The words between the commas. Raises InputError for none, and for two that are one to CLIP."""
    from ovlab.datasets.texts import alike

    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise InputError('--classes is empty; give words with commas, for example "road, car, tree".')
    if same := alike(words):
        found = f"{same[0]!r} twice" if same[0] == same[1] else f"{same[0]!r} and {same[1]!r}, one text to CLIP"
        raise InputError(f"--classes has {found}; give every word once.")
    return words
