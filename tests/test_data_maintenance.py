"""Care of a dataset: whatever is joined, merged or divided, every number, image and text stays what it was."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egoscale_sdk.cli import main
from egoscale_sdk.data import Dataset, EpisodeRef, validate_dataset
from egoscale_sdk.data.maintenance.compact import compact
from egoscale_sdk.data.maintenance.leftovers import collect_leftovers, forget_versions, leftovers
from egoscale_sdk.data.maintenance.merge import merge
from egoscale_sdk.data.maintenance.rechunk import Recoding, rechunk
from egoscale_sdk.data.maintenance.split import SplitPlan, assign, split, together
from egoscale_sdk.engine import choose_engine
from egoscale_sdk.errors import DataError, DeclarationError, RecipeError
from egoscale_sdk.training.sources import divided
from tests.data_kit import camera, episode, human_declaration, robot_declaration
from tests.test_data_dataset import derived_arrays, derived_set

THREE = {"train": 0.6, "val": 0.2, "test": 0.2}


def make(path, declaration, keys, start=0, **fields):
    """One commit per episode, as a live recorder leaves them; no two are alike."""
    dataset = Dataset.create(path, declaration)
    for number, key in enumerate(keys, start):
        dataset.append([episode(key, declaration, rows=20 + 3 * number, seed=number, **fields)])
    return dataset


def contents(dataset):
    """Everything that can be read of a dataset, by key."""
    found = {}
    for ref in dataset.episodes:
        entry = {"labels": ref.labels, "language": dataset.language(ref)}
        for action_set in dataset.declaration.action_sets:
            rows = dataset.rows(ref, action_set.name)
            for name, values in (dataclasses.asdict(rows) | rows.raw).items():
                entry[action_set.name, name] = values.tobytes() if isinstance(values, np.ndarray) else None
        for stream in dataset.declaration.cameras:
            entry[stream.name] = [dataset.jpeg(ref, stream.name, row) for row in range(ref.length)]
            entry[stream.name, "calibration"] = dataset.calibration(ref, stream.name)
        found[ref.key] = entry
    return found


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Six episodes of people, each its own segment, with two cameras, raw arrays and an action set of a hand."""
    declaration = human_declaration(cameras=(camera(), camera("wrist", 16, 16)), raw=("force",))
    dataset = Dataset.create(tmp_path_factory.mktemp("d") / "d.zarr", declaration)
    for number in range(6):
        force = np.random.default_rng(number).normal(size=(20 + number, 2)).astype(np.float32)
        source = episode(str(number), declaration, rows=20 + number, seed=number, raw={"force": force})
        if number == 3:
            source.images.clear()
        dataset.append([source])
    claw = derived_set(declaration)
    dataset.add_action_set(claw, dict(derived_arrays(dataset, claw)))
    return dataset.path


@pytest.fixture
def recorded(template, tmp_path):
    return Dataset.open(shutil.copytree(template, tmp_path / "d.zarr"))


# --- compaction --------------------------------------------------------------------------------------------------


def test_compaction_changes_nothing_that_can_be_read(recorded):
    before = contents(recorded)
    done = compact(recorded)
    assert (done.before, done.after, done.rewritten) == (6, 1, 6)
    assert contents(recorded) == contents(Dataset.open(recorded.path)) == before
    assert not [finding for finding in validate_dataset(recorded) if finding.code in ("damaged", "shape", "incomplete")]
    assert compact(recorded).rewritten == 0


def test_old_versions_can_still_be_opened_after_a_compaction(recorded):
    before, version = contents(recorded), recorded.version
    compact(recorded)
    assert contents(Dataset.open(recorded.path, version)) == before


def test_segments_of_at_least_half_the_length_are_left_alone(tmp_path):
    declaration = robot_declaration()
    dataset = make(tmp_path / "d.zarr", declaration, "abcd")  # 20, 23, 26, 29 rows
    compact(dataset, hours=48 / 30 / 3600)
    assert [dataset.entries[path].rows for path in dataset.segments] == [26, 29, 43]


def test_hidden_episodes_and_their_images_are_left_out(tmp_path):
    declaration = robot_declaration(cameras=(camera(),))
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    other = Dataset.open(dataset.path)
    dataset.append([episode("b", declaration, seed=9)])
    later = [episode(key, declaration, rows=30, seed=n) for n, key in enumerate("abc")]
    other._state = other._log.state(0)  # a writer that had not seen the first commit
    other.__dict__.pop("episodes", None)
    other.append(later)
    dataset = Dataset.open(dataset.path)
    before = contents(dataset)
    assert [dataset.entries[path].hidden for path in dataset.segments] == [(), (1,)]
    compact(dataset)
    assert contents(dataset) == before
    (path,) = dataset.segments
    assert len(dataset.segment(path).read("cams/head/time")) == 20 + 15 + 15


def test_an_incomplete_action_set_stays_as_incomplete_as_it_was(recorded):
    recorded.append([episode("new", recorded.declaration, raw={"force": np.zeros((40, 2), np.float32)})])
    compact(recorded)
    assert len(recorded.segments) == 2
    (missing,) = recorded.missing_segments("claw").values()
    assert missing == 40


def test_what_is_recorded_during_a_compaction_is_kept(recorded, monkeypatch):
    before, other = contents(recorded), Dataset.open(recorded.path)
    commit = Dataset.commit

    def beaten(self, change):
        monkeypatch.setattr(Dataset, "commit", commit)
        new = episode("new", recorded.declaration, raw={"force": np.zeros((40, 2), np.float32)})
        other.append([new])
        return commit(self, change)

    monkeypatch.setattr(Dataset, "commit", beaten)
    compact(recorded)
    assert recorded.keys() == {*before, "new"}
    split_first = Dataset.open(recorded.path)
    assert split_first.keys() == recorded.keys()


def test_a_split_made_during_a_compaction_is_kept(recorded, monkeypatch):
    other, commit = Dataset.open(recorded.path), Dataset.commit

    def beaten(self, change):
        monkeypatch.setattr(Dataset, "commit", commit)
        split(other, SplitPlan(THREE, {}))
        return commit(self, change)

    monkeypatch.setattr(Dataset, "commit", beaten)
    compact(recorded)
    labels = {ref.key: ref.labels["split"] for ref in recorded.episodes}
    assert labels == {ref.key: ref.labels["split"] for ref in other.episodes}
    assert len(recorded.segments) == 1


def test_a_damaged_segment_stops_a_compaction_and_loses_nothing(recorded):
    before = set(recorded.entries)
    file = recorded.path / recorded.segments[2] / "cams/head/offsets/c/0"
    file.write_bytes(file.read_bytes()[:-9])
    dataset = Dataset.open(recorded.path)
    with pytest.raises(DataError, match="bytes"):
        compact(dataset)
    assert set(Dataset.open(recorded.path).entries) == before
    assert leftovers(dataset) == []


KILLED = """
import os, signal, sys
from egoscale_sdk.cli import main
import egoscale_sdk.data.maintenance.merge, egoscale_sdk.data.maintenance.rechunk, egoscale_sdk.data.maintenance.compact
import egoscale_sdk.data.maintenance.leftovers, egoscale_sdk.data.maintenance.split
seen, stop = 0, int(sys.argv[1])

def trace(frame, event, arg):
    global seen
    if event == "call" and "egoscale_sdk/data" in frame.f_code.co_filename:
        seen += 1
        if seen == stop:
            os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(trace)
main(sys.argv[2:])
"""


def killed_at(stop, *words) -> bool:
    """Run a command that is killed at its ``stop``-th call within the data layer; whether it lived that long."""
    command = [sys.executable, "-c", KILLED, str(stop), "dataset", *map(str, words)]
    return subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "stops"),
    [
        (("compact", "{d}", "-q"), (400, 900, 1500, 2200)),
        (("gc", "{d}", "--older-than", "0", "--forget", "-q"), (150, 300, 400)),
        (("split", "{d}"), (200, 300, 400)),
        (("merge", "{d}", "--out", "{o}", "-q"), (400, 900, 1500, 2200)),
        (("rechunk", "{d}", "--out", "{o}", "-q"), (600, 2000, 4000)),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) else "",
)
def test_kill_9_leaves_the_old_or_the_new_version(recorded, tmp_path, words, stops):
    if words[0] == "gc":
        compact(recorded)
    before, out = contents(recorded), tmp_path / "out.zarr"
    command = [word.format(d=recorded.path, o=out) for word in words]
    killed = 0
    for stop in stops:
        killed += killed_at(stop, *command)
        assert unlabelled(contents(Dataset.open(recorded.path))) == before
        if out.exists():
            there = contents(Dataset.open(out))
            assert there == {key: before[key] for key in there}
            assert words[0] == "rechunk" or set(there) in (set(), set(before))
    assert killed
    again = [*command, "--duplicates", "skip"] if words[0] == "merge" else command
    main(["dataset", *again])
    for path in (recorded.path, out) if out.exists() else (recorded.path,):
        dataset = Dataset.open(path)
        collect_leftovers(dataset, 0.0)
        assert leftovers(dataset) == []
        assert unlabelled(contents(Dataset.open(path))) == before
        assert not [finding for finding in validate_dataset(dataset) if finding.code in ("damaged", "leftovers")]


def unlabelled(found):
    """The same without the split labels."""
    for entry in found.values():
        entry["labels"] = {name: value for name, value in entry["labels"].items() if name != "split"}
    return found


# --- what is left over ---------------------------------------------------------------------------------------------


def test_nothing_that_any_version_holds_is_left_over(recorded):
    version, before = recorded.version, contents(recorded)
    compact(recorded)
    assert leftovers(recorded) == []
    assert forget_versions(recorded) == recorded.version
    found = {item.path for item in leftovers(recorded)}
    assert len(found) == 12
    removed = collect_leftovers(recorded, 0.0)
    assert {item.path for item in removed} == found
    assert contents(Dataset.open(recorded.path)) == before
    with pytest.raises(DataError, match=f"version {version} was given up"):
        Dataset.open(recorded.path, version)
    again = forget_versions(recorded)
    assert again == recorded.version


def test_what_a_killed_writer_left_is_found_and_removed(recorded):
    staged, orphan = recorded.path / "cache/staging" / ("a" * 32), recorded.path / "segments" / ("b" * 32)
    for folder in (staged, orphan):
        (folder / "action").mkdir(parents=True)
        (folder / "action/data").write_bytes(bytes(1000))
    found = leftovers(recorded)
    assert [(item.path.split("/")[-1][0], item.bytes) for item in found] == [("b", 1000), ("a", 1000)]
    assert collect_leftovers(recorded, 24.0) == []
    old = time.time() - 48 * 3600
    for folder in (staged, staged / "action", staged / "action/data"):
        os.utime(folder, (old, old))
    (removed,) = collect_leftovers(recorded, 24.0)
    assert (removed.path, removed.bytes) == (f"cache/staging/{'a' * 32}", 1000)
    assert not staged.exists()
    assert orphan.exists()


# --- merging ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path):
    declaration = robot_declaration(cameras=(camera(),))
    other = declaration.model_copy(update={"uid": "0" * 32, "licence": "CC BY 4.0", "assumptions": ("late",)})
    return make(tmp_path / "a.zarr", declaration, "abc"), make(tmp_path / "b.zarr", other, "de", 7)


def test_merged_datasets_hold_what_each_held(pair, tmp_path):
    done = merge(pair, tmp_path / "all.zarr")
    merged = Dataset.open(tmp_path / "all.zarr")
    assert (done.episodes, done.segments, done.skipped, done.incomplete) == (5, 5, (), {})
    assert contents(merged) == contents(pair[0]) | contents(pair[1])
    assert merged.version == 1
    declared = merged.declaration
    assert (declared.licence, declared.assumptions) == ("CC BY 4.0", ("late",))
    assert declared.uid not in {dataset.declaration.uid for dataset in pair}


def test_action_sets_come_along_and_what_they_lack_is_said(recorded, tmp_path):
    plain = Dataset.create(
        tmp_path / "plain.zarr", recorded.declaration.model_copy(update={"action_sets": (recorded.declaration.native,)})
    )
    plain.append([episode("x", plain.declaration, raw={"force": np.zeros((40, 2), np.float32)})])
    done = merge([plain, recorded], tmp_path / "all.zarr")
    merged = Dataset.open(tmp_path / "all.zarr")
    assert list(done.incomplete.values()) == [1]
    expected = contents(recorded)
    name = merged.declaration.action_sets[1].name
    for ref in merged.episodes[1:]:
        assert merged.rows(ref, name).action.tobytes() == expected[ref.key][name, "action"]


def test_an_episode_that_occurs_twice_is_refused_or_skipped(pair, tmp_path):
    pair[1].append([episode("a", pair[1].declaration, seed=99), episode("f", pair[1].declaration, seed=98)])
    with pytest.raises(DataError, match=r"1 episodes occur twice, the first is 'a'.*--duplicates skip"):
        merge(pair, tmp_path / "all.zarr")
    assert not (tmp_path / "all.zarr").exists()
    done = merge(pair, tmp_path / "all.zarr", "skip")
    assert (done.episodes, done.skipped) == (6, ("a",))
    merged = Dataset.open(tmp_path / "all.zarr")
    assert contents(merged)["a"] == contents(pair[0])["a"]
    again = merge(pair, merged.path, "skip")
    assert (again.episodes, again.segments) == (0, 0)
    assert leftovers(merged) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("fps", 20.0), ("base_frame", "room"), ("cameras", ()), ("raw", ("force",)), ("wrist_source", "tracker")],
)
def test_datasets_that_mean_different_things_are_not_merged(pair, tmp_path, field, value):
    odd = Dataset.create(tmp_path / "odd.zarr", pair[0].declaration.model_copy(update={field: value}))
    with pytest.raises(DeclarationError, match=rf"odd\.zarr: has {field} .*as a mixture"):
        merge([pair[0], odd], tmp_path / "all.zarr")
    assert not (tmp_path / "all.zarr").exists()


def test_rates_that_were_measured_need_not_agree_to_the_last_digit(pair, tmp_path):
    near = pair[0].declaration.model_copy(update={"fps": pair[0].declaration.fps * 1.02, "uid": "0" * 32})
    merge([pair[0], Dataset.create(tmp_path / "near.zarr", near)], tmp_path / "all.zarr")
    merge([Dataset.open(tmp_path / "near.zarr")], tmp_path / "all.zarr")
    assert Dataset.open(tmp_path / "all.zarr").declaration.fps == pair[0].declaration.fps


def test_a_flipped_bit_is_not_copied(pair, tmp_path):
    file = pair[1].path / pair[1].segments[0] / "action/c/0/0"
    data = bytearray(file.read_bytes())
    data[7] ^= 1
    file.write_bytes(data)
    with pytest.raises(DataError, match="was changed after it was committed"):
        merge(pair, tmp_path / "all.zarr")
    merged = Dataset.open(tmp_path / "all.zarr")
    assert len(merged.episodes) == 0
    assert leftovers(merged) == []


# --- copies at another size ----------------------------------------------------------------------------------------


def test_a_copy_with_other_shards_holds_the_same(recorded, tmp_path):
    split(recorded, SplitPlan(THREE, {}))
    done = rechunk(recorded, tmp_path / "copy.zarr", Recoding(shard_bytes=2**16))
    assert (done.episodes, done.segments, done.present) == (6, 6, 0)
    copy = Dataset.open(tmp_path / "copy.zarr")
    assert contents(copy) == contents(recorded)
    assert copy.declaration.uid != recorded.declaration.uid


def test_a_copy_at_training_size_differs_in_its_images_only(recorded, tmp_path):
    rechunk(recorded, tmp_path / "small.zarr", Recoding({"head": (12, 16)}, quality=95))
    small = Dataset.open(tmp_path / "small.zarr")
    head, wrist = small.declaration.cameras
    assert (head.height_px, head.width_px, head.native) == (12, 16, False)
    assert wrist == recorded.declaration.cameras[1]
    before, after = contents(recorded), contents(small)
    for key, own in before.items():
        own.pop("head"), after[key].pop("head")
    assert after == before
    for row in (0, 7, 19):
        there, here = recorded.image(0, "head", row), small.image(0, "head", row)
        assert here.shape == (12, 16, 3)
        assert abs(int(there.mean()) - int(here.mean())) <= 2


def test_an_interrupted_copy_is_gone_on_with_and_new_episodes_follow(recorded, tmp_path, monkeypatch):
    out, published = tmp_path / "copy.zarr", []

    def stop_after_two(done, total=None, note=""):
        published.append(done)
        if len(published) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rechunk(recorded, out, Recoding(), progress=stop_after_two)
    assert len(Dataset.open(out).episodes) == 2
    recorded.append([episode("new", recorded.declaration, raw={"force": np.zeros((40, 2), np.float32)})])
    done = rechunk(recorded, out, Recoding())
    assert (done.segments, done.present) == (5, 2)
    copy = Dataset.open(out)
    assert copy.keys() == recorded.keys()
    assert leftovers(copy) == []


@pytest.mark.slow
def test_workers_make_the_same_copy(recorded, tmp_path):
    rechunk(recorded, tmp_path / "a.zarr", Recoding({"head": (12, 16)}))
    rechunk(recorded, tmp_path / "b.zarr", Recoding({"head": (12, 16)}), choose_engine("process", 2))
    assert contents(Dataset.open(tmp_path / "a.zarr")) == contents(Dataset.open(tmp_path / "b.zarr"))


def test_a_camera_that_is_not_there_and_the_dataset_itself_are_refused(recorded, tmp_path):
    with pytest.raises(DataError, match="did you mean 'head'"):
        rechunk(recorded, tmp_path / "x.zarr", Recoding({"heat": (12, 16)}))
    with pytest.raises(DataError, match="is the dataset that is copied"):
        rechunk(recorded, recorded.path, Recoding())
    rechunk(recorded, tmp_path / "x.zarr", Recoding({"head": (12, 16)}))
    differs = "holds cameras head 12x16, wrist 16x16, the copy would have head 6x8, wrist 16x16"
    with pytest.raises(DeclarationError, match=differs):
        rechunk(recorded, tmp_path / "x.zarr", Recoding({"head": (6, 8)}))


# --- splits ------------------------------------------------------------------------------------------------------


def refs(rows):
    return [EpisodeRef(n, f"k{n}", "s", n, 0, length, labels) for n, (length, labels) in enumerate(rows)]


labelled = st.lists(
    st.tuples(
        st.integers(1, 50),
        st.fixed_dictionaries(
            {}, optional={"operator": st.sampled_from("abcdefgh"), "aligned_group": st.sampled_from("pqrstuvw")}
        ),
    ),
    min_size=12,
    max_size=60,
)


@given(labelled, st.integers(0, 3))
def test_nothing_that_belongs_together_is_parted(rows, seed):
    episodes = refs(rows)
    plan = SplitPlan({"train": 0.8, "val": 0.2}, {}, ("operator", "aligned_group"), seed)
    if len(together(episodes, plan.by)) < 2:
        with pytest.raises(DataError, match="cannot fill"):
            assign(episodes, plan, "d")
        return
    chosen = assign(episodes, plan, "d")
    assert chosen == assign(episodes, plan, "d")
    assert set(chosen) == {ref.key for ref in episodes}
    assert set(chosen.values()) == {"train", "val"}
    for label in plan.by:
        for a in episodes:
            for b in episodes:
                if a.labels.get(label) == b.labels.get(label) is not None:
                    assert chosen[a.key] == chosen[b.key]


@given(st.integers(0, 100))
def test_shares_are_met_where_episodes_are_alike(seed):
    chosen = assign(refs([(10, {})] * 50), SplitPlan(THREE, {}, (), seed), "d")
    assert sorted(list(chosen.values()).count(name) for name in THREE) == [10, 10, 30]


def test_other_seeds_divide_otherwise():
    episodes = refs([(10, {})] * 20)
    assert assign(episodes, SplitPlan(THREE, {}, (), 0), "d") != assign(episodes, SplitPlan(THREE, {}, (), 1), "d")


def test_episodes_without_a_label_stay_together_but_not_without_a_pair():
    episodes = refs([(10, {"operator": "a"}), (10, {}), (10, {}), (10, {"operator": "b"})])
    assert sorted(map(len, together(episodes, ("operator",)))) == [1, 1, 2]
    assert sorted(map(len, together(episodes, ("aligned_group",)))) == [1, 1, 1, 1]


def test_a_split_is_a_commit_that_touches_no_segment(recorded):
    before = {path: entry.seq for path, entry in recorded.entries.items()}
    chosen = split(recorded, SplitPlan(THREE, {}))
    assert {path: entry.seq for path, entry in recorded.entries.items()} == before
    opened = Dataset.open(recorded.path)
    assert {ref.key: ref.labels["split"] for ref in opened.episodes} == chosen
    assert leftovers(opened) == []
    version = opened.version
    assert split(opened, SplitPlan(THREE, {})) == chosen
    assert opened.version == version
    assert all("split" not in ref.labels for ref in Dataset.open(recorded.path, version - 1).episodes)


def test_what_is_added_later_follows_its_operator_and_what_was_there_stays(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    dataset.append([episode(f"{who}{n}", declaration, labels={"operator": who}) for who in "abcdefg" for n in range(2)])
    plan = SplitPlan(THREE, {}, ("operator",))
    first = split(dataset, plan)
    dataset.append([episode(f"{who}9", declaration, labels={"operator": who}) for who in "abx"])
    second = split(dataset, plan)
    assert {key: second[key] for key in first} == first
    assert (second["a9"], second["b9"]) == (first["a0"], first["b0"])


def test_episodes_chosen_by_key_take_their_group_along(recorded):
    chosen = split(recorded, SplitPlan({"train": 1.0, "val": 0.0}, {"2": "val", "4": "val"}))
    assert [key for key, label in chosen.items() if label == "val"] == ["2", "4"]


def test_a_group_that_is_parted_already_is_refused_and_can_be_divided_anew(tmp_path):
    declaration = robot_declaration()
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    labels = [{"operator": who, "split": s} for who, s in (("a", "train"), ("a", "val"), ("b", "val"), ("c", "val"))]
    dataset.append([episode(str(n), declaration, labels=own) for n, own in enumerate(labels)])
    with pytest.raises(DataError, match=r"are in several splits: train, val; divide anew with --again"):
        split(dataset, SplitPlan(THREE, {}, ("operator",)))
    chosen = split(dataset, SplitPlan(THREE, {}, ("operator",), again=True))
    assert chosen["0"] == chosen["1"]
    assert {chosen["2"], chosen["3"], chosen["0"]} == set(THREE)


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (SplitPlan({"train": 0.5}, {}), "add up to 0.5"),
        (SplitPlan({}, {}), "needs shares"),
        (SplitPlan({"train": 2.0, "val": -1.0}, {}), "needs shares"),
        (SplitPlan({"train": float("nan")}, {}), "needs shares"),
        (SplitPlan(THREE, {}, ("operater",)), "did you mean 'operator'"),
        (SplitPlan(THREE, {"zz": "val"}), "has no episode 'zz'"),
        (SplitPlan(THREE, {}, ("task",)), "1 groups cannot fill 3 splits"),
    ],
)
def test_mistakes_are_one_line(recorded, plan, complaint):
    with pytest.raises(DataError, match=complaint) as caught:
        split(recorded, plan)
    assert "\n" not in str(caught.value)


# --- training on a split -------------------------------------------------------------------------------------------


def test_a_split_is_held_out_by_its_name_and_test_is_not_trained_on(recorded):
    chosen = split(recorded, SplitPlan(THREE, {}))
    train, held = divided(recorded, "val")
    keys = [ref.key for ref in recorded.episodes]
    assert {keys[n] for n in held} == {key for key, label in chosen.items() if label == "val"}
    assert {keys[n] for n in train} == {key for key, label in chosen.items() if label == "train"}
    assert divided(recorded, "2") == ([0, 1, 2, 3], [4, 5])
    assert divided(recorded, "") == (list(range(6)), [])


def test_episodes_of_no_split_are_trained_on(recorded):
    split(recorded, SplitPlan({"train": 1.0}, {"2": "val"}))
    recorded.append([episode("new", recorded.declaration, raw={"force": np.zeros((40, 2), np.float32)})])
    assert divided(recorded, "val") == ([0, 1, 3, 4, 5, 6], [2])
    with pytest.raises(RecipeError, match=r"'vall' is neither .* nor a split of .*did you mean 'val'"):
        divided(recorded, "vall")


# --- the command line ----------------------------------------------------------------------------------------------


def printed(capsys, *words):
    capsys.readouterr()
    main(["dataset", *map(str, words), "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_commands_say_what_they_did(pair, tmp_path, capsys):
    out = tmp_path / "all.zarr"
    value = printed(capsys, "merge", pair[0].path, pair[1].path, "--out", out, "-q")
    assert value == {
        "out": str(out), "version": 1, "episodes": 5, "segments": 5, "skipped": [], "incomplete": {}
    }  # fmt: skip
    value = printed(capsys, "compact", out, "-q")
    assert value == {"dataset": str(out), "version": 2, "before": 5, "after": 1, "rewritten": 5}
    value = printed(capsys, "gc", out, "--older-than", 0, "--forget", "--dry-run")
    assert (len(value["removed"]), value["dry_run"], value["oldest"]) == (5, True, 0)
    assert value["bytes"] == sum(item["bytes"] for item in value["removed"]) > 0
    assert Dataset.open(out, 1).keys() == set("abcde")
    value = printed(capsys, "gc", out, "--older-than", 0, "--forget", "-q")
    assert (len(value["removed"]), value["dry_run"], value["oldest"]) == (5, False, 3)
    keys = tmp_path / "keys.txt"
    keys.write_text("b\n\nd\n")
    value = printed(capsys, "split", out, "--shares", "train=1", "--keys", f"test={keys}")
    assert {name: part["episodes"] for name, part in value["splits"].items()} == {"train": 3, "test": 2}
    main(["dataset", "validate", str(out), "-q"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["split", "{a}", "--shares", "train"], "--shares: 'train' is no pair; write train=0.8"),
        (["split", "{a}", "--shares", "train=most"], "--shares train: 'most' is no number"),
        (["split", "{a}", "--shares", "train=0.5"], "add up to 0.5"),
        (["split", "{a}", "--by", "operater"], "did you mean 'operator'"),
        (["split", "{a}", "--keys", "test=/none.txt"], "cannot be read"),
        (["merge", "--out", "x.zarr"], "there is nothing to merge"),
        (["merge", "{a}", "{a}", "--out", "{o}"], "--duplicates skip"),
        (["compact", "{a}", "--hours", "0"], "--hours: is 0"),
        (["gc", "{a}", "--older-than", "-1"], "--older-than: is -1"),
        (["gc", "nowhere.zarr"], "there is no dataset"),
        (["rechunk", "{a}", "--out", "{o}", "--cameras", "head"], "--cameras: goes with --image-size"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(pair, tmp_path, capsys, words, complaint):
    places = {"a": pair[0].path, "o": tmp_path / "o.zarr"}
    with pytest.raises(SystemExit) as stop:
        main(["dataset", *(word.format(**places) for word in words)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
