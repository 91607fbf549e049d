"""ovlab.runs.sources: places for a process that works elsewhere."""

from pathlib import Path

import pytest

from ovlab.runs.clip_files import RANDOM
from ovlab.runs.sources import Sources


def test_absolute_places_mean_the_same_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ViT-B-16.pt").touch()
    given = Sources(
        places={"a-150": "data/a-150", "pc-59": "s3://bucket/pc-59", "pas-20": "/data/pas-20"},
        clip_files={"vit-b16": "ViT-B-16.pt", "vit-l14": "openai", "tiny": RANDOM},
    )

    assert given.absolute() == Sources(
        places={"a-150": str(tmp_path / "data" / "a-150"), "pc-59": "s3://bucket/pc-59", "pas-20": "/data/pas-20"},
        clip_files={"vit-b16": str(tmp_path / "ViT-B-16.pt"), "vit-l14": "openai", "tiny": RANDOM},
    )
