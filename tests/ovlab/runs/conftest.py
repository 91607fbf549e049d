from collections.abc import Iterator

import pytest

from ovlab.store import count_shards as shards


@pytest.fixture(autouse=True, scope="module")
def small_shards_and_own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "IMAGES_PER_SHARD", 2)
        patch.setenv("OVLAB_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield
