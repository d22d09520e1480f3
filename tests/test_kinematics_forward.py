"""Forward kinematics and Jacobians against a literal numpy reference, on random trees of every joint type."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.errors import SpecError
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.specs import JointSpec, KinematicTree, MimicSpec, TreeJoint, parse_urdf
from tests.numpy_fk import NumpyFK

torch.set_num_threads(1)
KINDS = ("revolute", "continuous", "prismatic", "fixed")
seeds = st.integers(0, 2**32 - 1)


def random_urdf(rng, size=9) -> str:
    """A tree of ``size`` joints with random offsets, axes of any length, and some mimics (of earlier joints)."""
    elements, movable = ['<link name="l0"/>'], []
    for index in range(1, size + 1):
        kind = rng.choice(KINDS, p=[0.4, 0.1, 0.3, 0.2])
        text = f'<joint name="j{index}" type="{kind}"><parent link="l{rng.integers(index)}"/><child link="l{index}"/>'
        text += f'<origin xyz="{_text(rng.uniform(-1, 1, 3))}" rpy="{_text(rng.uniform(-3, 3, 3))}"/>'
        text += f'<axis xyz="{_text(rng.normal(size=3))}"/>'
        if kind != "fixed":
            if movable and rng.random() < 0.3:
                leader, multiplier, offset = rng.choice(movable), rng.uniform(-2, 2), rng.uniform(-1, 1)
                text += f'<mimic joint="{leader}" multiplier="{multiplier}" offset="{offset}"/>'
            movable.append(f"j{index}")
        elements += [f'<link name="l{index}"/>', text + "</joint>"]
    return f'<robot name="r">{"".join(elements)}</robot>'


def _text(values) -> str:
    return " ".join(repr(float(value)) for value in values)


def joint_specs(tree) -> list[JointSpec]:
    """Every movable joint of the tree, with limits that no test uses."""
    limits = {
        "revolute": {"lower_rad": -1.0, "upper_rad": 1.0},
        "prismatic": {"lower_m": -1.0, "upper_m": 1.0},
        "continuous": {},
    }
    movable = [joint for joint in tree.joints if joint.kind != "fixed"]
    return [JointSpec(name=j.name, kind=j.kind, mimic=j.mimic, **limits[j.kind]) for j in movable]


def random_case(seed: int):
    rng = np.random.default_rng(seed)
    text = random_urdf(rng)
    tree = parse_urdf(text)
    base = str(rng.choice(tree.links))
    fk = ForwardKinematics(tree, joint_specs(tree), tree.links, base)
    return fk, NumpyFK(text), torch.tensor(rng.uniform(-2, 2, (3, len(fk.joints))))


@given(seeds)
@settings(max_examples=60, deadline=None)
def test_poses_equal_the_literal_reference_in_any_base(seed):
    fk, reference, q = random_case(seed)
    poses = fk(q).numpy()
    for row, values in zip(poses, q.tolist(), strict=True):
        expected = reference.poses(dict(zip(fk.joints, values, strict=True)), base=fk.base)
        np.testing.assert_allclose(row, [expected[frame] for frame in fk.frames], atol=1e-12)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_jacobian_equals_finite_differences_in_any_base(seed):
    fk, _, q = random_case(seed)
    jacobian, step = fk.jacobian(q), 1e-6
    for joint in range(len(fk.joints)):
        nudge = torch.zeros_like(q)
        nudge[:, joint] = step
        ahead, behind, here = fk(q + nudge), fk(q - nudge), fk(q)
        linear = (ahead - behind)[..., :3, 3] / (2 * step)
        spin = (ahead - behind)[..., :3, :3] / (2 * step) @ here[..., :3, :3].mT  # skew matrix of the angular velocity
        angular = torch.stack([spin[..., 2, 1], spin[..., 0, 2], spin[..., 1, 0]], dim=-1)
        torch.testing.assert_close(jacobian[..., joint], torch.cat([linear, angular], dim=-1), atol=1e-7, rtol=1e-6)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_the_gradient_is_that_of_the_jacobian(seed):
    fk, _, q = random_case(seed)
    q.requires_grad_()
    weights = torch.randn(len(fk.frames), 3, generator=torch.Generator().manual_seed(0), dtype=q.dtype)
    (fk(q)[..., :3, 3] * weights).sum().backward()
    expected = torch.einsum("bfij,fi->bj", fk.jacobian(q.detach())[..., :3, :], weights)
    torch.testing.assert_close(q.grad, expected)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_float32_stays_float32_and_within_a_micrometre(seed):
    fk, _, q = random_case(seed)
    single = fk(q.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), fk(q.float().double()), atol=5e-6, rtol=0)


def two_joints(**second) -> tuple[KinematicTree, list[JointSpec]]:
    joints = (
        TreeJoint(name="a", kind="revolute", parent="base", child="l1", axis=(0, 0, 1)),
        TreeJoint(name="b", kind="revolute", parent="l1", child="l2", xyz_m=(1, 0, 0), axis=(0, 0, 1)),
    )
    specs = [
        JointSpec(name="a", kind="revolute", lower_rad=-1, upper_rad=1),
        JointSpec(name="b", kind="revolute", lower_rad=-1, upper_rad=1, **second),
    ]
    return KinematicTree(root="base", joints=joints), specs


def test_any_batch_shape_is_kept_an_empty_one_too():
    tree, specs = two_joints()
    fk = ForwardKinematics(tree, specs, ["l2"])
    for batch in [(), (3,), (2, 3), (0,)]:
        q = torch.zeros(*batch, 2)
        assert fk(q).shape == (*batch, 1, 4, 4)
        assert fk.jacobian(q).shape == (*batch, 1, 6, 2)


def test_a_mimic_joint_takes_no_place_in_the_vector():
    tree, specs = two_joints(mimic=MimicSpec(joint="a", multiplier=-1.0, offset=0.5))
    fk = ForwardKinematics(tree, specs, ["l2"])
    assert fk.joints == ("a",)
    angle = fk(torch.tensor([0.3]))[0, 1, 0].asin()
    assert angle.item() == pytest.approx(0.5, abs=1e-6)
    assert fk.jacobian(torch.tensor([0.3]))[0, 5].item() == pytest.approx(0.0)


def test_a_joint_that_is_not_listed_stands_at_zero():
    tree, specs = two_joints()
    fk = ForwardKinematics(tree, specs[1:], ["l2"])
    assert fk.joints == ("b",)
    assert fk(torch.zeros(1))[0, :3, 3].tolist() == [1, 0, 0]


def test_a_tree_without_joints_is_its_root():
    fk = ForwardKinematics(KinematicTree(root="palm", joints=()), [], ["palm"])
    assert torch.equal(fk(torch.zeros(5, 0)), torch.eye(4).expand(5, 1, 4, 4))
    assert fk.jacobian(torch.zeros(5, 0)).shape == (5, 1, 6, 0)


def test_mistakes_name_the_culprit():
    tree, specs = two_joints()
    with pytest.raises(SpecError, match="'l22' is not a frame of the tree; did you mean 'l2'"):
        ForwardKinematics(tree, specs, ["l22"])
    with pytest.raises(SpecError, match="'c' is not a movable joint"):
        ForwardKinematics(tree, [specs[0].model_copy(update={"name": "c"})], ["l2"])
    with pytest.raises(ValueError, match=r"2 joints \('a', 'b'\), has shape \(4, 3\)"):
        ForwardKinematics(tree, specs, ["l2"])(torch.zeros(4, 3))


def test_mimics_in_a_circle_are_refused():
    tree, specs = two_joints(mimic=MimicSpec(joint="a"))
    circle = [specs[0].model_copy(update={"mimic": MimicSpec(joint="b")}), specs[1]]
    with pytest.raises(SpecError, match="in a circle: a -> b -> a"):
        ForwardKinematics(tree, circle, ["l2"])
