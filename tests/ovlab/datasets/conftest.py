"""A bucket on a moto server in this process, and small splits in the layout of an original download."""

from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ovlab.benchmarks.synthetic_download import write_download
from ovlab.datasets.original import FolderSplit


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The endpoint of an S3 server of our own."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a fresh bucket; AWS_ENDPOINT_URL leads this process and its children to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = f"bucket-{abs(hash(request.node.nodeid)):x}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture
def make_download(tmp_path: Path) -> Callable[..., FolderSplit]:
    """A split of small synthetic images below tmp_path/NAME."""

    def make(num_images: int = 10, folder: str = "download", num_classes: int = 5, seed: int = 0) -> FolderSplit:
        return write_download(
            tmp_path / folder, num_images=num_images, height=24, width=36, num_classes=num_classes, seed=seed
        )

    return make
