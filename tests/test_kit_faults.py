"""More faults than one per check: each is seen by the check whose clause it breaks, which names the place."""

import numpy as np
import pytest
import torch

from egoscale_sdk.errors import MissingExtraError
from egoscale_sdk.geometry import pose_from_vec9, relative_poses, vec9_from_pose
from egoscale_sdk.hands import WristHandSpace
from egoscale_sdk.interfaces import Chunk
from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.specs import PoseSpec
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import good, with_hands
from egoscale_sdk.testing.fakes.good import good_spec
from egoscale_sdk.testing.run import run_check

CHECKS = {check.id: check for check in all_checks()}
SPEC = good_spec()
NAMES = [joint.name for joint in SPEC.joints]


def detail(id, subject) -> str:
    result = run_check(CHECKS[id], subject)
    assert (result.status, result.traceback) == ("failed", ""), result.detail
    return result.detail


# ---- kinematics


class Changed(SpecEmbodiment):
    """Forward kinematics with its argument or its result changed."""

    def __init__(self, before=lambda q: q, after=lambda poses: poses):
        super().__init__(SPEC)
        self.before, self.after = before, after

    def forward_kinematics(self, q):
        return self.after(super().forward_kinematics(self.before(q)))


def transposed(poses):
    poses = poses.clone()
    poses[..., -1, :3, :3] = poses[..., -1, :3, :3].transpose(-1, -2)
    return poses


def without_a_number(poses):
    poses = poses.clone()
    poses[..., 20, 0, 3] = torch.nan
    return poses


def in_millimetres(poses):
    return torch.cat([poses[..., :3], poses[..., 3:] * poses.new_tensor([1000.0, 1000, 1000, 1])[:, None]], dim=-1)


def exchanged(one, other):
    order = [{one: other, other: one}.get(name, name) for name in NAMES]
    return lambda q: q[..., [NAMES.index(name) for name in order]]


WRONG_POSES = {
    "a rotation transposed": (Changed(after=transposed), "right_middle_tip"),
    "two joints exchanged": (Changed(exchanged("left_thumb_mcp", "left_thumb_ip")), "left_thumb_proximal"),
    "the same joint of both hands exchanged": (Changed(exchanged("left_index_mcp", "right_index_mcp")), "left_index"),
    "single precision inside": (Changed(lambda q: q.float(), lambda poses: poses.double()), "mm"),
    "joints clamped": (Changed(SpecEmbodiment(SPEC).clamp), "with every joint beyond its limits"),
    "tenths of a millimetre lost in single precision": (
        Changed(after=lambda poses: (poses * 1e5).round() / 1e5 if poses.dtype == torch.float32 else poses),
        "mm",
    ),
    "millimetres": (Changed(after=in_millimetres), "left_shoulder"),
    "not a number": (Changed(after=without_a_number), "right_"),
    "a mount forgotten": (
        SpecEmbodiment(
            SPEC.model_copy(
                update={"arms": tuple(arm.model_copy(update={"T_tip_root": PoseSpec()}) for arm in SPEC.arms)}
            )
        ),
        "left_palm",
    ),
}


@pytest.mark.parametrize("fault", WRONG_POSES)
def test_wrong_poses_are_seen(fault):
    body, name = WRONG_POSES[fault]
    assert name in detail("KIN003", good(embodiment=body))


class Remembering(SpecEmbodiment):
    """Smooths over calls."""

    last = None

    def forward_kinematics(self, q):
        poses = super().forward_kinematics(q)
        self.last, mixed = poses, poses if self.last is None else (poses + self.last) / 2
        return mixed


def test_a_batch_that_is_wrong_from_some_size_on_is_seen():
    def first_hundred(poses):
        return poses if poses.dim() < 4 else torch.cat([poses[:100], poses[:1].expand(poses.shape)[100:]])

    assert "element 1" in detail("KIN005", good(embodiment=Changed(after=first_hundred)))


def test_a_body_that_remembers_is_seen():
    assert "second call" in detail("KIN007", good(embodiment=Remembering(SPEC)))


def test_another_error_than_a_value_error_is_seen():
    class Indexing(SpecEmbodiment):
        def forward_kinematics(self, q):
            return super().forward_kinematics(q if q.shape[-1] == len(NAMES) else q[..., [99]])

    assert "IndexError" in detail("KIN006", good(embodiment=Indexing(SPEC)))


def test_a_gradient_that_stops_at_one_joint_is_seen():
    def stopped(q):
        return torch.cat([q[..., :9], q[..., 9:10].detach(), q[..., 10:]], dim=-1)

    assert repr(NAMES[9]) in detail("KIN008", good(embodiment=Changed(stopped)))


def test_forward_kinematics_without_gradients_is_let_be():
    result = run_check(CHECKS["KIN008"], good(embodiment=Changed(lambda q: q.detach())))
    assert (result.status, "not differentiable" in result.detail) == ("skipped", True)


@pytest.mark.parametrize(
    "clamp",
    [
        lambda body, q: q.clamp(max=body.limits(q)[1]),
        lambda body, q: torch.maximum(torch.minimum(q, body.limits(q)[0]), body.limits(q)[1]),
        lambda body, q: 0.9 * SpecEmbodiment.clamp(body, q),
        lambda body, q: q,
        lambda body, q: q.copy_(SpecEmbodiment.clamp(body, q)),
    ],
)
def test_a_wrong_clamp_is_seen(clamp):
    kind = type("Clamping", (SpecEmbodiment,), {"clamp": clamp})
    detail("KIN010", good(embodiment=kind(SPEC)))


def test_wrists_of_the_wrong_side_are_seen():
    class Reversed(SpecEmbodiment):
        def wrist_poses(self, q):
            return super().wrist_poses(q).flip(-3)

    assert "left wrist" in detail("KIN012", good(embodiment=Reversed(SPEC)))


def rows_only(q):
    if q.dim() != 2:
        raise RuntimeError("rows, please")
    return q


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (lambda q: q.reshape(-1, q.shape[-1]), lambda poses: poses, "of shape (1, 2, 4, 4)"),
        (lambda q: q.double(), lambda poses: poses, "gives torch.float64"),
        (rows_only, lambda poses: poses, "raises RuntimeError: rows"),
        (lambda q: q, lambda poses: poses.flip(0) if poses.dim() == 5 else poses, "batch of shape (2, 3)"),
    ],
    ids=["one dimension of a batch", "single precision", "rows only", "two dimensions mixed up"],
)
def test_wrists_of_some_batches_only_are_seen(before, after, words):
    class Wrists(SpecEmbodiment):
        def wrist_poses(self, q):
            return after(super().wrist_poses(before(q)))

    assert words in detail("KIN012", good(embodiment=Wrists(SPEC)))


def test_a_neutral_pose_that_is_shared_is_seen():
    class Sharing(SpecEmbodiment):
        kept = {}

        def neutral(self, like):
            return self.kept.setdefault(like.dtype, super().neutral(like))

    assert "the tensor that it keeps" in detail("KIN011", good(embodiment=Sharing(SPEC)))


@pytest.mark.parametrize("index", range(8))
def test_every_single_wrong_mirror_sign_is_seen(index):
    def wrong(hand):
        return {"mirror_signs": tuple(-s if n == index else s for n, s in enumerate(hand.mirror_signs))}

    assert "right hand" in detail("KIN014", with_hands(wrong))


def test_mirror_signs_that_disagree_are_seen():
    disagreeing = with_hands(lambda hand: {"mirror_signs": (1.0,) * 8} if hand.side == "left" else {})
    assert "mirror_signs are" in detail("KIN014", disagreeing)


def test_hands_that_state_no_mirror_are_let_be():
    result = run_check(CHECKS["KIN014"], with_hands(lambda hand: {"mirror_signs": ()}))
    assert result.status == "skipped"


# ---- action space


class Otherwise(WristHandSpace):
    """Chunks that are changed after they have been made right."""

    def encode(self, trajectory, valid, state, state_valid):
        chunk = super().encode(trajectory, valid, state, state_valid)
        values, mask = np.array(chunk.values), np.array(chunk.mask)
        self.change(values, mask, trajectory, state, state_valid)
        return Chunk(values, mask)

    def change(self, values, mask, trajectory, state, state_valid):
        """Change values and mask in place."""


def columns_of_rotations(self, values, mask, trajectory, state, state_valid):
    for block in self._wrists:
        poses = pose_from_vec9(values[..., block])
        values[..., block.start + 3 : block.stop] = np.swapaxes(poses[..., :3, :2], -1, -2).reshape(
            *values.shape[:-1], 6
        )


def from_the_first_target(self, values, mask, trajectory, state, state_valid):
    for block in self._wrists:
        poses = pose_from_vec9(trajectory[..., block])
        values[..., block] = vec9_from_pose(relative_poses(poses[..., 0, :, :], poses))


def relative_hands(self, values, mask, trajectory, state, state_valid):
    values[..., 18:] -= state[..., None, 18:]


def hands_masked_with_their_reference(self, values, mask, trajectory, state, state_valid):
    mask &= self.column_mask(state_valid)[..., None, :]
    values *= mask


def lost_mask(self, values, mask, trajectory, state, state_valid):
    mask[:] = True


def changes_its_argument(self, values, mask, trajectory, state, state_valid):
    trajectory[..., :18] = values[..., :18]


@pytest.mark.parametrize(
    ("id", "change", "where"),
    [
        ("ACT002", columns_of_rotations, "left_wrist.r0"),
        ("ACT002", from_the_first_target, "left_wrist.x"),
        ("ACT002", relative_hands, "left_hand.thumb_yaw"),
        ("ACT006", lost_mask, "mask"),
        ("ACT007", hands_masked_with_their_reference, "left_hand.thumb_yaw"),
        ("ACT009", changes_its_argument, "encode changes the rows"),
    ],
)
def test_wrong_chunks_are_seen(id, change, where):
    space = type("Wrong", (Otherwise,), {"change": change})
    assert where in detail(id, good(action_space=space(good().layout)))


def test_a_space_that_tidies_up_its_arguments_is_seen():
    class Tidying(WristHandSpace):
        def encode(self, trajectory, valid, state, state_valid):
            chunk = super().encode(trajectory, valid, state, state_valid)
            state[~self.column_mask(state_valid)] = 0
            return chunk

    class Clipping(WristHandSpace):
        def decode(self, chunk, state):
            rows = super().decode(chunk, state)
            chunk[..., 18:] = np.clip(chunk[..., 18:], -3, 3)
            return rows

    assert "encode changes the state" in detail("ACT009", good(action_space=Tidying(good().layout)))
    assert "decode changes the chunk" in detail("ACT009", good(action_space=Clipping(good().layout)))
    assert run_check(CHECKS["ACT002"], good(action_space=Tidying(good().layout))).status == "passed"


def test_decoding_without_orthonormalising_is_seen():
    class Raw(WristHandSpace):
        def decode(self, chunk, state):
            rows = np.array(chunk)
            for block in self._wrists:
                first, second = chunk[..., block.start + 3 : block.start + 6], chunk[..., block.start + 6 : block.stop]
                relative = pose_from_vec9(chunk[..., block])
                relative[..., :3, :3] = np.stack([first, second, np.cross(first, second)], axis=-2)
                rows[..., block] = vec9_from_pose(pose_from_vec9(state[..., None, block]) @ relative)
            return rows

    detail("ACT008", good(action_space=Raw(good().layout)))


# ---- simulation


def changed(field, **values):
    return lambda hand: {field: tuple(item.model_copy(update=values) for item in getattr(hand, field))}


@pytest.mark.parametrize(
    ("id", "change", "where"),
    [
        ("SIM002", changed("joints", effort_nm=1e-6), "joint 'left_thumb_yaw' is at"),
        ("SIM002", changed("dynamics", kp=0.02), "joint 'left_"),
        ("SIM003", lambda hand: {"mass_kg": 0.0004}, "kg"),
        ("SIM003", lambda hand: {"mass_kg": 2.2 * hand.mass_kg}, "left.urdf weigh 0.55 kg"),
        ("SIM004", changed("bodies", radius_m=0.03), "overlap by"),
        ("SIM005", lambda hand: {"bodies": hand.bodies[:1]}, "nothing touches a ball"),
    ],
)
def test_hands_that_do_not_simulate_well_are_seen(id, change, where):
    assert where in detail(id, with_hands(change))


def test_a_root_within_the_tree_is_simulated_where_it_is():
    """The same hand seen from another of its links: the wrist frame moves along."""

    def from_the_knuckle(hand):
        assert hand.tree
        fixed = {"kind": "fixed", "xyz_m": (0.01, 0.02, 0.03), "rpy_rad": (0.1, 0.2, 0.3)}
        seat = hand.tree.joints[0].model_copy(update={"name": "seat", "parent": "flange", "child": hand.root, **fixed})
        return {"tree": hand.tree.model_copy(update={"root": "flange", "joints": (*hand.tree.joints, seat)})}

    result = run_check(CHECKS["SIM001"], with_hands(from_the_knuckle))
    assert result.status == "passed", result.detail


def test_a_urdf_that_weighs_some_links_only_is_no_judge_of_the_mass():
    def heavier(hand):
        extra = {"link": f"{hand.side}_index_tip", "kind": "capsule", "radius_m": 0.005}
        body = hand.bodies[-1].model_copy(update=extra)
        joints = [
            joint.model_copy(update={"kind": "revolute"}) if joint.child == body.link else joint
            for joint in hand.tree.joints
        ]
        tree = hand.tree.model_copy(update={"joints": tuple(joints)})
        return {"tree": tree, "bodies": (*hand.bodies, body), "mass_kg": 2.2 * hand.mass_kg}

    result = run_check(CHECKS["SIM003"], with_hands(heavier))
    assert (result.status, "URDF" in result.detail) == ("passed", False), result.detail


def test_a_root_that_moves_cannot_be_simulated():
    assert "is moved by its joint" in detail("SIM001", with_hands(lambda hand: {"root": f"{hand.side}_index_middle"}))


@pytest.mark.parametrize("id", [id for id in CHECKS if id.startswith("SIM")])
def test_without_mujoco_the_checks_are_skipped_with_the_line_that_installs_it(id, monkeypatch):
    def missing(*_):
        raise MissingExtraError("simulation needs the package 'mujoco'", hint="run: pip install 'egoscale-sdk[sim]'")

    monkeypatch.setattr("egoscale_sdk.sim.mj.require_extra", missing)
    result = run_check(CHECKS[id], good())
    assert (result.status, "pip install 'egoscale-sdk[sim]'" in result.detail) == ("skipped", True)
