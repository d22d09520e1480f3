"""Engines: the same results in the same order whoever works, and no task lost or done for nothing when workers die."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from egoscale_sdk.engine import ENGINES, LocalEngine, choose_engine
from egoscale_sdk.engine.cluster import connect
from egoscale_sdk.errors import DataError, EngineError, MissingExtraError
from tests.engine_tasks import Counted, Deadly, fill, overwrite, policy, refuse, square, stumble, threads

EVERY = ["local", "process", pytest.param("ray", marks=pytest.mark.slow)]
POOLS = EVERY[1:]


@pytest.fixture(scope="module")
def cluster():
    """A local Ray cluster of two cores that stays for all tests."""
    ray = pytest.importorskip("ray")
    connect(workers=2)
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def _connected(request):
    if request.node.get_closest_marker("slow") and "an_own_cluster" not in request.node.name:
        request.getfixturevalue("cluster")


def engine(name):
    return choose_engine(name, None if name == "local" else 2)


@pytest.mark.slow  # the first of them: those that follow share a cluster
def test_without_one_an_own_cluster_is_started_and_ended():
    import ray

    assert list(choose_engine("ray", 1).map(square, [3])) == [(3, 9)]
    assert not ray.is_initialized()


@pytest.mark.parametrize("name", EVERY)
def test_results_come_in_the_order_of_the_tasks(name):
    assert list(engine(name).map(square, range(20))) == [(number, number**2) for number in range(20)]


@pytest.mark.parametrize("name", EVERY)
def test_no_tasks_are_no_results(name):
    assert list(engine(name).map(square, [])) == []


@pytest.mark.parametrize("name", POOLS)
def test_each_worker_is_given_the_function_once_and_has_one_thread(name):
    found = [result for _, result in engine(name).map(Counted(), range(12))]
    pids = {pid for pid, _ in found}
    assert len(pids) <= 2
    assert os.getpid() not in pids
    assert sum(max(opened for other, opened in found if other == pid) for pid in pids) == 12
    assert [result[:2] for _, result in engine(name).map(threads, range(2))] == [("1", 1)] * 2


@pytest.mark.parametrize("name", EVERY)
def test_a_users_error_arrives_as_it_is_when_its_turn_comes(name):
    results, seen = engine(name).map(refuse, range(6)), []
    with pytest.raises(DataError, match="task 3: is three; use four") as caught:
        seen.extend(number for number, _ in results)
    assert (caught.value.hint, seen) == ("use four", [0, 1, 2])


@pytest.mark.parametrize("name", EVERY)
def test_a_full_disk_and_a_file_that_is_refused_arrive_as_they_are(name):
    with pytest.raises(OSError, match="No space left") as caught:
        list(engine(name).map(fill, [0]))
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(PermissionError) as refused:
        list(engine(name).map(overwrite, ["there.json"]))
    assert refused.value.filename == "there.json"


@pytest.mark.parametrize("name", POOLS)
def test_waiting_threads_of_workers_sleep_unless_the_user_says_otherwise(name, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert [result for _, result in engine(name).map(policy, [0])] == ["passive"]
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert [result for _, result in engine(name).map(policy, [0])] == ["active"]


@pytest.mark.parametrize("name", POOLS)
def test_another_error_brings_the_workers_traceback(name):
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(engine(name).map(stumble, [1, 0]))


@pytest.mark.parametrize("name", POOLS)
def test_a_task_whose_worker_was_killed_is_done_by_another(name, tmp_path):
    work = Deadly(tmp_path, deadly=(0, 3, 7))
    assert [number for number, _ in engine(name).map(work, range(9))] == list(range(9))
    assert sorted(map(int, (tmp_path / "done.txt").read_text().split())) == list(range(9))


@pytest.mark.parametrize("name", POOLS)
def test_a_task_that_kills_every_worker_is_named(name, tmp_path):
    with pytest.raises(EngineError, match="episode 4: 3 workers died"):
        list(engine(name).map(Deadly(tmp_path, (4,), always=True), range(9), name=lambda number: f"episode {number}"))


@pytest.mark.parametrize("name", POOLS)
def test_what_cannot_be_sent_is_said_in_one_line(name):
    with pytest.raises(EngineError, match="--engine local") as caught:
        list(engine(name).map(lambda task: task, [sys.stdout]) if name == "process" else _unsendable(name))
    assert "\n" not in str(caught.value)


def _unsendable(name):
    from threading import Lock

    lock = Lock()
    return engine(name).map(lambda task: lock, [1])


def test_tasks_are_taken_as_workers_become_free():
    taken = []
    results = choose_engine("process", 2).map(square, (taken.append(n) or n for n in range(100)))
    next(results)
    assert len(taken) <= 7
    results.close()


def test_an_engine_and_its_workers_are_chosen_by_name():
    assert isinstance(choose_engine(), LocalEngine)
    assert choose_engine(workers=3).workers == 3
    assert choose_engine("process").workers >= 1
    assert ENGINES == ("local", "process", "ray")


@pytest.mark.parametrize(
    ("name", "workers", "said"),
    [
        ("rya", None, "unknown engine 'rya'; allowed: local, process, ray; did you mean 'ray'"),
        ("process", 0, "--workers: is 0; allowed: 1 and above"),
        ("local", 4, "has one worker, not 4; use --engine process"),
    ],
)
def test_a_choice_that_cannot_be_is_one_line(name, workers, said):
    with pytest.raises(EngineError, match=said.replace("-", r"\-")):
        choose_engine(name, workers)


def test_without_ray_the_pip_line_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'egoscale-sdk\[ray\]'"):
        choose_engine("ray")


PROGRAM = """
import sys
from egoscale_sdk.engine import choose_engine
from tests.engine_tasks import wait_for_ever
if __name__ == "__main__":
    list(choose_engine("process", 2).map(wait_for_ever, [sys.argv[1]] * 2))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, how):
    (tmp_path / "program.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _until(lambda: len(list(tmp_path.glob("pid-*"))) == 2)
    pids = [int(file.name[4:]) for file in tmp_path.glob("pid-*")]
    os.killpg(process.pid, how) if how == signal.SIGINT else process.kill()
    complaint = process.communicate()[1]
    _until(lambda: not any(_alive(pid) for pid in pids))
    assert complaint.count("Traceback") == (how == signal.SIGINT)  # of the program, not of its workers


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(condition):
    while not condition():
        time.sleep(0.05)
