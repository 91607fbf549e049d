"""The scan against its recurrence, written as loops in float64: values, all gradients, and the choice of backend."""

import inspect
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from logoseg.ops import selective_scan as module
from logoseg.ops.chunked_scan import CACHED_STATES, CHUNK_LENGTH
from logoseg.ops.selective_scan import backend_for, selective_scan

NAMES = ("u", "delta", "A", "B", "C", "D", "delta_bias")


@pytest.fixture(autouse=True, params=["compiled", "chunked"])
def float32_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What scans float32 on a CPU: the compiled loops, and what other devices have."""
    monkeypatch.setitem(module._BACKENDS, "compiled", module._BACKENDS[request.param])


def sequential_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> Tensor:
    """The recurrence, one image, channel group and step at a time."""
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if delta_softplus:
        delta = torch.where(delta > 20, delta, torch.log1p(torch.exp(delta.clamp(max=20))))
    B, C = (x if x.dim() == 4 else x[:, None] for x in (B, C))
    images = []
    for b in range(len(u)):
        groups = []
        for group, rows in enumerate(torch.arange(u.shape[1]).chunk(B.shape[1])):
            A_rows, outputs = A[rows], []
            h = torch.zeros_like(A_rows)
            steps = (x.unbind(dim=-1) for x in (u[b, rows], delta[b, rows], B[b, group], C[b, group]))
            for u_t, delta_t, B_t, C_t in zip(*steps, strict=True):
                h = torch.exp(delta_t[:, None] * A_rows) * h + delta_t[:, None] * B_t * u_t[:, None]
                outputs.append((h * C_t).sum(dim=1))
            groups.append(torch.stack(outputs, dim=1))
        images.append(torch.cat(groups))
    y = torch.stack(images)
    return y if D is None else y + D[:, None] * u


def scan_inputs(
    *, batch: int = 2, dim: int = 6, state: int = 3, length: int = 40, groups: int | None = None, delta: float = -2.0
) -> list[Tensor]:
    """float32 inputs in the order of NAMES; `delta` is the mean of delta."""
    generator = torch.Generator().manual_seed(length)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    middle = () if groups is None else (groups,)
    return [
        normal(batch, dim, length),
        normal(batch, dim, length) + delta,
        -normal(dim, state).exp(),
        normal(batch, *middle, state, length),
        normal(batch, *middle, state, length),
        normal(dim),
        normal(dim),
    ]


def results(scan: Callable[..., Tensor], tensors: list[Tensor], **options: bool) -> dict[str, Tensor]:
    """y, and the gradient of a fixed weighting of y with respect to every input."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    y = scan(*leaves, **options)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(7))
    gradients = torch.autograd.grad(y, leaves, weights.to(y.dtype))
    return {"y": y.detach()} | dict(zip(NAMES, gradients, strict=False))


def assert_agrees(tensors: list[Tensor], *, relative: float = 1e-5, **options: bool) -> None:
    """Value and all gradients, each relative to the largest entry of the float64 answer."""
    actual = results(selective_scan, tensors, **options)
    wanted = results(sequential_scan, [tensor.double() for tensor in tensors], **options)
    for name, want in wanted.items():
        assert want.isfinite().all()
        # Below the least float32 a zero is the right answer.
        tolerance = max(relative * want.abs().max().item(), torch.finfo(torch.float32).tiny)
        torch.testing.assert_close(
            actual[name].double(), want, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("groups", [None, 1, 3])
@pytest.mark.parametrize("delta_softplus", [True, False])
def test_selective_scan_any_grouping_agrees_with_recurrence(groups: int | None, delta_softplus: bool) -> None:
    tensors = scan_inputs(groups=groups)
    if not delta_softplus:
        tensors[1], tensors[6] = tensors[1].abs(), tensors[6].abs()

    assert_agrees(tensors, delta_softplus=delta_softplus)


@pytest.mark.parametrize(
    "length", [1, 2, CHUNK_LENGTH - 1, CHUNK_LENGTH, CHUNK_LENGTH + 1, 2 * CHUNK_LENGTH, 3 * CHUNK_LENGTH + 5]
)
def test_selective_scan_length_off_the_chunk_agrees_with_recurrence(length: int) -> None:
    assert_agrees(scan_inputs(length=length), delta_softplus=True)


def test_selective_scan_more_sequences_than_one_block_agrees_with_recurrence() -> None:
    tensors = scan_inputs(batch=3, dim=2 * 1024, state=4, length=CHUNK_LENGTH + 3, groups=2)
    assert 2 * 1024 * 4 < CACHED_STATES < 3 * 2 * 1024 * 4  # the six sequences need more than one block

    assert_agrees(tensors, delta_softplus=True)


def test_selective_scan_long_sequence_agrees_with_recurrence() -> None:
    assert_agrees(scan_inputs(batch=1, dim=2, state=2, length=5000, delta=-4.0), delta_softplus=True)


def test_selective_scan_state_that_never_decays_agrees_with_recurrence() -> None:
    tensors = scan_inputs(batch=1, dim=2, state=2, length=500)
    tensors[2].zero_()

    assert_agrees(tensors, delta_softplus=True)


@pytest.mark.parametrize("delta", [-90.0, -30.0, 30.0, 300.0, 1e5])
def test_selective_scan_extreme_delta_through_softplus_agrees_with_recurrence(delta: float) -> None:
    assert_agrees(scan_inputs(length=70, delta=delta), delta_softplus=True)


@pytest.mark.parametrize("size", [1e-30, 1e-8, 1e3, 1e8])
def test_selective_scan_extreme_delta_without_softplus_agrees_with_recurrence(size: float) -> None:
    u, delta, A, B, C, D, _ = scan_inputs(length=70)

    assert_agrees([u, delta.abs() * size, A, B, C, D])


def test_selective_scan_decays_between_nothing_and_everything_agree_with_recurrence() -> None:
    tensors = scan_inputs(length=100)
    tensors[1] = tensors[1].sign() * 40  # some steps forget all, their neighbours nothing

    assert_agrees(tensors, delta_softplus=True)


def test_selective_scan_constant_input_is_a_geometric_series() -> None:
    length, decay = 50, 0.9
    ones = torch.ones(1, 1, length)
    A = torch.full((1, 1), math.log(decay))

    y = selective_scan(ones, ones, A, ones, 2 * ones, D=torch.tensor([3.0]))

    wanted = [2 * (1 - decay ** (t + 1)) / (1 - decay) + 3 for t in range(length)]
    torch.testing.assert_close(y[0, 0], torch.tensor(wanted))


def test_selective_scan_later_input_leaves_earlier_output_alone() -> None:
    tensors = scan_inputs(length=90)
    before = selective_scan(*tensors, delta_softplus=True)
    for tensor in (tensors[0], tensors[1], tensors[3], tensors[4]):
        tensor[..., 50:] += 1

    after = selective_scan(*tensors, delta_softplus=True)

    assert torch.equal(after[..., :50], before[..., :50])
    assert not torch.isclose(after[..., 50:], before[..., 50:]).all()


@pytest.mark.parametrize("groups", [None, 2])
def test_selective_scan_float64_passes_gradcheck(groups: int | None) -> None:
    tensors = scan_inputs(batch=2, dim=2, state=2, length=CHUNK_LENGTH + 2, groups=groups)
    leaves = [tensor.double().requires_grad_() for tensor in tensors]

    assert torch.autograd.gradcheck(lambda *x: selective_scan(*x, delta_softplus=True), leaves, fast_mode=True)


def test_selective_scan_float64_input_is_scanned_in_float64() -> None:
    tensors = [tensor.double() for tensor in scan_inputs(length=70)]

    y = selective_scan(*tensors, delta_softplus=True)

    assert y.dtype == torch.float64
    torch.testing.assert_close(y, sequential_scan(*tensors, delta_softplus=True), rtol=1e-12, atol=1e-12)


def test_selective_scan_bfloat16_input_is_scanned_in_float32() -> None:
    tensors = [tensor.bfloat16() for tensor in scan_inputs(length=70)]

    y = selective_scan(*tensors, delta_softplus=True)

    in_float32 = selective_scan(*(tensor.float() for tensor in tensors), delta_softplus=True)
    assert torch.equal(y, in_float32.bfloat16())
    gradients = results(selective_scan, tensors, delta_softplus=True)
    assert {name: gradients[name].dtype for name in NAMES} == dict.fromkeys(NAMES, torch.bfloat16)


def test_selective_scan_under_autocast_gives_the_same_values_and_gradients() -> None:
    tensors = scan_inputs(length=70)
    wanted = results(selective_scan, tensors, delta_softplus=True)

    with torch.autocast("cpu", torch.bfloat16):
        actual = results(selective_scan, tensors, delta_softplus=True)

    assert all(torch.equal(actual[name], wanted[name]) for name in wanted)


def test_selective_scan_compiled_gives_the_same_values_and_gradients() -> None:
    tensors = scan_inputs(length=CHUNK_LENGTH + 3)
    unchecked = inspect.unwrap(selective_scan)  # the checks of shapes in tests cannot be compiled

    def doubled(*inputs: Tensor) -> Tensor:
        return 2 * unchecked(*inputs, delta_softplus=True)

    wanted = results(doubled, tensors)
    actual = results(torch.compile(doubled, backend="aot_eager"), tensors)

    assert all(torch.equal(actual[name], wanted[name]) for name in wanted)


def test_selective_scan_optional_arguments_left_out_equal_zeros() -> None:
    u, delta, A, B, C, _, _ = scan_inputs()
    delta, zeros = delta.abs(), torch.zeros(6)

    assert torch.equal(selective_scan(u, delta, A, B, C), selective_scan(u, delta, A, B, C, zeros, zeros))


def test_selective_scan_only_u_needs_gradient_gives_the_gradient_of_the_full_set() -> None:
    tensors = scan_inputs()
    u = tensors[0].clone().requires_grad_()

    selective_scan(u, *tensors[1:], delta_softplus=True).sum().backward()

    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    selective_scan(*leaves, delta_softplus=True).sum().backward()
    assert torch.equal(u.grad, leaves[0].grad)


def test_selective_scan_without_any_gradient_gives_the_same_values() -> None:
    tensors = scan_inputs()
    y = selective_scan(*tensors, delta_softplus=True)
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]

    assert not y.requires_grad
    assert torch.equal(y, selective_scan(*leaves, delta_softplus=True).detach())


def test_selective_scan_strided_inputs_agree_with_contiguous_ones() -> None:
    tensors = scan_inputs(groups=2)
    wanted = results(selective_scan, tensors, delta_softplus=True)

    def strided(*inputs: Tensor, **options: bool) -> Tensor:
        views = [torch.stack([x, torch.zeros_like(x)], dim=-1).movedim(0, -2)[..., 0].movedim(-1, 0) for x in inputs]
        assert not any(view.is_contiguous() for view in views)
        return selective_scan(*views, **options)

    actual = results(strided, tensors, delta_softplus=True)

    for name in wanted:
        torch.testing.assert_close(actual[name], wanted[name])


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("u", (2, 6)),
        ("u", (2, 6, 0)),
        ("delta", (2, 5, 40)),
        ("A", (5, 3)),
        ("A", (6,)),
        ("B", (2, 3, 39)),
        ("B", (2, 2, 4, 40)),
        ("C", (2, 4, 40)),
        ("C", (2, 1, 3, 40)),
        ("D", (5,)),
        ("delta_bias", (6, 1)),
    ],
)
def test_selective_scan_wrong_shape_is_refused(name: str, shape: tuple[int, ...]) -> None:
    tensors = dict(zip(NAMES, scan_inputs(), strict=True)) | {name: torch.zeros(shape)}

    # TypeError: the shapes of the signature, checked in tests only; ValueError: the same in production.
    with pytest.raises((TypeError, ValueError)):
        selective_scan(**tensors)
    with pytest.raises(ValueError, match=r"^selective_scan: "):
        module._check_shapes(*tensors.values())


def test_selective_scan_groups_that_do_not_divide_dim_are_refused() -> None:
    tensors = scan_inputs(dim=6, groups=4)

    with pytest.raises(ValueError, match="dim 6 must be a multiple of the 4 groups"):
        selective_scan(*tensors)


@pytest.mark.parametrize(
    ("device", "dtype", "kernel", "backend"),
    [
        ("cuda", torch.float32, True, "mamba_ssm"),
        ("cuda", torch.float32, False, "chunked"),
        ("cuda", torch.float64, True, "chunked"),
        ("cpu", torch.float32, True, "compiled"),
        ("cpu", torch.float64, True, "chunked"),
    ],
)
def test_backend_for_device_dtype_and_kernel_is_the_one_that_can_run(
    monkeypatch: pytest.MonkeyPatch, device: str, dtype: torch.dtype, kernel: bool, backend: str
) -> None:
    monkeypatch.setattr(module, "mamba_ssm_kernel", lambda: sequential_scan if kernel else None)

    assert backend_for(torch.device(device), dtype) == backend


def test_selective_scan_mamba_ssm_backend_gets_float32_in_its_own_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def kernel(*tensors: Tensor, **options: Tensor | bool | None) -> Tensor:
        seen.extend([*tensors, options["D"], options["delta_bias"]])
        return sequential_scan(*tensors, **options)

    monkeypatch.setattr(module, "mamba_ssm_kernel", lambda: kernel)
    monkeypatch.setattr(module, "backend_for", lambda device, dtype: "mamba_ssm")
    tensors = [tensor.bfloat16() for tensor in scan_inputs(length=10, groups=2)]

    y = selective_scan(*tensors, delta_softplus=True)

    assert [tensor.dtype for tensor in seen] == [torch.float32] * 7
    monkeypatch.undo()
    torch.testing.assert_close(y, selective_scan(*tensors, delta_softplus=True))
