"""`ovlab predict`: photographs and a list of words to pictures with a legend."""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovlab.commands.count_option import require_at_least_one
from ovlab.commands.method_option import add_method_files
from ovlab.commands.photographs import STDIN, photographs_in
from ovlab.specs.errors import InputError
from ovlab.specs.wording import percent

if TYPE_CHECKING:
    from logoseg.predictor import Prediction

_EPILOG = """\
examples:
  ovlab predict photo.jpg --weights runs/camvid --classes "road, car, tree"
  ovlab predict photo.jpg --weights runs/camvid --classes "road, car, tree, other" --out overlays
  ovlab predict holiday/ more/*.jpg --weights runs/camvid --classes "sea, sky" --out overlays --contact-sheet
  ovlab predict photo.jpg --weights runs/camvid --classes "car, tree" --synonyms "car: automobile, taxi"
  cat photo.jpg | ovlab predict - --weights clip:vit-b16 --clip ViT-B-16.pt --classes "road, car" --template "a {}"

writes of each PHOTO-overlay.png (the photograph under colours, with a legend) and PHOTO-labels.png (8- or 16-bit, the
index of the word at every pixel); with --scores also PHOTO-scores.npz, the score of every word at every pixel.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "predict",
        help="segment photographs with words of your own",
        description="Segment photographs with words of your own.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photographs", nargs="+", metavar="PHOTO", help="image files, folders of them, or - for stdin")
    parser.add_argument(
        "--weights", required=True, metavar="RUN", help="folder of a run, its weights file, or clip:PRESET"
    )
    parser.add_argument("--clip", type=Path, metavar="FILE", help="weights of CLIP, for clip:PRESET")
    add_method_files(parser)
    parser.add_argument("--classes", required=True, help='the words, with commas: "road, car, tree"')
    parser.add_argument(
        "--synonyms",
        action="append",
        default=[],
        metavar="WORD: NAME, ...",
        help='other names of a word, which are averaged: "car: automobile, taxi"; once for each word',
    )
    parser.add_argument(
        "--template",
        action="append",
        metavar="TEXT",
        help='a prompt with {} for the word: "a photo of a {}"; several times for several (default: those of RUN)',
    )
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to (default: here)")
    parser.add_argument("--opacity", type=float, help="of the colours, 0 to 1 (default: 0.55)")
    parser.add_argument("--scores", action="store_true", help="write the score of every word at every pixel too")
    parser.add_argument("--contact-sheet", action="store_true", help="write contact-sheet.jpg, all overlays in small")
    parser.add_argument("--size", type=int, help="side in pixels at which the model runs (default: that of its preset)")
    parser.add_argument("--sliding-window", action="store_true", help="look through the windows of CAT-Seg")
    parser.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="neighbours of one size shown at once (default: 1)"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print paths and shares as one JSON document")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    words = parse_words(arguments.classes)
    synonyms = parse_synonyms(arguments.synonyms, words)
    require_at_least_one(arguments, "--batch-size")
    if arguments.opacity is not None and not 0 <= arguments.opacity <= 1:
        raise InputError(f"--opacity {arguments.opacity:g}: give a number from 0, the photograph, to 1, the colours.")
    paths = photographs_in(arguments.photographs)
    from logoseg.overlay import OPACITY
    from ovlab.evaluation.prediction import thumbnail, write_contact_sheet, write_prediction, write_scores

    opacity = OPACITY if arguments.opacity is None else arguments.opacity
    answers, sheet = [], []
    for path, prediction in zip(paths, _predictions(arguments, paths, words, synonyms), strict=True):
        stem = "stdin" if str(path) == STDIN else path.stem
        written = write_prediction(arguments.out, stem, prediction, opacity)
        answer = {"overlay": str(written.overlay), "labels": str(written.labels), "shares": prediction.shares}
        if arguments.scores:
            answer["scores"] = str(write_scores(arguments.out, stem, prediction))
        if arguments.contact_sheet:
            sheet.append(thumbnail(prediction.overlay(opacity)))
        if not arguments.json:
            _print(answer, path.name if len(paths) > 1 else "")
        answers.append(answer)
    if sheet:
        place = write_contact_sheet(arguments.out, sheet)
        if not arguments.json:
            print(f"written: {place}")
    if arguments.json:
        print(json.dumps(answers[0] if len(answers) == 1 else answers))
    return 0


def _predictions(
    arguments: argparse.Namespace, paths: Sequence[Path], words: Sequence[str], synonyms: Mapping[str, Sequence[str]]
) -> "Iterator[Prediction]":
    """In the order of the photographs, with a bar of how far it is where there are several."""
    from rich.console import Console
    from rich.progress import track

    from logoseg.photo_pixels import pixels_of
    from logoseg.predictor import Predictor
    from logoseg.token_grid import require_views
    from ovlab.methods.registry import own_files
    from ovlab.runs.device import pick_device
    from ovlab.runs.subject import find_subject
    from ovlab.specs.evaluation import sliding_window, whole

    photographs = (pixels_of(sys.stdin.buffer.read() if str(path) == STDIN else path) for path in paths)
    first, device = next(photographs), pick_device(arguments.device)  # before the weights, which take longer to read
    subject = find_subject(arguments.weights, arguments.clip, method_files=own_files(arguments.method))
    size = subject.config.clip.image_size if arguments.size is None else arguments.size
    inference = (sliding_window if arguments.sliding_window else whole)(size).inference
    require_views(subject.config, inference)
    predictor = Predictor(
        subject.open_model().to(device), words, synonyms=synonyms, templates=arguments.template, inference=inference
    )
    predictions = predictor.all(chain([first], photographs), arguments.batch_size)
    console = Console(stderr=True)
    hidden = len(paths) == 1 or not console.is_terminal
    yield from track(predictions, "photographs", total=len(paths), console=console, disable=hidden, transient=True)


def _print(answer: Mapping[str, Any], name: str) -> None:
    shares = ", ".join(f"{word} {percent(share)} %" for word, share in answer["shares"].items() if share)
    print(f"{name}: {shares}" if name else shares)
    print(f"written: {', '.join(answer[kind] for kind in ('overlay', 'labels', 'scores') if kind in answer)}")


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


def parse_synonyms(texts: Sequence[str], words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The other names of each word, from "WORD: NAME, NAME". Raises InputError for another form, a word that is not
    asked for, and one that is there twice."""
    synonyms: dict[str, tuple[str, ...]] = {}
    for text in texts:
        word, _, rest = (part.strip() for part in text.partition(":"))
        names = tuple(name.strip() for name in rest.split(",") if name.strip())
        if not names:
            raise InputError(f'--synonyms {text!r}: give a word and its other names, as in "car: automobile, taxi".')
        if word not in words or word in synonyms:
            found = "is there twice" if word in synonyms else f"is none of the words {', '.join(words)}"
            raise InputError(f"--synonyms {text!r}: {word!r} {found}.")
        synonyms[word] = names
    return synonyms
