"""The kit on specs with many more faults than the one mutant of each check, and on good ones that look odd."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egoscale_sdk.host import default_host
from egoscale_sdk.specs import (
    ColumnSpec,
    EmbodimentSpec,
    FingerSpec,
    HandSpec,
    MimicSpec,
    PoseSpec,
    Provenance,
    action_fingerprint,
    load_embodiment,
)
from egoscale_sdk.testing.check import Violation
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import good, with_hands, with_spec
from egoscale_sdk.testing.fakes.good import good_spec
from egoscale_sdk.testing.run import CheckResult, run_check
from egoscale_sdk.testing.subject import Subject
from egoscale_sdk.testing.urdf_figures import urdf_limits, urdf_masses

CHECKS = {check.id: check for check in all_checks()}
SHIPPED = [entry.id for entry in default_host().embodiments()]
SPEC_CHECKS = [id for id in CHECKS if id.startswith("SPEC")]


def judge(id: str, subject: Subject) -> CheckResult:
    result = run_check(CHECKS[id], subject)
    assert result.traceback == ""
    return result


def complaint(id: str, subject: Subject) -> str:
    result = judge(id, subject)
    assert result.status == "failed"
    return result.detail


def one_hand(side: str, change: Callable[[HandSpec], dict[str, Any]]) -> Subject:
    """Change one hand of the good embodiment only."""
    return with_hands(lambda hand: change(hand) if hand.side == side else {})


def joint(hand: HandSpec, number: int, **changes: Any) -> dict[str, Any]:
    joints = list(hand.joints)
    joints[number] = joints[number].model_copy(update=changes)
    return {"joints": tuple(joints)}


@pytest.mark.parametrize("embodiment_id", SHIPPED)
def test_shipped_specs_keep_every_clause(embodiment_id: str) -> None:
    subject = Subject(default_host(), embodiment_id.partition("/")[0], embodiment_id)
    failed = [result for id in SPEC_CHECKS if (result := judge(id, subject)).status == "failed"]
    assert failed == []


class TestLimits:
    def test_a_joint_that_cannot_move_is_named(self) -> None:
        subject = one_hand("left", lambda hand: joint(hand, 2, lower_rad=0.5, upper_rad=0.5))
        assert "'left_thumb_ip' has 0.5..0.5 rad: it cannot move" in complaint("SPEC002", subject)

    def test_a_hand_without_an_open_pose_stands_at_zero(self) -> None:
        assert judge("SPEC002", with_hands(lambda hand: {"open_pose": ()})).status == "passed"
        bent = with_hands(lambda hand: {"open_pose": (), **joint(hand, 0, lower_rad=0.5)})
        assert "open_pose is not given, so zero," in complaint("SPEC002", bent)

    def test_an_unknown_speed_is_named(self) -> None:
        assert "'right_index_mcp'" in complaint(
            "SPEC003", one_hand("right", lambda h: joint(h, 4, velocity_rad_s=None))
        )

    @pytest.mark.parametrize(
        ("figure", "value", "said"),
        [("lower_rad", -0.35, "-0.3"), ("velocity_rad_s", 6.1, "6"), ("effort_nm", 1.1, "1")],
    )
    def test_every_figure_is_held_against_the_urdf(self, figure: str, value: float, said: str) -> None:
        detail = complaint("SPEC005", one_hand("right", lambda hand: joint(hand, 1, **{figure: value})))
        assert f"of joint 'right_thumb_mcp' is {value:g}" in detail
        assert f"right.urdf says {said}" in detail

    def test_a_narrower_figure_is_right(self) -> None:
        assert (
            judge("SPEC005", with_hands(lambda hand: joint(hand, 1, lower_rad=-0.1, effort_nm=0.5))).status == "passed"
        )

    def test_an_arm_is_held_against_its_urdf_too(self) -> None:
        left, right = good_spec().arms
        joints = (left.joints[0].model_copy(update={"upper_rad": 2.6}), *left.joints[1:])
        subject = with_spec(arms=(left.model_copy(update={"joints": joints}), right))
        assert "'left_shoulder_pitch' is 2.6" in complaint("SPEC005", subject)


@pytest.fixture
def urdf(tmp_path, monkeypatch):
    """Write a URDF with one joint into a package, and read its limits."""
    package = tmp_path / f"limits_{tmp_path.name}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    def read(element: str, kind: str = "revolute"):
        text = f'<robot name="r"><joint name="j" type="{kind}">{element}</joint></robot>'
        (package / "hand.urdf").write_text(text)
        return urdf_limits(f"{package.name}:hand.urdf")["j"]

    return read


def test_a_mass_that_is_no_number_names_file_and_link(tmp_path, monkeypatch) -> None:
    package = tmp_path / f"masses_{tmp_path.name}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    link = '<link name="palm"><inertial><mass value="{}"/></inertial></link>'
    for value in ("0.5", "heavy"):
        (package / f"{value}.urdf").write_text(f'<robot name="r">{link.format(value)}<link name="tip"/></robot>')
    assert urdf_masses(f"{package.name}:0.5.urdf") == {"palm": 0.5}
    with pytest.raises(Violation, match=r"heavy.urdf: <mass> of link 'palm'"):
        urdf_masses(f"{package.name}:heavy.urdf")


class TestUrdfLimits:
    @pytest.mark.parametrize(
        ("element", "expected"),
        [
            ('<limit lower="-1" upper="2" velocity="3" effort="4"/>', [-1, 2, 3, 4]),
            ('<limit lower="-1" upper="0" velocity="0" effort="0"/>', [-1, 0, None, None]),
            ('<limit effort="4" velocity="3"/>', [None, None, 3, 4]),
            ('<limit lower="0" upper="0"/>', [None] * 4),
            ("", [None] * 4),
        ],
    )
    def test_zeros_that_stand_for_unknown_are_left_out(self, urdf, element, expected) -> None:
        assert [urdf(element).get(key) for key in ("lower", "upper", "velocity", "effort")] == expected

    def test_a_continuous_joint_has_none(self, urdf) -> None:
        assert urdf('<limit lower="-1" upper="1"/>', "continuous") == {}

    def test_what_is_no_number_names_file_and_joint(self, urdf) -> None:
        with pytest.raises(Violation, match=r"hand.urdf: <limit> of joint 'j'"):
            urdf('<limit lower="wide"/>')


class TestJoints:
    def test_a_forgotten_arm_joint_is_named(self) -> None:
        left, right = good_spec().arms
        subject = with_spec(arms=(left.model_copy(update={"joints": left.joints[:-1]}), right))
        assert "'left_wrist_roll'" in complaint("SPEC004", subject)

    def test_columns_that_begin_with_a_side_are_refused(self) -> None:
        def name(hand: HandSpec) -> dict[str, Any]:
            first, *others = hand.hand_space.columns
            columns = (ColumnSpec(name=f"right_{first.name}", unit=first.unit), *others)
            return {"hand_space": hand.hand_space.model_copy(update={"columns": columns})}

        assert "'right_thumb_yaw' begins with a side" in complaint("SPEC006", with_hands(name))

    def test_a_hand_in_another_order_than_the_other_is_found(self) -> None:
        def number(hand: HandSpec) -> dict[str, Any]:
            order = (1, 0, 2, 3, 4, 5, 6, 7) if hand.side == "left" else range(8)
            joints = tuple(
                hand.joints[0].model_copy(update={"name": f"{hand.side[0]}h_J{n}", "mimic": None}) for n in order
            )
            return {"joints": joints}

        detail = complaint("SPEC006", with_hands(number))
        assert "column 0 ('thumb_yaw') is 'lh_J1' on the left hand, 'rh_J0' on the right" in detail

    def test_names_that_say_nothing_are_no_fault(self) -> None:
        def number(hand: HandSpec) -> dict[str, Any]:
            first = 0 if hand.side == "left" else 8
            joints = tuple(hand.joints[0].model_copy(update={"name": f"motor{first + n}"}) for n in range(8))
            return {"joints": joints}

        assert judge("SPEC006", with_hands(number)).status == "passed"


class TestFingers:
    def test_a_hand_without_a_thumb_is_refused(self) -> None:
        detail = complaint("SPEC007", one_hand("left", lambda hand: {"fingers": hand.fingers[1:]}))
        assert "the left hand has index, middle; it needs a thumb" in detail

    def test_a_tip_that_is_none_is_refused(self) -> None:
        def cut(hand: HandSpec) -> dict[str, Any]:
            thumb, *others = hand.fingers
            return {"fingers": (thumb.model_copy(update={"frames": thumb.frames[:2]}), *others)}

        assert "joint 'left_thumb_ip' hangs below it" in complaint("SPEC007", one_hand("left", cut))

    def test_a_frame_of_another_finger_is_refused(self) -> None:
        def mix(hand: HandSpec) -> dict[str, Any]:
            thumb, index, middle = hand.fingers
            return {"fingers": (thumb, index, middle.model_copy(update={"frames": index.frames}))}

        assert "is both in index and in middle" in complaint("SPEC007", one_hand("right", mix))

    @pytest.mark.parametrize(
        ("role", "shift", "words"),
        [
            ("middle", 4, "follows keypoints 13, 17, 20, none of which is the middle's (9 to 12)"),
            ("index", 4, "follows keypoints 9, none of which is the index's (5 to 8)"),
            ("thumb", 4, "follows keypoints 5, none of which is the thumb's (1 to 4)"),
        ],
    )
    def test_a_finger_that_follows_anothers_keypoints_is_found(self, role: str, shift: int, words: str) -> None:
        def follow(hand: HandSpec) -> dict[str, Any]:
            return {"fingers": tuple(moved(finger) if finger.role == role else finger for finger in hand.fingers)}

        def moved(finger: FingerSpec) -> FingerSpec:
            frames = [
                frame.model_copy(update={"keypoints": tuple(min(20, k + shift) for k in frame.keypoints)})
                for frame in finger.frames
            ]
            return finger.model_copy(update={"frames": tuple(frames)})

        assert words in complaint("SPEC007", one_hand("right", follow))

    def test_a_mean_of_thumb_and_index_is_refused(self) -> None:
        def mix(hand: HandSpec) -> dict[str, Any]:
            thumb, index, *others = hand.fingers
            tip = index.frames[-1].model_copy(update={"keypoints": (4, 8)})
            return {"fingers": (thumb, index.model_copy(update={"frames": (*index.frames[:-1], tip)}), *others)}

        assert "keypoints 4, 8, of the thumb and of another" in complaint("SPEC007", one_hand("left", mix))

    def test_a_phalanx_without_a_body_is_named(self) -> None:
        def strip(hand: HandSpec) -> dict[str, Any]:
            return {"bodies": tuple(body for body in hand.bodies if "index_middle" not in body.link)}

        assert "left index: no body on link 'left_index_middle'" in complaint("SPEC014", one_hand("left", strip))


def turned(axis: str) -> Callable[[HandSpec], dict[str, Any]]:
    """Turn the wrist frame by half a turn about one of its own axes."""

    def turn(hand: HandSpec) -> dict[str, Any]:
        w, x, y, z = hand.T_root_wrist.quat_wxyz
        quat = {"x": (-x, w, z, -y), "y": (-y, -z, w, x), "z": (-z, y, -x, w)}[axis]
        return {"T_root_wrist": PoseSpec(xyz_m=hand.T_root_wrist.xyz_m, quat_wxyz=quat)}

    return turn


class TestWristFrame:
    @pytest.mark.parametrize(("axis", "words"), [("x", "not along +z"), ("y", "not along +z"), ("z", "not towards +x")])
    def test_a_turned_frame_is_found(self, axis: str, words: str) -> None:
        assert words in complaint("SPEC008", one_hand("right", turned(axis)))

    @pytest.mark.parametrize("metres", [-0.4, 0.09])
    def test_one_that_is_no_wrists_place_is_found(self, metres: float) -> None:
        def shift(hand: HandSpec) -> dict[str, Any]:
            x, y, z = hand.T_root_wrist.xyz_m
            return {"T_root_wrist": hand.T_root_wrist.model_copy(update={"xyz_m": (x + metres, y, z)})}

        assert "mm from where its fingers begin" in complaint("SPEC008", one_hand("right", shift))

    def test_a_left_hand_that_says_it_is_right_is_found(self) -> None:
        """With the frame of the other side: fingers along z, closing towards x, but the thumb where it cannot be."""
        left, right = good_spec().hands
        assert right.tree is not None
        claimed = left.model_copy(update={"side": "right"})
        subject = with_spec(hands=(claimed,))
        assert "a right hand has its thumb at +y" in complaint("SPEC008", subject)

    def test_thresholds_leave_room_for_every_shipped_hand(self) -> None:
        for embodiment_id in SHIPPED:
            subject = Subject(default_host(), embodiment_id.partition("/")[0], embodiment_id)
            assert judge("SPEC008", subject).status in ("passed", "skipped")


class TestMeaning:
    def test_a_new_id_is_asked_for_its_line(self) -> None:
        spec = good_spec().model_copy(update={"id": "fake/hand@2"})
        entry = good().entry.model_copy(update={"id": "fake/hand@2"})
        detail = complaint("SPEC010", good(spec=spec, entry=entry))
        assert f'has no line for fake/hand@2; write: "fake/hand@2" = "{action_fingerprint(spec)}"' in detail

    def test_a_package_without_fingerprints_is_told_to_add_one(self) -> None:
        entry = good().entry.model_copy(update={"spec": "egoscale_sdk.testing:hand.toml"})
        assert judge("SPEC010", good(entry=entry)).status == "skipped"
        assert '"fake/hand@1" = "sha256:' in complaint("SPEC011", good(entry=entry))

    def test_an_open_question_is_quoted_until_it_is_deleted(self, tmp_path: Path, monkeypatch: Any) -> None:
        (tmp_path / "asking_package").mkdir()
        file = tmp_path / "asking_package/open_questions.toml"
        monkeypatch.syspath_prepend(str(tmp_path))
        subject = good(entry=good().entry.model_copy(update={"spec": "asking_package:hand.toml"}))
        file.write_text('"fake/hand" = ["right.toml: side: which is it?", "right.toml: mass_kg: how much?"]')
        assert complaint("SPEC015", subject).endswith(
            "asking_package:open_questions.toml asks: right.toml: side: which is it? (and 1 more)"
        )
        later = good(entry=subject.entry, spec=good_spec().model_copy(update={"id": "fake/hand@2"}))
        assert judge("SPEC015", later).status == "failed"
        for unreadable in ('"fake/hand" = "one"', '"fake/hand" = [1]', "[[", "fake/hand = []"):
            file.write_text(unreadable)
            assert "asking_package:open_questions.toml" in complaint("SPEC015", subject)
        for answered in ('"fake/hand" = []', '"fake/other" = ["what?"]', ""):
            file.write_text(answered)
            assert judge("SPEC015", subject).status == "passed"
        file.unlink()
        assert judge("SPEC015", subject).status == "passed"

    def test_what_cannot_be_read_back_is_named(self) -> None:
        control = good_spec().control.model_copy(update={"rate_hz": float("nan")})
        assert "control.rate_hz" in complaint("SPEC009", with_spec(control=control))

    def test_figures_without_a_source_are_named(self) -> None:
        def source(fields: str) -> tuple[Provenance, ...]:
            return (Provenance(fields=fields, source="a drawing"),)

        sensors_only = with_spec(provenance=source("sensors, wires, recordings, hands, arms"))
        assert complaint("SPEC013", sensors_only).endswith(
            "provenance: control.rate_hz, control.wrist_speed_m_s, control.wrist_turn_rad_s, control.stale_after_s"
        )
        misspelt = with_spec(provenance=(*good_spec().provenance, *source("sensor.head")))
        assert complaint("SPEC013", misspelt) == "provenance of sensor.head names no field"

    def test_a_spec_without_a_licence_is_told_so(self) -> None:
        assert complaint("SPEC013", with_spec(license="")) == "license is empty"


class TestWires:
    def test_two_devices_may_share_a_hand(self) -> None:
        left, right = good_spec().wires
        halves = tuple(
            left.model_copy(update={"device": f"left_{name}", "joints": left.joints[part]})
            for name, part in (("a", slice(0, 4)), ("b", slice(4, None)))
        )
        others = good_spec().recordings[:2]
        assert judge("SPEC012", with_spec(wires=(*halves, right), recordings=others)).status == "passed"

    def test_but_not_in_a_recording_that_names_one_of_them(self) -> None:
        first, *others = good_spec().wires
        part = first.model_copy(update={"device": "left_part", "joints": first.joints[:4]})
        *plain, both = good_spec().recordings
        blocks = tuple(
            block.model_copy(update={"encoding": "left_part"}) if block.encoding == "left_bus" else block
            for block in both.action
        )
        recordings = (*plain, both.model_copy(update={"action": blocks}))
        detail = complaint("SPEC012", with_spec(wires=(first, part, *others), recordings=recordings))
        assert detail.endswith("not carried by left_part")


def test_a_follower_that_follows_in_the_urdf_alone_is_still_known() -> None:
    def free(hand: HandSpec) -> dict[str, Any]:
        return joint(hand, -1, mimic=MimicSpec(joint=hand.joints[-2].name, multiplier=0.6))

    assert judge("SPEC004", with_hands(free)).status == "passed"


def test_the_good_spec_is_a_valid_one() -> None:
    spec = load_embodiment("egoscale_sdk.testing.fakes:hand/embodiment.toml")
    assert EmbodimentSpec.model_validate(spec.model_dump()) == spec
