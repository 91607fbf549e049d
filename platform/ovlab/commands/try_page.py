"""The page of `ovlab try`: a photograph and words are sent to it, colours and scores come back; it keeps nothing.

Axes: N words, r x c places of the photograph.
"""

import base64
import io
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from logoseg.class_colours import class_colours
from logoseg.model_error import ModelError
from logoseg.predictor import Prediction, Predictor
from ovlab.specs.errors import InputError

MAX_BYTES = 64 * 2**20
MAX_WORDS = 200
# Scores are sent at so many places along the longer side.
_NUM_PLACES = 128
_FILES = {"": ("index.html", "text/html"), "style.css": ("style.css", "text/css")} | {
    "script.js": ("script.js", "text/javascript")
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PACKAGED = Path(__file__).parent / "try_files"
_SOURCES = Path(__file__).resolve().parents[3] / "dashboards" / "try"


def try_page(predictor_of: Callable[[tuple[str, ...]], Predictor]) -> Starlette:
    """The application, for requests to this machine by its own names alone, so that no page of another site can reach
    it under a name of theirs. predictor_of: reads words; those of the last few requests are kept."""
    reading = lru_cache(maxsize=8)(predictor_of)
    one_at_a_time = threading.Lock()

    def answer(photo: bytes, words: tuple[str, ...]) -> dict[str, Any]:
        with one_at_a_time:
            return shown(reading(words)(photo))

    async def segment(request: Request) -> Response:
        # A type that a page of another site may not send without asking first.
        if request.headers.get("content-type") != "application/octet-stream":
            return _problem("Send a photograph as application/octet-stream.", 415)
        photo = bytearray()
        async for part in request.stream():
            photo += part
            if len(photo) > MAX_BYTES:
                return _problem(f"The photograph is larger than {MAX_BYTES >> 20} MiB; give a smaller one.", 413)
        words = tuple(word.strip() for word in request.query_params.get("words", "").split(",") if word.strip())
        if len(words) > MAX_WORDS:
            return _problem(f"{len(words)} words are more than {MAX_WORDS}; give fewer.", 400)
        try:
            return JSONResponse(await run_in_threadpool(answer, bytes(photo), words), headers=_HEADERS)
        except (ModelError, InputError) as error:
            return _problem(str(error), 400)

    folder = _PACKAGED if _PACKAGED.is_dir() else _SOURCES
    files = [Route(f"/{path}", _file(folder / name, kind)) for path, (name, kind) in _FILES.items()]
    return Starlette(
        routes=[*files, Route("/segment", segment, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


def shown(prediction: Prediction) -> dict[str, Any]:
    """What the page draws: `colours`, a picture as a data URL; `words`, each with its share and colour, largest first;
    `scores` of each of them at rows x columns places, as base64 of float32 in the order N r c."""
    shares = prediction.shares
    order = sorted(range(len(shares)), key=lambda index: -shares[prediction.words[index]])
    colours = class_colours(len(order), [index for index in order if shares[prediction.words[index]]])
    file = io.BytesIO()
    Image.fromarray(colours[prediction.labels]).save(file, format="PNG")
    rows, columns = _places(prediction.labels.shape)
    maps = [prediction.score_map(prediction.words[index])[np.ix_(rows, columns)] for index in order]
    return {
        "colours": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}",
        "words": [
            {"word": word, "share": shares[word], "colour": f"#{bytes(colours[index]).hex()}"}
            for index in order
            for word in (prediction.words[index],)
        ],
        "rows": len(rows),
        "columns": len(columns),
        "scores": base64.b64encode(np.stack(maps).astype("<f4").tobytes()).decode(),
    }


def _places(size: Sequence[int]) -> list[np.ndarray]:
    """The rows and columns whose scores are sent: the middles of equal parts of the photograph."""
    step = max(1.0, max(size) / _NUM_PLACES)
    counts = [max(1, round(length / step)) for length in size]
    return [((np.arange(count) + 0.5) * length / count).astype(int) for count, length in zip(counts, size, strict=True)]


def _file(path: Path, kind: str) -> Callable[[Request], Response]:
    content = path.read_bytes()
    return lambda _: Response(content, media_type=kind, headers=_HEADERS)


def _problem(text: str, status: int) -> Response:
    return JSONResponse({"problem": text}, status_code=status, headers=_HEADERS)
