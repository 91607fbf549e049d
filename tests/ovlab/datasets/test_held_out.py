import pytest

from ovlab.datasets.held_out import NUM_HELD_OUT, fit_part, held_out_part
from ovlab.datasets.places import open_named
from ovlab.shapes.dataset import open_shapes
from ovlab.specs.errors import InputError


def test_parts_of_a_training_split_are_all_of_it_and_share_nothing() -> None:
    whole, fit, held_out = (open_named("shapes-coco", split, {}) for split in ("train", "train-fit", "train-held-out"))

    assert len(held_out) == NUM_HELD_OUT
    assert sorted([*fit.sample_ids, *held_out.sample_ids]) == sorted(whole.sample_ids)
    assert not set(fit.sample_ids) & set(held_out.sample_ids)
    gaps = {later - before for before, later in zip(held_out.indices, held_out.indices[1:], strict=False)}
    assert max(gaps) - min(gaps) <= 1
    assert fit.class_names == held_out.class_names == whole.class_names
    assert held_out[3].id == whole[held_out.indices[3]].id


def test_digest_of_a_part_tells_it_from_the_other_one_and_the_whole_from_another_whole() -> None:
    whole, other = open_shapes("shapes-coco", "train"), open_shapes("shapes-pc-59", "train")
    digests = {part(dataset).digest for part in (fit_part, held_out_part) for dataset in (whole, other)}

    assert len({*digests, whole.digest, other.digest}) == 6
    assert fit_part(whole).digest == fit_part(open_shapes("shapes-coco", "train")).digest


def test_of_a_small_training_split_nothing_is_held_out() -> None:
    with pytest.raises(InputError, match=r"shapes-coco: 200 images are held out .* there are 400"):
        held_out_part(open_shapes("shapes-coco", "train", num_samples=400))
