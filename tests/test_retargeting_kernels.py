"""Kernels: a traced function does to every frame what torch does, compiled or number by number, whatever the batch."""

import logging
import shutil

import human_hand
import numpy as np
import pytest
import torch
from test_retargeting_solver import OTHERS as MADE

from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import KeypointRetargeter
from egoscale_sdk.retargeting.banded import Twin
from egoscale_sdk.retargeting.kernels import build
from egoscale_sdk.retargeting.kernels.native import Framewise, Kernel
from egoscale_sdk.retargeting.kernels.trace import Input, TraceError, trace
from egoscale_sdk.retargeting.smoothing import finish

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def hand(name, side="right"):
    return default_host().spec(name).hand(side)


def everything(x, shared):
    """Of x (3, N) and shared (3,): what there is of sums, moves, comparisons, functions and types."""
    a, b, c = x
    turned = torch.linalg.cross(x, shared[:, None].expand_as(x), dim=0)
    near = (x.square().sum(0) < 1.5) & ~(a > b) | (c == a)
    rolled = torch.stack([torch.sin(a), torch.cos(b), (a.abs() + 0.5).log(), c.clamp(-1, 1).exp()])
    mixed = torch.addcmul(rolled[[0, 2]], rolled[1:2], rolled[3:], value=-2.0).flip(0).amax(0)
    wide = (x.double() - shared[0]).mean(0).to(x.dtype)
    known = torch.where(near, (1 / (a * a + 1)).sqrt(), torch.nan).nan_to_num(2.0)
    return turned, near, mixed, wide, known, torch.maximum(x[:2], x[1:]).reshape(2, -1) * 0 + 1


SPEC = [Input((3,)), Input((3,), frames=None)]


def numbers(frames, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(3, frames, generator=generator), torch.randn(3, generator=generator)


@needs_compiler
def test_a_kernel_does_what_torch_does():
    given = numbers(100)
    for found, wanted in zip(Kernel(everything, SPEC)(*given), everything(*given), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@needs_compiler
@pytest.mark.parametrize("frames", [0, 1, 15, 16, 17, 63, 4096, 5000])
def test_a_frame_has_the_same_bits_in_any_batch_and_on_any_number_of_threads(frames):
    kernel, (x, shared) = Kernel(everything, SPEC), numbers(6000)
    whole = kernel(x, shared)
    torch.set_num_threads(3)
    part = kernel(x[:, 600 : 600 + frames], shared)
    torch.set_num_threads(1)
    for ours, own in zip(part, whole, strict=True):
        assert torch.equal(ours.nan_to_num(), own[..., 600 : 600 + frames].nan_to_num())


@needs_compiler
def test_frames_may_come_first_and_what_is_no_number_stays_none():
    kernel = Kernel(lambda x: (x.clamp(0, 1) * 2).T, [Input((2,), torch.float64, frames=0)])
    x = torch.tensor([[torch.nan, 0.25], [torch.inf, -torch.inf], [0.5, 3.0]], dtype=torch.float64)
    torch.testing.assert_close(kernel(x)[0], (x.clamp(0, 1) * 2).T, equal_nan=True)


def test_padding_costs_nothing():
    """Times zero, times one, plus zero, and a variable between equal bounds leave no operation behind."""
    ends = torch.tensor([[0.0], [0.0]])
    folded = trace(lambda x: torch.minimum(torch.maximum(x * 0 + x[:1] * 1 + 0, ends[:1]), ends[1:]), [Input((2,))])
    assert [folded.scalars.operations[at].name for at in folded.order()] == ["literal"]


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x.cumsum(1), "not known"),
        (lambda x: x.flip(-1), "another frame"),
        (lambda x: x.sum(-1, keepdim=True).expand(3, 2), "another frame"),
        (lambda x: x.to(torch.int64).to(x.dtype), "int64"),
    ],
)
def test_what_is_not_framewise_is_refused_and_runs_as_it_is(function, why, caplog):
    with pytest.raises(TraceError, match=why):
        trace(function, [Input((3,))])
    build.say_once.cache_clear()
    x = torch.rand(3, 2)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(Framewise(function, [-1])(x)[0], function(x))
    assert [why in record.message for record in caplog.records] == [True]


def test_without_a_compiler_it_is_slower_and_not_broken(monkeypatch, caplog):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    build.say_once.cache_clear()
    motion = torch.from_numpy(human_hand.clip(20))
    with caplog.at_level(logging.WARNING):
        found = [KeypointRetargeter(hand("unitree/g1_dex3"), backend="simd").retarget(motion) for _ in range(2)]
    assert torch.equal(found[1].joints, KeypointRetargeter(hand("unitree/g1_dex3")).retarget(motion).joints)
    assert ["no C++ compiler" in record.message for record in caplog.records] == [True]


def test_a_compiler_that_fails_is_as_good_as_none(monkeypatch, caplog, tmp_path):
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho 'error: out of order' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(build, "compiler", lambda: str(broken))
    build.say_once.cache_clear()
    x = torch.rand(3, 2)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(Framewise(torch.sin, [-1])(x)[0], torch.sin(x))
    assert ["out of order" in record.message for record in caplog.records] == [True]


@needs_compiler
def test_a_folder_that_cannot_be_written_is_no_compiler(monkeypatch, caplog, tmp_path):
    (tmp_path / "egoscale").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(build.BuildError, match="egoscale"):
        Kernel(torch.cos, [Input((2,))])


@needs_compiler
def test_a_user_without_a_home_has_no_folder_to_build_in(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(build.Path, "home", lambda: build.Path("~nobody-is-called-that").expanduser())
    with pytest.raises(build.BuildError, match="home"):
        Kernel(torch.cos, [Input((2,))])


@needs_compiler
def test_numbers_of_a_type_without_kernels_run_as_they_are():
    x = torch.rand(3, 2).half()
    assert torch.equal(Framewise(torch.neg, [-1])(x)[0], -x)


OTHERS = {**MADE, "no thumb": lambda: hand_without_thumb()}


def hand_without_thumb():
    robot = hand("sharpa/wave")
    return robot.model_copy(update={"fingers": tuple(f for f in robot.fingers if f.role in ("index", "ring"))})


@needs_compiler
@pytest.mark.parametrize(
    "name", ["unitree/g1_dex3", "unitree/g1_inspire", pytest.param("sharpa/wave", marks=pytest.mark.slow), *OTHERS]
)
@pytest.mark.parametrize("target", ["shape", "scaled"])
def test_the_back_ends_agree_to_a_hundred_thousandth(name, target):
    """Fingers of unequal length, coupled joints, joints that slide, fingers that share a joint, and no thumb."""
    robot = OTHERS[name]() if name in OTHERS else hand(name)
    clips = torch.from_numpy(np.stack([human_hand.clip(150, seed) for seed in range(3)]))
    clips[1, 40:70] = torch.nan
    eager = KeypointRetargeter(robot, target=target).retarget(clips)
    simd = KeypointRetargeter(robot, target=target, backend="simd").retarget(clips)
    torch.testing.assert_close(simd.joints, eager.joints, rtol=0, atol=1e-5)
    torch.testing.assert_close(simd.residual_m, eager.residual_m, rtol=0, atol=1e-6)
    assert torch.equal(simd.valid, eager.valid)


@needs_compiler
@pytest.mark.parametrize("backend", ["eager", "simd"])
@pytest.mark.parametrize("name", ["unitree/g1_dex3", "coupled"])
def test_no_batch_order_or_thread_changes_a_bit_of_a_clip(name, backend):
    clips = torch.from_numpy(np.stack([human_hand.clip(203, seed) for seed in range(7)]))
    retargeter = KeypointRetargeter(OTHERS[name]() if name in OTHERS else hand(name), backend=backend)
    together = retargeter.retarget(clips).joints
    torch.set_num_threads(2)
    backwards = retargeter.retarget(clips.flip(0)).joints.flip(0)
    torch.set_num_threads(1)
    assert torch.equal(together, backwards)
    assert torch.equal(together, torch.stack([retargeter.retarget(clip).joints for clip in clips]))


@needs_compiler
@pytest.mark.parametrize("windows", [1, 3, 16, 37])
def test_the_compiled_smoother_is_its_reference(windows):
    generator = torch.Generator().manual_seed(windows)
    weight = 0.02 * torch.rand(2, 30, windows, generator=generator) + 1e-6
    stiffness = 0.1 * (torch.rand(2, 30, windows, generator=generator) < 0.9).float()
    ours, reference = (Twin(weight, stiffness, native) for native in (True, False))
    for k in range(3):
        u = torch.randn(3, 2, 30 * windows, generator=generator)
        torch.testing.assert_close(ours(u, k == 2), reference(u, k == 2), rtol=0, atol=1e-6)


@needs_compiler
def test_compiled_finishing_bridges_and_limits_as_its_reference_does():
    rng = np.random.default_rng(0)
    lengths = [40, 1, 25, 60]
    joints = torch.from_numpy(rng.normal(size=(sum(lengths), 3)).cumsum(0)).float()
    known = torch.from_numpy(rng.random(sum(lengths)) < 0.7)
    known[41:66] = False
    limits = torch.tensor([-3.0, -2.0, -1.0]).double(), torch.tensor([3.0, 2.0, 4.0]).double()
    step = torch.tensor([0.3, 2.0, torch.inf]).double()
    ours, wanted = (finish(joints.clone(), known, lengths, step, limits, native) for native in (True, False))
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-6)
    for part in ours.split(lengths):
        assert bool((part.double().diff(dim=0).abs() <= step).all())


@needs_compiler
def test_compiled_medians_are_those_of_their_reference():
    robot = hand("unitree/g1_dex3")
    clips = [torch.from_numpy(human_hand.clip(n, n)) for n in (1, 2, 37, 64)]
    generator = torch.Generator().manual_seed(0)
    seen = [(torch.rand(len(clip), 21, generator=generator) - 0.2).clamp(min=0) for clip in clips]
    seen[0][:], seen[1][:] = 1, 0
    ours, wanted = (KeypointRetargeter(robot, backend=b)._frames.bones(clips, seen) for b in ("simd", "eager"))
    assert ours.isnan().all(0).tolist() == [False, True, False, False]
    torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=0, equal_nan=True)
