"""A bucket of an S3 server that may be slow, away for a while, or no S3 server at all."""

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
_LONGEST_WAIT = 5.0
_READ_TIMEOUT = 35.0
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

    # Of one answer, which may end before its end.
    retries = 3

    async def _call_s3(self, method: str, *options: Mapping[str, Any], **arguments: Any) -> Any:
        place = f"s3://{arguments.get('Bucket', '')}/{arguments.get('Key', arguments.get('Prefix', ''))}"
        began, wait, seconds = time.monotonic(), 0.2, patience()
        word = asyncio.get_running_loop().call_later(
            WORD_SECONDS, _log.warning, "%s: the store does not answer yet; asked for up to %.0f s", place, seconds
        )
        try:
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
        finally:
            word.cancel()

    async def _cat_file(self, path: str, *options: Any, **arguments: Any) -> bytes:
        with _cut_named(path):
            return await super()._cat_file(path, *options, **arguments)

    async def _get_file(self, rpath: str, *options: Any, **arguments: Any) -> None:
        with _cut_named(rpath):
            await super()._get_file(rpath, *options, **arguments)


@contextmanager
def _cut_named(path: str) -> Iterator[None]:
    try:
        yield
    except _NO_ANSWER as error:
        raise StoreError(
            f"s3://{path}: the answers of the store are cut off ({one_line(error)}); check it and AWS_ENDPOINT_URL. "
            f"The same command continues."
        ) from error


def open_bucket(uri: str) -> tuple[PatientS3, str]:
    """The file system, and the path in it, of s3://bucket/prefix. A prefix does not begin with a slash: such a key can
    be written and read, but listings pass over it."""
    session = AioSession()
    session.register("after-call.s3", _require_s3)
    file_system = PatientS3(
        session=session,
        # One place asks again, or nobody knew how long it takes.
        config_kwargs={"retries": {"total_max_attempts": 1}, "read_timeout": _READ_TIMEOUT},
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
