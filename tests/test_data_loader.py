"""The loader: the same batches whatever threads, ranks and workers make them, and from wherever it goes on."""

import gc
import multiprocessing
import shutil
from itertools import islice

import pytest
from torch.utils.data import DataLoader

from egoscale_sdk.data import Blocks, Dataset, Loader, Mixture, WindowDataset
from egoscale_sdk.data.buffers import BufferPool
from egoscale_sdk.data.torch_steps import TorchSteps
from egoscale_sdk.errors import DataError, RecipeError
from tests.data_kit import camera, episode, human_declaration, robot_declaration

ORDERS = {"alone": Blocks(1), "blocks": Blocks(8, 32, 4)}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A robot with a camera at 30 Hz, its actions every 0.05 s, and people."""
    folder = tmp_path_factory.mktemp("d")
    robot, people = robot_declaration(cameras=(camera(),)), human_declaration()
    found = []
    for name, declaration, count in (("robot", robot, 3), ("people", people, 2)):
        dataset = Dataset.create(folder / f"{name}.zarr", declaration)
        dataset.append([episode(f"{name}{n}", declaration, seed=n) for n in range(count)])
        found.append(WindowDataset(dataset, 4, 0.05))
    return found


def mixture(parts, blocks=ORDERS["alone"], batch=8, seed=0):
    return Mixture([(parts[0], 2), (parts[1], 1)], batch, seed, blocks)


def printed(step):
    """What a step holds, to compare."""
    return [
        (number, batch.time_ns.tolist(), batch.chunk.tobytes(), {k: v.tobytes() for k, v in batch.images.items()})
        for number, batch in step
    ]


def take(loader, count):
    return [printed(step) for step in islice(iter(loader), count)]


@pytest.mark.parametrize("blocks", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize(("threads", "ahead"), [(1, 0), (3, 4)])
def test_threads_change_nothing(parts, blocks, threads, ahead):
    mixed = mixture(parts, blocks)
    expected = [printed([(n, parts[n].batch(w)) for n, w in mixed.indices(step)]) for step in range(6)]
    assert take(Loader(mixed, threads=threads, ahead=ahead), 6) == expected


@pytest.mark.parametrize("blocks", ORDERS.values(), ids=ORDERS)
def test_a_loader_goes_on_with_the_very_next_batch(parts, blocks):
    whole = take(Loader(mixture(parts, blocks)), 9)
    stopped = Loader(mixture(parts, blocks))
    assert take(stopped, 4) == whole[:4]
    state = stopped.state()
    assert all(isinstance(value, int) for value in state.values())
    resumed = Loader(mixture(parts, blocks), threads=1, ahead=5)
    resumed.restore(state)
    assert take(resumed, 5) == whole[4:]


def test_a_state_of_another_order_is_refused(parts):
    loader = Loader(mixture(parts))
    for other in (mixture(parts, seed=1), mixture(parts, batch=9), mixture(parts, ORDERS["blocks"])):
        with pytest.raises(RecipeError, match="another order was begun"):
            Loader(other).restore(loader.state())
    for step in ("one", -1, True, None):
        with pytest.raises(RecipeError, match="state of a loader: step"):
            loader.restore(loader.state() | {"step": step})
    with pytest.raises(RecipeError, match="another order was begun"):
        loader.restore({})


def test_a_state_of_other_windows_is_refused(parts, tmp_path):
    """Weights, episodes and versions of the datasets decide what is drawn, too; the folder does not."""
    shutil.copytree(parts[0].dataset.path, tmp_path / "copy.zarr")
    copy = Dataset.open(tmp_path / "copy.zarr")
    state = Loader(mixture(parts)).state()
    Loader(mixture([WindowDataset(copy, 4, 0.05), parts[1]])).restore(state)
    others = [parts[::-1]]
    others += [[WindowDataset(copy, 4, 0.05, **cut), parts[1]] for cut in ({"stride": 2}, {"episodes": [1, 0, 2]})]
    copy.append([episode("new", copy.declaration)])
    others += [[WindowDataset(copy, 4, 0.05), parts[1]]]
    for other in (*(mixture(other) for other in others), Mixture([(parts[0], 3), (parts[1], 1)], 8, 0, Blocks(1))):
        with pytest.raises(RecipeError, match="another order was begun: it differs in windows"):
            Loader(other).restore(state)


def windows_of(parts, blocks, ranks, workers, steps=15, start=0):
    """Which windows each step holds, gathered over ranks and over torch's workers by hand."""
    found = [[] for _ in range(steps)]
    for rank in range(ranks):
        for worker in range(workers):
            loader = Loader(
                mixture(parts, blocks),
                rank=rank,
                ranks=ranks,
                start=start,
                stop=start + steps,
                turn=(worker, workers),
                images=False,
            )
            own = range(steps) if workers == 1 else [s for s in range(steps) if (s + start) % workers == worker]
            for step, batches in zip(own, loader, strict=True):
                found[step] += [
                    (n, t) for n, batch in batches for t in zip(batch.time_ns.tolist(), batch.prompts, strict=True)
                ]
    return [sorted(step) for step in found]


@pytest.mark.parametrize("blocks", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize(("ranks", "workers"), [(1, 3), (2, 1), (2, 2), (4, 3)])
def test_steps_do_not_depend_on_ranks_and_workers(parts, blocks, ranks, workers):
    """And so what an epoch holds does not either, and a run may be resumed on other machines."""
    one = windows_of(parts, blocks, 1, 1)
    assert windows_of(parts, blocks, ranks, workers) == one
    assert windows_of(parts, blocks, ranks, workers, steps=10, start=5) == one[5:]


@pytest.mark.slow
@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("workers", [1, 2])
def test_torch_workers_yield_the_same_steps_in_order(parts, start_method, workers):
    mixed = mixture(parts)
    expected = take(Loader(mixed, stop=5), 5)
    steps = TorchSteps(Loader(mixed, stop=5))
    loader = DataLoader(steps, batch_size=None, num_workers=workers, multiprocessing_context=start_method)
    assert [printed(step) for step in loader] == expected


def test_torch_reads_in_its_own_process_too(parts):
    mixed = mixture(parts)
    assert [printed(step) for step in DataLoader(TorchSteps(Loader(mixed, stop=4)), batch_size=None)] == take(
        Loader(mixed), 4
    )


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_loader_works_in_another_process(parts, start_method):
    mixed = mixture(parts)
    expected = take(Loader(mixed), 3)  # its files are open here, and a forked process must not mind
    with multiprocessing.get_context(start_method).Pool(1) as pool:
        assert pool.apply(take, (Loader(mixed), 3)) == expected


def test_a_transform_runs_in_the_threads(parts):
    loader = Loader(mixture(parts), stop=3, transform=lambda step: sum(len(batch) for _, batch in step))
    assert list(loader) == [8, 8, 8]


def test_a_damaged_dataset_stops_the_loader_with_its_error(tmp_path):
    declaration = robot_declaration(cameras=(camera(),))
    dataset = Dataset.create(tmp_path / "d.zarr", declaration)
    source = episode("a", declaration)
    source.images["head"].jpegs[3] = source.images["head"].jpegs[3][:-20]
    dataset.append([source])
    with pytest.raises(DataError, match="camera 'head'"):
        list(Loader(Mixture([(WindowDataset(dataset, 4, 0.05), 1)], 40, 0), stop=1))


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"ahead": -1}, {"turn": (2, 2)}, {"rank": 1}])
def test_a_loader_that_makes_no_sense_is_refused(parts, wrong):
    with pytest.raises(RecipeError):
        Loader(mixture(parts), **wrong)


def test_memory_comes_back_when_nobody_has_it_and_never_before():
    pool = BufferPool()
    first = pool((2, 3))
    first[:] = 7
    place = first.ctypes.data
    part = first[1:]
    del first
    gc.collect()
    second = pool((2, 3))
    second[:] = 9
    assert (part == 7).all()
    assert second.ctypes.data != place
    del part
    gc.collect()
    assert pool((6,)).ctypes.data == place
