"""The bytes of a file that a person gave, and what a damaged picture in them makes of Pillow: one line."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import UnidentifiedImageError

from ovlab.specs.errors import InputError
from ovlab.specs.wording import one_line

# Pillow warns, in several lines, of oddities that it can read, and of half the size from which it refuses.
warnings.filterwarnings("ignore", module=r"PIL\.")


def file_bytes(path: Path, missing: str) -> bytes:
    """The content of a file; `missing` says what it means that there is none. Raises InputError that names the path."""
    try:
        if path.exists() and not path.is_file():
            # A pipe would be waited for without end.
            raise InputError(f"{path}: a folder, a pipe or a device, where a file must be; replace it.")
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: {missing}.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None


@contextlib.contextmanager
def decoding(name: Path | str, what: str) -> Iterator[None]:
    """Around calls of Pillow alone: whatever they raise becomes an InputError that names the picture."""
    try:
        yield
    except UnidentifiedImageError:
        raise InputError(f"{name}: the {what} cannot be decoded (not an image); replace the file.") from None
    # A damaged file makes Pillow raise nearly anything, from struct.error to MemoryError.
    except Exception as error:
        raise InputError(f"{name}: the {what} cannot be decoded ({one_line(error)}); replace the file.") from None
