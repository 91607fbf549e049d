"""`ovlab predict`: photographs and a list of words to pictures with a legend."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovlab.commands.count_option import require_at_least_one
from ovlab.commands.method_option import add_method_files
from ovlab.commands.photographs import STDIN, photographs_in
from ovlab.specs.errors import InputError
from ovlab.specs.wording import percent

if TYPE_CHECKING:
    from logoseg.predictor import Prediction, Predictor

_EPILOG = """\
examples:
  ovlab predict photo.jpg --weights runs/camvid --classes "road, car, tree"
  ovlab predict photo.jpg --weights runs/camvid --classes "road, car, tree, other" --out overlays
  ovlab predict holiday/ more/*.jpg --weights runs/camvid --classes "sea, sky" --out overlays --contact-sheet
  ovlab predict photo.jpg --weights runs/camvid --classes "car, tree" --synonyms "car: automobile, taxi"
  ovlab predict photo.jpg --weights bridge:photo-lite0 --classes "cat, cup, car"
  cat photo.jpg | ovlab predict - --weights clip:vit-b16 --clip ViT-B-16.pt --classes "road, car" --template "a {}"

writes of each PHOTO-overlay.png (the photograph under colours, with a legend) and PHOTO-labels.png (8- or 16-bit, the
index of the word at every pixel); with --scores also PHOTO-scores.npz, the score of every word at every pixel. Of a
video, VIDEO-overlay.mp4.
"""


def configure(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "predict",
        help="segment photographs with words of your own",
        description="Segment photographs with words of your own.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photographs", nargs="+", metavar="PHOTO", help="images, videos, folders of them, - for stdin")
    parser.add_argument(
        "--weights",
        required=True,
        metavar="RUN",
        help="folder of a run, its weights file, clip:PRESET or bridge:PRESET",
    )
    parser.add_argument("--clip", metavar="FILE", help="CLIP weights for clip:PRESET: a file or open_clip's tag")
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
    from logoseg.overlay import OPACITY
    from logoseg.photo_pixels import pixels_of
    from ovlab.evaluation.video import SUFFIXES, frames_of

    given = photographs_in(arguments.photographs)
    videos = [path for path in given if path.suffix.lower() in SUFFIXES]
    paths = [path for path in given if path not in videos]
    photographs = (pixels_of(sys.stdin.buffer.read() if str(path) == STDIN else path) for path in paths)
    # One of each before the weights, which take longer to read.
    first = list(islice(photographs, 1))
    for path in videos:
        next(frames_of(path), None)
    predictor = _predictor(arguments, words, synonyms)
    predictions = predictor.all(chain(first, photographs), arguments.batch_size)
    opacity = OPACITY if arguments.opacity is None else arguments.opacity
    answers = []
    for name, answer in chain(
        _photographs(paths, predictions, arguments, opacity),
        ((path.name, _video(path, predictor, arguments, opacity)) for path in videos),
    ):
        answers.append(answer)
        if not arguments.json:
            _print(answer, name if len(given) > 1 else "")
    if arguments.json:
        print(json.dumps(answers[0] if len(answers) == 1 else answers))
    return 0


def _photographs(
    paths: Sequence[Path], predictions: "Iterator[Prediction]", arguments: argparse.Namespace, opacity: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Write what is asked for of each; its name, and where that lies, with the shares of the words."""
    from ovlab.evaluation.prediction import thumbnail, write_contact_sheet, write_prediction, write_scores

    sheet = []
    for path, prediction in zip(paths, _tracked(predictions, len(paths)), strict=True):
        stem = "stdin" if str(path) == STDIN else path.stem
        written = write_prediction(arguments.out, stem, prediction, opacity)
        answer = {"overlay": str(written.overlay), "labels": str(written.labels), "shares": prediction.shares}
        if arguments.scores:
            answer["scores"] = str(write_scores(arguments.out, stem, prediction))
        if arguments.contact_sheet:
            sheet.append(thumbnail(prediction.overlay(opacity)))
        yield path.name, answer
    if sheet:
        write_contact_sheet(arguments.out, sheet)


def _predictor(
    arguments: argparse.Namespace, words: Sequence[str], synonyms: Mapping[str, Sequence[str]]
) -> "Predictor":
    from logoseg.predictor import Predictor
    from logoseg.token_grid import require_views
    from ovlab.methods.registry import own_files
    from ovlab.runs.device import pick_device
    from ovlab.runs.subject import find_subject
    from ovlab.specs.evaluation import sliding_window, whole

    device = pick_device(arguments.device)
    subject = find_subject(arguments.weights, arguments.clip, method_files=own_files(arguments.method))
    size = subject.config.clip.image_size if arguments.size is None else arguments.size
    inference = (sliding_window if arguments.sliding_window else whole)(size).inference
    require_views(subject.config, inference)
    network = subject.open_model().to(device)
    return Predictor(network, words, synonyms=synonyms, templates=arguments.template, inference=inference)


def _video(path: Path, predictor: "Predictor", arguments: argparse.Namespace, opacity: float) -> dict[str, Any]:
    """Write PATH's overlay as a video; the shares are the means over its frames."""
    from logoseg.class_colours import class_colours
    from logoseg.overlay import painted
    from ovlab.evaluation.video import frames_of, rate_of, write_video

    # The same in every frame.
    colours = class_colours(len(predictor.words), range(len(predictor.words)))
    shares: dict[str, float] = dict.fromkeys(predictor.words, 0.0)
    num_frames = 0

    def overlays() -> Iterator[Any]:
        nonlocal num_frames
        for prediction in _tracked(predictor.all(frames_of(path), arguments.batch_size), None):
            num_frames += 1
            for word, share in prediction.shares.items():
                shares[word] += share
            yield painted(prediction.image, prediction.labels, colours, opacity)

    arguments.out.mkdir(parents=True, exist_ok=True)
    overlay = arguments.out / f"{path.stem}-overlay.mp4"
    write_video(overlay, overlays(), rate_of(path))
    means = {word: share / max(1, num_frames) for word, share in shares.items()}
    return {"overlay": str(overlay), "frames": num_frames, "shares": means}


def _tracked(predictions: "Iterator[Prediction]", total: int | None) -> "Iterable[Prediction]":
    """With a bar of how far it is on a terminal, where there are several."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = total == 1 or not console.is_terminal
    return track(predictions, "predicting", total=total, console=console, disable=hidden, transient=True)


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
