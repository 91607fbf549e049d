"""A bucket of an S3 server that may be slow, away for a while, or no S3 server at all."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from aiohttp import ClientError as HttpError
from botocore import exceptions as botocore_errors  # type: ignore[import-untyped]
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]
from s3fs import S3FileSystem

from ovlab.specs.errors import InputError, StoreError
from ovlab.specs.wording import one_line

ENVIRONMENT = "OVLAB_STORE_PATIENCE"
DEFAULT_PATIENCE = 60.0
# Silence after which it is said that somebody is waited for.
WORD_SECONDS = 10.0
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0
# Of silence, after which an answer is asked for anew.
_TIMEOUT = 35.0
# How often one file is read whose answers end before their end.
_READINGS = 3
# What every answer of S3 to these has, and a page of a proxy has not.
_PROOF = {
    "GetObject": "ETag",
    "HeadObject": "ETag",
    "PutObject": "ETag",
    "UploadPart": "ETag",
    "CreateMultipartUpload": "UploadId",
    "CompleteMultipartUpload": "ETag",
    "ListObjectsV2": "Name",
}
# 409: another writer's request for the same name is under way.
_BUSY = (408, 409, 429, 500)
_NOT_IMPLEMENTED = 501
_NO_CONTENT = 204
_NO_ANSWER = (
    botocore_errors.HTTPClientError,
    botocore_errors.ConnectionError,
    ResponseParserError,
    HttpError,
    ConnectionError,
    TimeoutError,
)

_log = logging.getLogger(__name__)


class PatientS3(S3FileSystem):
    """Asks again what a server that is slow, busy, away or no S3 does not answer, for $OVLAB_STORE_PATIENCE seconds
    (60), with a word after ten. Then it raises StoreError; InputError where there is no such bucket."""

    # One place asks again, or nobody knew how long it takes.
    retries = 1

    async def _call_s3(self, method: str, *options: Mapping[str, Any], **arguments: Any) -> Any:
        place = f"s3://{arguments.get('Bucket', '')}/{arguments.get('Key', arguments.get('Prefix', ''))}"
        began, wait, seconds = time.monotonic(), _FIRST_WAIT, patience()
        # Whoever reads an answer to its end says it for both.
        with nullcontext() if method == "get_object" else _word_about(place):
            while True:
                try:
                    return await super()._call_s3(method, *options, **arguments)
                except Exception as error:
                    _require_bucket(error, place)
                    if not _passes(error):
                        raise
                    if time.monotonic() - began + wait > seconds:
                        reason = one_line(error.__cause__ or error)
                        raise StoreError(
                            f"{place}: no right answer of the store in {seconds:.0f} s ({reason}); check it and "
                            f"AWS_ENDPOINT_URL. The same command continues."
                        ) from error
                    await asyncio.sleep(wait)
                    wait = min(2 * wait, _LONGEST_WAIT)

    async def _cat_file(self, path: str, *options: Any, **arguments: Any) -> bytes:
        # One request; several would first ask for the size of each file, however small.
        return await _read_whole(path, partial(super()._cat_file, path, *options, max_concurrency=1, **arguments))

    async def _get_file(self, rpath: str, *options: Any, **arguments: Any) -> None:
        await _read_whole(rpath, partial(super()._get_file, rpath, *options, **arguments))

    async def _bulk_delete(self, pathlist: Sequence[str], **arguments: Any) -> list[str]:
        # That of s3fs passes over the errors in an answer, and takes a page for one without errors.
        await asyncio.gather(*(self._rm_file(path, **arguments) for path in pathlist))
        return list(pathlist)


async def _read_whole(path: str, read: Callable[[], Awaitable[Any]]) -> Any:
    place = f"s3://{path}"
    with _word_about(place):
        for _ in range(_READINGS - 1):
            with suppress(*_NO_ANSWER):
                return await read()
            await asyncio.sleep(_FIRST_WAIT)
        try:
            return await read()
        except _NO_ANSWER as error:
            raise StoreError(
                f"{place}: the answers of the store are cut off ({one_line(error)}); check it and AWS_ENDPOINT_URL. "
                f"The same command continues."
            ) from error


@contextmanager
def _word_about(place: str) -> Iterator[None]:
    word = asyncio.get_running_loop().call_later(
        WORD_SECONDS, _log.warning, "%s: no whole answer of the store for %.0f s; still asking", place, WORD_SECONDS
    )
    try:
        yield
    finally:
        word.cancel()


def open_bucket(uri: str) -> tuple[PatientS3, str]:
    """The file system, and the path in it, of s3://bucket/prefix. A prefix does not begin with a slash: such a key can
    be written and read, but listings pass over it."""
    session = AioSession()
    session.register("after-call.s3", _require_s3)
    file_system = PatientS3(
        session=session,
        config_kwargs={
            "retries": {"total_max_attempts": 1},
            "connect_timeout": _TIMEOUT,
            "read_timeout": _TIMEOUT,
        },
        # fsspec's own cache of file systems knows nothing of a changed AWS_ENDPOINT_URL; listings change under our
        # hands, by the workers of this very preparation.
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    bucket, _, prefix = PatientS3._strip_protocol(uri).partition("/")
    return file_system, f"{bucket}/{prefix.lstrip('/')}"


def patience() -> float:
    """Seconds for which a request is repeated: $OVLAB_STORE_PATIENCE. Raises InputError for another value."""
    text = os.environ.get(ENVIRONMENT, str(DEFAULT_PATIENCE))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InputError(f"{ENVIRONMENT} must be seconds from 0 on, got {text!r}.")
    return seconds


def _passes(error: Exception) -> bool:
    """Whether the same request may be answered later."""
    answer = getattr(error.__cause__, "response", None)
    if answer is not None:
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        return status in _BUSY or (status > 500 and status != _NOT_IMPLEMENTED)
    return isinstance(error, _NO_ANSWER)


def _require_bucket(error: Exception, place: str) -> None:
    if getattr(error.__cause__, "response", {}).get("Error", {}).get("Code") == "NoSuchBucket":
        raise InputError(f"{place}: no such bucket. Make it, or give another.") from None


def _require_s3(http_response: Any, parsed: Mapping[str, Any], model: Any, **_rest: Any) -> None:
    proof = _PROOF.get(model.name)
    is_no_deletion = model.name == "DeleteObject" and http_response.status_code != _NO_CONTENT
    if http_response.status_code < 300 and (is_no_deletion or (proof is not None and proof not in parsed)):
        raise ResponseParserError(f"what answers to {model.name} is no S3")
