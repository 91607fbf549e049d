"""ovlab.store.pictures: what an index says is a name, a colour and words, or it is refused."""

import json
from pathlib import Path

import pytest

from ovlab.files.sealed import DamagedError, pack_sealed
from ovlab.store.pictures import FORMAT, KINDS, Picture, PictureClass, Pictures, pictures_of, put_pictures
from ovlab.store.store import Store, evaluation_folder, open_store

RUN = "e" * 64
PICTURES = Pictures(
    pictures=(
        Picture(
            id="001",
            miou=0.5,
            chosen="first",
            width=8,
            height=6,
            files={kind: f"{number}" * 64 + ".webp" for number, kind in enumerate(KINDS)},
            classes=(PictureClass(name="sky", colour="#2828D6", num_gt_pixels=1, num_pred_pixels=0),),
        ),
    )
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(str(tmp_path / "store"))
    put_pictures(store, RUN, PICTURES)
    return store


def test_index_comes_back_as_it_went(store: Store) -> None:
    assert pictures_of(store, RUN) == PICTURES


@pytest.mark.parametrize("field", ["file", "colour"])
@pytest.mark.parametrize("text", ["../marker.webp", "/marker", "red", "#2828d6;", '#2828d6" onload="marker', "#28d"])
def test_index_with_another_name_or_colour_is_damaged(store: Store, field: str, text: str) -> None:
    place = f"{evaluation_folder(RUN)}/pictures/index.json"
    content = json.loads(store.folder.read(place))["record"]
    picture = content["pictures"][0]
    (picture["files"] if field == "file" else picture["classes"][0])[KINDS[1] if field == "file" else "colour"] = text
    store.folder.write(place, pack_sealed(FORMAT, content))

    with pytest.raises(DamagedError, match=r"index\.json: damaged.*must be"):
        pictures_of(store, RUN)
