"""The doctor finds every fault it knows in a dataset that has exactly that fault, and none in healthy ones."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset, WindowDataset, pool_statistics, relative_statistics, writer
from egoscale_sdk.data.doctor import examine
from egoscale_sdk.data.doctor.against import Expected, against_checkpoint
from egoscale_sdk.data.scales import Scale
from egoscale_sdk.data.validation import Finding
from egoscale_sdk.geometry import make_pose, pose_from_vec9, rotation_from_rpy, vec9_from_pose
from egoscale_sdk.interfaces import Episode, ImageStream, LanguageSpan
from egoscale_sdk.specs import action_fingerprint
from tests.data_kit import PERIOD_NS, camera, human_declaration, robot_declaration, robot_spec
from tests.human_hand import mirrored, right_hand
from tests.training_cases import RECIPE

ROWS, SIZE = 120, (24, 32)
TEXTURE = np.random.default_rng(5).integers(60, 200, (*SIZE, 3))


def picture(n: int, size=SIZE) -> bytes:
    image = np.roll(np.resize(TEXTURE, (*size, 3)), n, axis=1).astype(np.uint8)
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), 90)


def wander(rng, columns: int, rows: int = ROWS):
    """Smooth random motion of standard deviation about 0.7."""
    t = np.arange(rows)[:, None] / 30
    return sum(np.sin(rng.uniform(0.5, 3, columns) * t + rng.uniform(0, 6, columns)) for _ in range(2)) / 1.4


def wrists(rng, place, rows: int = ROWS):
    poses = make_pose(rotation_from_rpy(0.5 * wander(rng, 3, rows)), 0.15 * wander(rng, 3, rows) + place)
    return vec9_from_pose(poses) + rng.normal(0, 1e-5, (rows, 9))


def finished(key, declaration, action, state=None, **fields) -> Episode:
    rows = len(action)
    time_ns = np.arange(rows, dtype=np.int64) * PERIOD_NS
    groups = len(declaration.native.layout.groups)
    values = {
        "valid": np.ones((rows, groups), np.uint8),
        "images": {"head": ImageStream([picture(n) for n in range(rows)], time_ns.copy(), {})},
        "language": [LanguageSpan("pick the cube", 0, rows)],
        "labels": {"task": "pick", "operator": key, "split": "train"},
    }
    state = None if state is None else state.astype(np.float32)
    return Episode(key=key, time_ns=time_ns, action=action.astype(np.float32), state=state, **(values | fields))


def robot(**fields):
    """Three episodes of a robot with two hands; the state follows the command by 0.1 s."""
    declaration = robot_declaration(spec=robot_spec(("left", "right"), 4), cameras=(camera(),), **fields)
    episodes = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        hands = 0.5 * wander(rng, 8, ROWS + 3)
        action = np.concatenate(
            [wrists(rng, [0.4, 0.3, 0.2], ROWS + 3), wrists(rng, [0.4, -0.3, 0.2], ROWS + 3), hands], 1
        )
        noise = rng.normal(0, 1e-5, action[:-3].shape)
        episodes.append(finished(f"r{seed}", declaration, action[3:], action[:-3] + noise))
    return declaration, episodes


def human(**fields):
    """Three episodes of a person who looks along x and opens and closes both hands."""
    declaration = human_declaration(cameras=(camera(),), raw=("camera_pose",), **fields)
    look = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1.0]])  # optical: z ahead, x right
    episodes = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        flexion = 0.4 + 0.25 * wander(rng, 5)
        right = np.stack([right_hand(row[:4], thumb=(row[4], 0.3, 0.3)) for row in flexion])
        left = np.stack([mirrored(hand) for hand in np.roll(right, 30, axis=0)])
        right, left = (hand + rng.normal(0, 2e-4, hand.shape) for hand in (right, left))
        parts = [wrists(rng, [0.4, 0.3, 0.2]), wrists(rng, [0.4, -0.3, 0.2])]
        action = np.concatenate([*parts, left.reshape(ROWS, -1), right.reshape(ROWS, -1)], 1)
        raw = {"camera_pose": np.tile(look, (ROWS, 1, 1)).astype(np.float32)}
        episodes.append(finished(f"h{seed}", declaration, action, raw=raw))
    return declaration, episodes


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Store episodes as another writer might have done, who checks nothing."""

    def store(declaration, episodes, name="d.zarr") -> Dataset:
        monkeypatch.setattr(writer, "check_episode", lambda episode, declaration: None)
        dataset = Dataset.create(tmp_path / name, declaration)
        dataset.append(episodes)
        return Dataset.open(dataset.path)

    return store


def blocks(declaration):
    return declaration.native.layout.blocks


@pytest.mark.parametrize("make", [robot, human])
def test_a_healthy_dataset_has_no_finding(stored, make):
    assert examine(stored(*make())) == []


def still_column(d, e):
    column = blocks(d)["right_hand"].start + 1
    noise = np.random.default_rng(1).uniform(-4e-4, 4e-4, ROWS)
    e.action[:, column], e.state[:, column] = 0.2 + noise, 0.2


def still_fingertip(d, e):
    tip = blocks(d)["left_hand"].start + 3 * 12
    e.action[:, tip : tip + 3] = [0.02, 0.0, 0.17]


def saturated(d, e):
    column = blocks(d)["left_hand"].start
    e.action[: int(0.9 * ROWS), column] = 1.5


def relative_hand(d, e):
    hand = blocks(d)["left_hand"]
    e.action[:, hand] -= e.state[:, hand]


def relative_wrist(d, e):
    wrist = blocks(d)["right_wrist"]
    action, state = (pose_from_vec9(values[:, wrist].astype(float)) for values in (e.action, e.state))
    e.action[:, wrist] = vec9_from_pose(np.linalg.inv(state) @ action)


def steps_of_wrist(d, e):
    wrist = blocks(d)["right_wrist"]
    poses = pose_from_vec9(e.action[:, wrist].astype(float))
    e.action[:, wrist] = vec9_from_pose(np.linalg.inv(poses[[0, *range(ROWS - 1)]]) @ poses)


def next_state(d, e):
    e.action[:-1] = e.state[1:]


def slow(d, e):
    e.time_ns[:] = e.time_ns * 11 // 10
    e.images["head"].time_ns[:] = e.time_ns


def in_milliseconds(d, e):
    e.time_ns[:] = np.arange(ROWS) * 33_333
    e.images["head"].time_ns[:] = e.time_ns


def gap(d, e):
    e.time_ns[60:] += 2_000_000_000
    e.images["head"].time_ns[60:] += 2_000_000_000


def drifting_camera(d, e):
    e.images["head"].time_ns[:] = e.images["head"].time_ns * 0.6


def blind_camera(d, e):
    stream = e.images["head"]
    keep = [n for n in range(ROWS) if not 30 <= n < 90]
    e.images["head"] = ImageStream([stream.jpegs[n] for n in keep], stream.time_ns[keep], {})


def absent_camera(d, e):
    e.images.clear()


def frozen_tracker(d, e):
    e.action[40:70, blocks(d)["left_wrist"]] = e.action[40, blocks(d)["left_wrist"]]


def frozen_encoder(d, e):
    e.state[40:100, blocks(d)["right_hand"]] = e.state[40, blocks(d)["right_hand"]]


def swapped_people(d, e):
    left, right = blocks(d)["left_hand"], blocks(d)["right_hand"]
    e.action[:, left], e.action[:, right] = e.action[:, right].copy(), e.action[:, left].copy()


def crossed_wrists(d, e):
    left, right = blocks(d)["left_wrist"], blocks(d)["right_wrist"]
    e.action[:, left], e.action[:, right] = e.action[:, right].copy(), e.action[:, left].copy()


def finger_order(d, e):
    hand = e.action[:, blocks(d)["right_hand"]].reshape(ROWS, 21, 3)
    hand[:, 9:17] = hand[:, [*range(13, 17), *range(9, 13)]]


def reversed_fingers(d, e):
    hand = e.action[:, blocks(d)["right_hand"]].reshape(ROWS, 21, 3)
    hand[:, 5:] = hand[:, 5:].reshape(ROWS, 4, 4, 3)[:, ::-1].reshape(ROWS, 16, 3)


def swapped_commands_of_wrists(d, e):
    left, right = blocks(d)["left_wrist"], blocks(d)["right_wrist"]
    e.action[:, left], e.action[:, right] = e.action[:, right].copy(), e.action[:, left].copy()


def swapped_while_one_is_still(d, e):
    left, right = blocks(d)["left_hand"], blocks(d)["right_hand"]
    e.state[:, left] = -0.4
    e.action[:, left], e.action[:, right] = e.action[:, right].copy(), -0.4


def fingers_that_close_together(d, e):
    """Every finger goes with every other one; only how far it goes tells which it is."""
    hand, goal = blocks(d)["right_hand"], e.action[:, blocks(d)["right_hand"].start].copy()
    reach, ahead = np.array([0.2, 0.6, 1.0, 1.4]), np.roll(goal, 3)
    e.state[:, hand], e.action[:, hand] = ahead[:, None] * reach, goal[:, None] * reach[::-1]


def swapped_robot(d, e):
    left, right = blocks(d)["left_hand"], blocks(d)["right_hand"]
    e.state[:, left], e.state[:, right] = e.state[:, right].copy(), e.state[:, left].copy()


def joint_order(d, e):
    first = blocks(d)["right_hand"].start
    e.state[:, first : first + 3] = e.state[:, [first + 2, first, first + 1]]


def joint_sign(d, e):
    e.state[:, blocks(d)["right_hand"].start + 2] *= -1


def millimetres(d, e):
    for group in ("left_wrist", "right_wrist"):
        first = blocks(d)[group].start
        for values in (e.action, e.state):
            values[:, first : first + 3] *= 1000


def degrees(d, e):
    for values in (e.action, e.state):
        values[:, blocks(d)["right_hand"]] *= 57.29578


def jumps(d, e):
    wrist = blocks(d)["right_wrist"].start
    e.action[::10, wrist] += 3


def speechless(d, e):
    e.language.clear()
    e.labels.pop("task")


def black(d, e):
    dark = simplejpeg.encode_jpeg(np.zeros((*SIZE, 3), np.uint8), 90)
    e.images["head"].jpegs[:] = [dark] * ROWS


def flat(d, e):
    grey = [simplejpeg.encode_jpeg(np.full((*SIZE, 3), 100 + n % 9, np.uint8), 90) for n in range(ROWS)]
    e.images["head"].jpegs[:] = grey


def stopped_camera(d, e):
    e.images["head"].jpegs[40:] = [picture(40)] * (ROWS - 40)


def other_size(d, e):
    e.images["head"].jpegs[:] = [picture(n, (12, 16)) for n in range(ROWS)]


def damaged_image(d, e):
    e.images["head"].jpegs[0] = b"no image"


def other_calibration(d, e):
    e.images["head"].calibration.update({"height_px": 480, "width_px": 480})


MUTANTS = [
    ("near_constant", robot, still_column),
    ("near_constant", human, still_fingertip),
    ("saturated", robot, saturated),
    ("looks_relative", robot, relative_hand),
    ("looks_relative", robot, relative_wrist),
    ("looks_relative", human, steps_of_wrist),
    ("action_is_next_state", robot, next_state),
    ("rate", robot, slow),
    ("rate", human, in_milliseconds),
    ("gaps", human, gap),
    ("camera_clock", robot, drifting_camera),
    ("camera_gaps", human, blind_camera),
    ("camera_absent", robot, absent_camera),
    ("frozen", human, frozen_tracker),
    ("frozen", robot, frozen_encoder),
    ("swapped_hands", human, swapped_people),
    ("swapped_hands", human, crossed_wrists),
    ("finger_order", human, reversed_fingers),
    ("swapped_hands", robot, swapped_robot),
    ("swapped_hands", robot, swapped_commands_of_wrists),
    ("swapped_hands", robot, swapped_while_one_is_still),
    ("joint_order", robot, fingers_that_close_together),
    ("finger_order", human, finger_order),
    ("joint_order", robot, joint_order),
    ("joint_sign", robot, joint_sign),
    ("units_m", robot, millimetres),
    ("units_rad", robot, degrees),
    ("jumps", human, jumps),
    ("language_missing", human, speechless),
    ("image_black", robot, black),
    ("image_flat", robot, flat),
    ("image_frozen", robot, stopped_camera),
    ("camera_size", robot, other_size),
    ("image_damaged", robot, damaged_image),
    ("camera_calibration", robot, other_calibration),
]
CONSEQUENCES = {
    "swapped_people": {"finger_order"},
    "in_milliseconds": {"jumps"},
    "steps_of_wrist": {"near_constant"},
    "frozen_encoder": {"joint_order"},
    "swapped_while_one_is_still": {"frozen"},
    "degrees": {"joint_sign"},
    "blind_camera": {"image_frozen", "camera_clock"},
}
"""What a fault rightly brings about beside itself."""


@pytest.mark.parametrize(("code", "make", "spoil"), MUTANTS, ids=lambda value: getattr(value, "__name__", value))
def test_each_fault_is_found_and_nothing_else(stored, code, make, spoil):
    declaration, episodes = make()
    for source in episodes:
        spoil(declaration, source)
    found = examine(stored(declaration, episodes))
    assert code in {finding.code for finding in found}, found
    assert {finding.code for finding in found} <= {code} | CONSEQUENCES.get(spoil.__name__, set()), found
    for finding in found:
        assert len(set(finding.keys)) == len(finding.keys) <= len(episodes)
        assert finding.severity in ("error", "warning")
        assert finding.where
        assert finding.message
        assert finding.hint
        assert finding.count >= 1


def test_a_hand_that_is_still_as_a_whole_is_no_finding(stored):
    """Many recordings use one hand only."""
    declaration, episodes = robot()
    for source in episodes:
        for group in ("left_hand", "left_wrist"):
            block = blocks(declaration)[group]
            source.action[:, block], source.state[:, block] = source.action[0, block], source.action[0, block]
    assert examine(stored(declaration, episodes)) == []


def test_the_same_episode_twice_is_found(stored):
    declaration, episodes = robot()
    twin = dataclasses.replace(episodes[0], key="twin")
    (finding,) = examine(stored(declaration, [*episodes, twin]))
    assert (finding.code, finding.count, finding.keys) == ("duplicate_episodes", 1, ("twin",))
    assert "'twin' is 'r0'" in finding.where


def test_episodes_of_the_same_commands_in_other_places_are_no_duplicates(stored):
    declaration, episodes = robot()
    other = dataclasses.replace(episodes[0], key="r9", state=episodes[0].state + np.float32(1e-3))
    assert examine(stored(declaration, [*episodes, other])) == []


def test_commands_that_leap_from_open_to_closed_are_no_jumps(stored):
    declaration, episodes = robot()
    for source in episodes:
        hand = blocks(declaration)["right_hand"]
        source.action[:, hand] = np.where(source.action[:, hand] > 0, 1.2, -1.2)
    assert [finding.code for finding in examine(stored(declaration, episodes))] == []


def test_an_operator_in_two_splits_is_found(stored):
    declaration, episodes = robot()
    for number, source in enumerate(episodes):
        source.labels.update(operator="ann", split="val" if number == 2 else "train")
    (finding,) = examine(stored(declaration, episodes))
    assert (finding.code, finding.where) == ("split_leak", "label operator: ann")
    assert "egoscale dataset split" in finding.hint


def test_one_bad_episode_of_three_is_named(stored):
    declaration, episodes = human()
    gap(declaration, episodes[1])
    (finding,) = examine(stored(declaration, episodes))
    assert (finding.where, finding.count, finding.keys) == ("episode 'h1'", 1, ("h1",))


def test_every_fault_is_in_the_docs():
    page = (Path(__file__).resolve().parents[1] / "docs/datasets.md").read_text()
    assert [code for code, *_ in MUTANTS if f"`{code}`" not in page] == []


# --- real recordings -----------------------------------------------------------------------------------------------


REAL = [
    ("lerobot", "g1_inspire_lerobot_v21", ("--image-size", "120", "160")),
    ("keypoints", "hololens2", ("--layout", "hololens", "--frame", "world", "--task", "use both hands")),
    ("keypoints", "webcam_hand/human_joint_right.npz", ("--layout", "mediapipe", "--side", "right", "--task", "wave")),
    ("aria", "aria/gen2", ("--image-size", "378", "504", "--task", "wave")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("importer", "source", "flags"), REAL, ids=lambda value: str(value).split("/")[0][:12])
def test_real_recordings_raise_no_false_alarm(shared, tmp_path, capsys, importer, source, flags):
    if importer == "aria":
        pytest.importorskip("projectaria_tools", reason="needs the extra 'aria'")
    main(["import", importer, str(shared / "data" / source), str(tmp_path / "d.zarr"), *flags, "-q"])
    capsys.readouterr()
    main(["doctor", str(tmp_path / "d.zarr"), "--json", "-q"])
    assert json.loads(capsys.readouterr().out)["findings"] == []


@pytest.mark.slow
@pytest.mark.parametrize(("embodiment", "importer"), [("human/hands", "keypoints"), ("sharpa/wave", "lerobot")])
def test_simulated_demonstrations_raise_no_false_alarm(tmp_path, capsys, embodiment, importer):
    pytest.importorskip("mujoco", reason="needs the extra 'sim'")
    recording, dataset = str(tmp_path / "r"), str(tmp_path / "d.zarr")
    main(["simulate", embodiment, recording, "-n", "6", "-q"])
    main(["import", importer, recording, dataset, "-q"])
    capsys.readouterr()
    main(["doctor", dataset, "--json", "-q"])
    assert json.loads(capsys.readouterr().out)["findings"] == []


# --- against a checkpoint ------------------------------------------------------------------------------------------


def expected_of(dataset, horizon=8, dt=0.1) -> Expected:
    """What a checkpoint expects that was trained on this dataset."""
    statistics = pool_statistics([relative_statistics(WindowDataset(dataset, horizon, dt, "native", cameras=()))])
    spec = dataset.declaration.spec
    cameras = {spec.id: tuple(stream.name for stream in dataset.declaration.cameras)}
    return Expected("policy", {spec.id: spec}, {spec.id: action_fingerprint(spec)}, cameras, statistics)


@pytest.fixture
def trained(stored):
    dataset = stored(*robot())
    return dataset, expected_of(dataset)


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def test_the_dataset_that_was_trained_on_suits_its_checkpoint(trained):
    assert against_checkpoint(*trained) == []


def test_another_embodiment_is_found(trained):
    dataset, expected = trained
    (finding,) = against_checkpoint(dataset, dataclasses.replace(expected, specs={"acme/other@1": None}))
    assert finding.code == "checkpoint_embodiment"
    assert "it was for acme/other@1" in finding.message


def test_another_meaning_is_found_with_what_differs(trained):
    dataset, expected = trained
    other = robot_spec(("left", "right"), 4, space="acme/other@1")
    moved = dataclasses.replace(expected, specs={other.id: other}, fingerprints={other.id: action_fingerprint(other)})
    (finding,) = against_checkpoint(dataset, moved)
    assert finding.code == "fingerprint"
    assert "acme/other@1" in finding.message


def test_cameras_that_differ_are_found(trained):
    dataset, expected = trained
    found = against_checkpoint(dataset, dataclasses.replace(expected, cameras={"acme/hand@1": ("wrist",)}))
    assert codes(found) == ["camera_missing", "camera_extra"]


def test_numbers_that_lie_elsewhere_are_found(trained):
    dataset, expected = trained
    key = "acme/claw@1 left"
    scale = expected.statistics.hands[key]
    for factor, code in ((np.float32(0.1), "outside"), (np.float32(100), "squeezed")):
        hands = expected.statistics.hands | {key: Scale(scale.center * factor, scale.half * factor)}
        statistics = dataclasses.replace(expected.statistics, hands=hands)
        (finding,) = against_checkpoint(dataset, dataclasses.replace(expected, statistics=statistics))
        assert (finding.code, finding.count) == (code, 4)


def test_statistics_of_absolute_wrists_are_found(trained):
    dataset, expected = trained
    wide = Scale(np.full((8, 9), 0.1, np.float32), np.full((8, 9), 0.5, np.float32))
    statistics = dataclasses.replace(expected.statistics, wrists={"left": wide, "right": wide})
    found = against_checkpoint(dataset, dataclasses.replace(expected, statistics=statistics))
    assert "absolute_statistics" in codes(found)


def test_a_hand_without_statistics_is_found(trained):
    dataset, expected = trained
    statistics = dataclasses.replace(expected.statistics, hands={})
    assert codes(against_checkpoint(dataset, dataclasses.replace(expected, statistics=statistics))) == ["no_statistics"]


def test_a_step_that_the_recording_cannot_follow_is_found(trained):
    dataset, _ = trained
    assert codes(against_checkpoint(dataset, expected_of(dataset, 8, 0.01))) == ["chunk_dt"]
    assert codes(against_checkpoint(dataset, expected_of(dataset, 60, 0.1))) == ["episodes_short"]


# --- the command line ------------------------------------------------------------------------------------------------


def test_a_healthy_dataset_exits_0(stored, capsys):
    dataset = stored(*robot())
    main(["doctor", str(dataset.path), "--json", "-q"])
    value = json.loads(capsys.readouterr().out)
    assert (value["errors"], value["warnings"], value["checkpoint"]) == (0, 1, None)
    assert codes_of(value) == ["plugin"]


def codes_of(value):
    return [finding["code"] for finding in value["findings"]]


def test_a_sick_one_exits_1_and_says_how_to_mend_it(stored, capsys, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra 'viewer'")
    declaration, episodes = robot()
    for source in episodes:
        relative_hand(declaration, source)
        stopped_camera(declaration, source)
    dataset = stored(declaration, episodes)
    page = tmp_path / "report.html"
    with pytest.raises(SystemExit) as stop:
        main(["doctor", str(dataset.path), "--html", str(page), "-q"])
    assert stop.value.code == 1
    text = capsys.readouterr().out
    assert "error [looks_relative] left_hand of the action" in text
    assert "mend: stored rows are absolute" in text
    assert text.endswith("1 errors, 2 warnings\n")
    html = page.read_text()
    assert html.count("<img") == 3
    assert "looks_relative" in html


def test_a_damaged_segment_is_reported_and_the_rest_examined(stored, capsys):
    declaration, episodes = human()
    dataset = stored(declaration, episodes[:2])
    gap(declaration, episodes[2])
    dataset.append([episodes[2]])
    file = dataset.path / dataset.segments[0] / "valid/c/0/0"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(SystemExit):
        main(["doctor", str(dataset.path), "--json", "-q"])
    value = json.loads(capsys.readouterr().out)
    assert [code for code in codes_of(value) if code not in ("plugin", "limits")] == ["damaged", "gaps"]


def test_quick_leaves_out_checksums(stored, capsys):
    dataset = stored(*robot())
    file = dataset.path / dataset.segments[0] / "cams/head/time/c/0"
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)
    with pytest.raises(SystemExit):
        main(["doctor", str(dataset.path), "--json", "-q"])
    assert "damaged" in codes_of(json.loads(capsys.readouterr().out))
    main(["doctor", str(dataset.path), "--quick", "--json", "-q"])
    assert "damaged" not in codes_of(json.loads(capsys.readouterr().out))


def test_a_dataset_against_a_real_checkpoint(stored, capsys, tmp_path):
    from egoscale_sdk.training.assemble import assemble
    from egoscale_sdk.training.recipe import load_recipe
    from egoscale_sdk.training.sources import open_sources

    dataset = stored(*robot())
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = load_recipe(str(tmp_path / "recipe.toml"))
    assemble(recipe, open_sources([str(dataset.path)], recipe.policy), None).save(tmp_path / "policy")
    main(["doctor", str(dataset.path), str(tmp_path / "policy"), "--json", "-q"])
    assert codes_of(json.loads(capsys.readouterr().out)) == ["plugin"]
    other = stored(human_declaration(), [], "people.zarr")
    with pytest.raises(SystemExit):
        main(["doctor", str(other.path), str(tmp_path / "policy"), "--json", "-q"])
    assert codes_of(json.loads(capsys.readouterr().out))[0] == "checkpoint_embodiment"


def test_what_is_no_checkpoint_exits_2_with_one_line(stored, capsys, tmp_path):
    dataset = stored(*robot())
    with pytest.raises(SystemExit) as stop:
        main(["doctor", str(dataset.path), str(tmp_path), "-q"])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
