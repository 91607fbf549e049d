import pytest

from ovlab.datasets.vocabulary import (
    VOCABULARIES,
    load_raw_ids,
    load_seen,
    load_vocabulary,
    prompt_names,
    synonyms,
)
from ovlab.specs.errors import InputError

COUNTS = {
    "coco-stuff": 171,
    "a-847": 847,
    "pc-459": 459,
    "a-150": 150,
    "pc-59": 59,
    "pas-20": 20,
    "pas-20b": 59,
    "msrc": 23,
    "camvid": 11,
}
SEEN = {"a-847": (129, 718), "pc-459": (104, 355), "a-150": (70, 80), "pc-59": (54, 5), "pas-20": (20, 0)}
# Not by COCO-Stuff, but by one another.
PHOTOGRAPHS = ("msrc", "camvid")


@pytest.mark.parametrize("name", VOCABULARIES)
def test_vocabulary_has_its_published_number_of_distinct_names(name: str) -> None:
    entries = load_vocabulary(name).entries

    assert len(entries) == len(set(entries)) == COUNTS[name]
    assert all(entry == entry.strip() != "" and not entry.startswith("#") for entry in entries)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_vocabulary_says_where_it_comes_from(name: str) -> None:
    assert load_vocabulary(name).origin.startswith(("file: ", "url: ", "publication: "))


@pytest.mark.parametrize("name", [name for name in VOCABULARIES if name != "pas-20b"])
def test_raw_ids_are_one_distinct_id_a_class(name: str) -> None:
    raw_ids = load_raw_ids(name)

    assert len(raw_ids) == len(set(raw_ids)) == COUNTS[name]


def test_raw_ids_of_coco_stuff_leave_out_the_eleven_unused() -> None:
    assert set(range(182)) - set(load_raw_ids("coco-stuff")) == {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90}


def test_raw_ids_of_ade20k_are_in_the_published_range() -> None:
    raw_ids = dict(zip(load_vocabulary("a-847").entries, load_raw_ids("a-847"), strict=True))

    assert (min(raw_ids.values()), max(raw_ids.values()), raw_ids["wall"]) == (6, 3156, 2978)


def test_pc_59_names_are_those_of_pc_459_at_their_ids_but_for_the_table() -> None:
    names = load_vocabulary("pc-459").entries
    pairs = zip(load_raw_ids("pc-59"), load_vocabulary("pc-59").entries, strict=True)

    assert {(names[raw_id - 1], name) for raw_id, name in pairs if names[raw_id - 1] != name} == {
        ("table", "diningtable")
    }


def test_pas_20b_names_are_those_of_pas_20_then_the_rest_of_pc_59() -> None:
    names = load_vocabulary("pas-20b").entries

    assert names[:20] == load_vocabulary("pas-20").entries
    assert set(names) == set(load_vocabulary("pc-59").entries)


@pytest.mark.parametrize("name", SEEN)
def test_seen_and_unseen_classes_are_as_many_as_published(name: str) -> None:
    seen = load_seen(name)

    assert (seen.count(True), seen.count(False)) == SEEN[name]


@pytest.mark.parametrize("name", [name for name in VOCABULARIES if name not in ("coco-stuff", *PHOTOGRAPHS)])
def test_seen_classes_are_listed_in_the_order_of_the_vocabulary(name: str) -> None:
    from importlib import resources

    lines = resources.files("ovlab.datasets").joinpath(f"vocabularies/seen/{name}.txt").read_text().splitlines()
    rows = [line.split("\t") for line in lines[1:]]

    assert lines[0].startswith("# ")
    assert tuple(row[0] for row in rows) == load_vocabulary(name).entries
    assert {row[1] for row in rows} <= {"exact", "normalised", "synonym", "unseen"}
    coco = set(load_vocabulary("coco-stuff").entries)
    assert all((match in coco) == (tier != "unseen") for _, tier, match in rows)
    assert all(match in synonyms(entry) for entry, tier, match in rows if tier == "exact")


def test_seen_classes_of_pas_20b_are_those_of_pc_59_by_name() -> None:
    def unseen(name: str) -> set[str]:
        return {entry for entry, seen in zip(load_vocabulary(name).entries, load_seen(name), strict=True) if not seen}

    assert unseen("pas-20b") == unseen("pc-59") == {"bag", "bedclothes", "computer", "plate", "sign"}


def test_unseen_classes_of_msrc_are_those_that_camvid_has_by_this_or_another_name() -> None:
    from importlib import resources

    def rows(name: str) -> list[list[str]]:
        text = resources.files("ovlab.datasets").joinpath(f"vocabularies/seen/{name}.txt").read_text()
        return [line.split("\t") for line in text.splitlines()[1:]]

    camvid = load_vocabulary("camvid").entries
    for name in PHOTOGRAPHS:
        assert tuple(row[0] for row in rows(name)) == load_vocabulary(name).entries
    assert [name for name, tier, _ in rows("msrc") if tier == "seen"] == [
        *("grass", "cow", "horse", "sheep", "mountain", "aeroplane", "water", "face"),
        *("flower", "bird", "book", "chair", "cat", "dog", "boat"),
    ]
    assert all((like in camvid) == (tier == "unseen") for _, tier, like in rows("msrc"))
    assert not {name for name, tier, _ in rows("msrc") if tier == "seen"} & set(camvid)
    assert load_seen("camvid") == (False,) * 11


def test_seen_classes_of_the_training_set_are_all() -> None:
    assert load_seen("coco-stuff") == (True,) * 171


def test_prompt_names_first_is_the_first_synonym_alone() -> None:
    assert prompt_names("sofa, couch, lounge", "first") == ("sofa",)


def test_prompt_names_joined_is_all_synonyms_as_one() -> None:
    assert prompt_names("sofa, couch, lounge", "joined") == ("sofa, couch, lounge",)


def test_prompt_names_average_is_all_synonyms_in_order() -> None:
    assert prompt_names("sofa, couch, lounge", "average") == ("sofa", "couch", "lounge")


def test_first_synonyms_of_ade20k_leave_ten_classes_without_a_name_of_their_own() -> None:
    names = [prompt_names(entry, "first") for entry in load_vocabulary("a-847").entries]

    assert len(names) - len(set(names)) == 10


def test_unknown_vocabulary_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match=r"no vocabulary 'a150'\. Did you mean 'a-150'\?"):
        load_vocabulary("a150")
