import pytest
import torch

from logoseg.clip.released_weights import load_clip
from logoseg.clip.shipped import shipped_clip
from logoseg.presets import PRESETS
from ovlab.methods.networks import build_network
from ovlab.methods.registry import NO_FILES, named_method
from ovlab.specs.errors import InputError
from ovlab.specs.training import ScheduleSpec
from ovlab.training.objective import objective_of
from ovlab.training.process_group import ALONE, ProcessGroup, require_shards


def member(rank: int, size: int) -> ProcessGroup:
    return ProcessGroup(rank=rank, size=size, parallel=ALONE.parallel, mean=ALONE.mean, broadcast=ALONE.broadcast)


@pytest.mark.parametrize(("batch_size", "size"), [(4, 1), (4, 2), (4, 4), (7, 3), (5, 4)])
def test_shards_hold_each_image_of_a_batch_once_and_differ_by_one_at_most(batch_size: int, size: int) -> None:
    shards = [member(rank, size).shard(batch_size) for rank in range(size)]

    assert [image for shard in shards for image in shard] == list(range(batch_size))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


@pytest.mark.parametrize("num_workers", [1, 2, 3, 6, (1, 4), (2, 5)])
def test_workers_that_each_get_images_are_accepted(num_workers: int | tuple[int, int]) -> None:
    require_shards(6, num_workers)


@pytest.mark.parametrize(
    ("num_workers", "words"),
    [
        (4, "batch_size = 6 images equally; give one of 1, 2, 3, 6"),
        (12, "give one of 1, 2, 3, 6"),
        ((2, 7), "7 cannot share"),
        (0, "at least 1"),
        ((3, 2), "no more at least than at most"),
    ],
)
def test_workers_that_cannot_share_a_batch_are_refused(num_workers: int | tuple[int, int], words: str) -> None:
    with pytest.raises(InputError) as error:
        require_shards(6, num_workers)

    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("method", "preset"),
    [
        ("logoseg", "shapes-vit-s"),
        ("logoseg", "shapes-convnext-s"),
        ("cat-seg", "shapes-vit-s"),
        ("sed", "shapes-convnext-s"),
        ("san", "shapes-vit-s"),
    ],
)
def test_no_buffer_of_a_method_changes_in_an_update_so_that_the_state_of_any_rank_is_that_of_all(
    method: str, preset: str
) -> None:
    """Where they differ, what is kept depends on who keeps it: torch.distributed.checkpoint takes some buffers from one
    rank and some from another."""
    config = PRESETS[preset]()
    clip = load_clip(config.clip, shipped_clip(config.clip))
    model = config if method == "logoseg" else named_method(method, preset, {})
    network = build_network(model, clip, NO_FILES).train()
    names = ("red circle", "grass", "water")
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}

    text = network.encode_text([(name,) for name in names], network.prompt_templates)
    objective = objective_of(network, ScheduleSpec(steps=1, batch_size=2), names)
    objective(torch.rand(2, 3, 96, 96), torch.randint(0, 3, (2, 96, 96)), text).sum().backward()

    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    assert before.keys() == dict(network.named_buffers()).keys()
