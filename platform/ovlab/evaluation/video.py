"""Videos as frames, and frames as a video, by PyAV, which is installed with the extra "video".

Axes: H x W pixels.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ovlab.files.whole_file import writing
from ovlab.specs.errors import InputError
from ovlab.specs.wording import one_line

SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")
_DEFAULT_RATE = Fraction(25)


def frames_of(path: Path) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The frames in order, the way up that players show. Raises InputError for a file that is no video, or damaged."""
    av = _pyav()
    try:
        with av.open(str(path)) as video:
            for frame in video.decode(video=0):
                yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{path}: the video cannot be decoded ({one_line(error)}); replace the file.") from None


def rate_of(path: Path) -> Fraction:
    """Frames a second, 25 where the file does not say. Errors as `frames_of`."""
    av = _pyav()
    try:
        with av.open(str(path)) as video:
            return video.streams.video[0].average_rate or _DEFAULT_RATE
    except (av.FFmpegError, IndexError) as error:
        raise InputError(f"{path}: the video cannot be decoded ({one_line(error)}); replace the file.") from None


def write_video(path: Path, frames: Iterable[UInt8[np.ndarray, "H W 3"]], rate: Fraction) -> None:
    """Write frames of one size as an MP4 of H.264, less a last row or column where their number is odd."""
    av = _pyav()
    with writing(path) as partial, av.open(str(partial), "w", format="mp4") as video:
        stream = video.add_stream("libx264", rate=rate)
        stream.pix_fmt = "yuv420p"  # which every player knows, and which needs even sides
        for pixels in frames:
            height, width = (side // 2 * 2 for side in pixels.shape[:2])
            if not stream.is_open:
                stream.height, stream.width = height, width
            even = np.ascontiguousarray(pixels[:height, :width])
            video.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        video.mux(stream.encode(None))


def _pyav() -> Any:
    try:
        import av
    except ImportError:
        raise InputError("videos are read by PyAV, which is not installed: pip install av.") from None
    return av
