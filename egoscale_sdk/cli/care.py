"""``egoscale dataset split|merge|compact|gc|rechunk``: each leaves the old version of a dataset, or the new one."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from egoscale_sdk.data import Dataset

Quiet = Annotated[bool, arg(aliases=["-q"], help="No progress.")]


def split(
    dataset: Positional[str],
    *,
    shares: tuple[str, ...] = ("train=0.8", "val=0.1", "test=0.1"),
    by: tuple[str, ...] = (),
    keys: tuple[str, ...] = (),
    seed: int = 0,
    again: bool = False,
    json: bool = False,
) -> None:
    """Divide the episodes: the label 'split' of each, in one commit that touches no recording.

    Episodes that share a label named by --by stay together. What has a split already keeps it, and its group
    follows, so that a growing dataset can be divided again and again. Train on a split with --holdout val.

    Examples:
        egoscale dataset split people.zarr --by operator
        egoscale dataset split pairs.zarr --shares train=0.9 val=0.1 --by aligned_group scene
        egoscale dataset split people.zarr --shares train=1 --keys test=test_keys.txt

    Args:
        dataset: A dataset, e.g. people.zarr.
        shares: Share of the rows of each split; they add up to 1.
        by: Labels that no two splits share: operator, scene, aligned_group, task, category.
        keys: Files with one key of an episode a line, each for the split before the equals sign.
        seed: Selects among the divisions.
        again: Divide anew what has a split label already.
        json: Print JSON: dataset, version, splits.
    """
    from egoscale_sdk.cli.console import emit
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.maintenance import split as splitting

    opened = Dataset.open(dataset)
    plan = splitting.SplitPlan(_shares(shares), _keys(keys), by, seed, again)
    chosen = splitting.split(opened, plan)
    rows = Counter[str]()
    for episode in opened.episodes:
        rows[chosen[episode.key]] += episode.length
    counts, total = Counter(chosen.values()), max(1, rows.total())
    table = {
        name: {"episodes": counts[name], "rows": rows[name], "share": round(rows[name] / total, 4)}
        for name in (*plan.shares, *sorted(set(counts) - set(plan.shares)))
    }
    lines = [
        f"{name}: {part['episodes']} episodes, {part['rows']} rows, {part['share']:.1%}" for name, part in table.items()
    ]
    emit(
        {"dataset": dataset, "version": opened.version, "splits": table},
        as_json=json,
        text="\n".join([f"{dataset} (version {opened.version})", *lines]),
    )


def merge(
    datasets: Positional[tuple[str, ...]],
    *,
    out: str,
    duplicates: Literal["refuse", "skip"] = "refuse",
    json: bool = False,
    quiet: Quiet = False,
) -> None:
    """Copy several datasets of one embodiment into one, action sets included, in one commit.

    Nothing is decoded or computed again. They must declare the same embodiment, cameras, arrays and rate; others train
    together as a mixture. If --out is a dataset already, they are added to it.

    Examples:
        egoscale dataset merge monday.zarr tuesday.zarr --out week.zarr
        egoscale dataset merge wednesday.zarr --out week.zarr --duplicates skip

    Args:
        datasets: The datasets, e.g. monday.zarr tuesday.zarr.
        out: Where the merged dataset is, or is made.
        duplicates: What is done with an episode whose key is there already.
        json: Print JSON: out, version, episodes, segments, skipped, incomplete.
        quiet: No progress.
    """
    from egoscale_sdk.cli.console import emit, progress_bar
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.maintenance.merge import merge as merge_datasets

    opened = [Dataset.open(path) for path in datasets]
    _refuse_none(opened)
    with progress_bar("merge", quiet=quiet) as progress:
        done = merge_datasets(opened, out, duplicates, progress)
    version = Dataset.open(out).version
    notes = [f"{len(done.skipped)} episodes were there already, e.g. {done.skipped[0]!r}"] if done.skipped else []
    notes += [
        f"action set {name!r} lacks {count} segments; complete it with: egoscale retarget {out} --name {name}"
        for name, count in done.incomplete.items()
    ]
    emit(
        {"out": out, "version": version, **asdict(done)},
        as_json=json,
        text="\n".join([f"{out} (version {version}): {done.episodes} episodes in {done.segments} segments", *notes]),
    )


def compact(dataset: Positional[str], *, hours: float = 1.0, json: bool = False, quiet: Quiet = False) -> None:
    """Join small segments, as a live recorder leaves them, into ones of about an hour.

    Episodes keep every number, image and text. Old versions can still be opened; to free their space run
    egoscale dataset gc --forget. Interrupted, it is gone on with by running it again.

    Examples:
        egoscale dataset compact recorder.zarr
        egoscale dataset compact recorder.zarr --hours 2 --json

    Args:
        dataset: A dataset, e.g. recorder.zarr.
        hours: How much a new segment holds; segments of less than half of it are joined.
        json: Print JSON: dataset, version, before, after, rewritten.
        quiet: No progress.
    """
    from egoscale_sdk.cli.console import emit, progress_bar
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.maintenance.compact import compact as compact_dataset
    from egoscale_sdk.errors import check_range

    check_range("--hours", hours, 1e-3, 24)
    opened = Dataset.open(dataset)
    with progress_bar("compact", quiet=quiet) as progress:
        done = compact_dataset(opened, hours, progress)
    emit(
        {"dataset": dataset, "version": opened.version, **asdict(done)},
        as_json=json,
        text=f"{dataset} (version {opened.version}): {done.before} segments became {done.after}",
    )


def gc(
    dataset: Positional[str],
    *,
    older_than: float = 24.0,
    forget: bool = False,
    dry_run: bool = False,
    json: bool = False,
    quiet: Quiet = False,
) -> None:
    """Remove what killed writers left behind; never anything that a version which can be opened holds.

    With --forget all versions but the newest are given up first, and what only they held is removed too: do that
    when nobody trains on an older one.

    Examples:
        egoscale dataset gc people.zarr --dry-run
        egoscale dataset gc people.zarr --older-than 1
        egoscale dataset gc people.zarr --forget

    Args:
        dataset: A dataset, e.g. people.zarr.
        older_than: Hours for which something must have been left alone; its writer may be at work.
        forget: Give up all versions but the newest.
        dry_run: Only say what would be removed.
        json: Print JSON: dataset, removed (path, bytes, hours), bytes, dry_run, oldest.
        quiet: No progress.
    """
    from egoscale_sdk.cli.console import emit, progress_bar
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.maintenance import leftovers
    from egoscale_sdk.errors import check_range

    check_range("--older-than", older_than, 0)
    opened = Dataset.open(dataset)
    with progress_bar("gc", quiet=quiet or dry_run) as progress:
        if dry_run:
            found = leftovers.leftovers(opened, older_than, newest_only=forget)
        else:
            if forget:
                leftovers.forget_versions(opened)
            found = leftovers.collect_leftovers(opened, older_than, progress)
    freed = sum(item.bytes for item in found)
    verb = "would be removed" if dry_run else "removed"
    lines = [f"{item.path}: {item.bytes} bytes, left alone for {item.hours:.1f} h" for item in found]
    emit(
        {
            "dataset": dataset,
            "removed": [asdict(item) for item in found],
            "bytes": freed,
            "dry_run": dry_run,
            "oldest": opened.oldest,
        },
        as_json=json,
        text="\n".join([*lines, f"{dataset}: {len(found)} leftovers, {freed / 1e6:.1f} MB {verb}"]),
    )


def rechunk(
    dataset: Positional[str],
    *,
    out: str,
    image_size: tuple[int, int] | None = None,
    cameras: tuple[str, ...] = (),
    quality: int = 80,
    shard_mib: int | None = None,
    engine: Literal["local", "process", "ray"] | None = None,
    workers: int | None = None,
    json: bool = False,
    quiet: Quiet = False,
) -> None:
    """Copy a dataset with images at the size that is trained with, or with larger shards for an object store.

    Rows, texts, calibrations and action sets stay what they were. A segment is a task and a commit: interrupted, it
    is gone on with by running it again, which also adds what was recorded since.

    Examples:
        egoscale dataset rechunk people.zarr --out people224.zarr --image-size 224 224
        egoscale dataset rechunk people.zarr --out s3://bucket/people.zarr --shard-mib 256 --engine process

    Args:
        dataset: A dataset, e.g. people.zarr.
        out: Where the copy is made, or gone on with.
        image_size: Height and width of the images, in pixels.
        cameras: Cameras whose images are resized; by default all.
        quality: JPEG quality of resized images.
        shard_mib: Largest shard, MiB; 64 by default.
        engine: Who computes it: local (this process), process (several on this machine) or ray (a cluster).
        workers: How many at a time; by default one for each core.
        json: Print JSON: out, version, episodes, segments, present.
        quiet: No progress.
    """
    from egoscale_sdk.cli.console import emit, progress_bar
    from egoscale_sdk.data import Dataset
    from egoscale_sdk.data.maintenance.rechunk import Recoding
    from egoscale_sdk.data.maintenance.rechunk import rechunk as copy_dataset
    from egoscale_sdk.engine import choose_engine
    from egoscale_sdk.errors import EgoscaleError, check_range

    check_range("--quality", quality, 1, 100)
    if cameras and image_size is None:
        raise EgoscaleError("goes with --image-size", where="--cameras", hint="e.g. --image-size 224 224")
    for side in image_size or ():
        check_range("--image-size", side, 8, 8192)
    if shard_mib is not None:
        check_range("--shard-mib", shard_mib, 1, 4096)
    chosen = choose_engine(engine, workers)
    opened = Dataset.open(dataset)
    names = cameras or tuple(camera.name for camera in opened.declaration.cameras)
    sizes = dict.fromkeys(names, image_size) if image_size else {}
    recoding = Recoding(sizes, quality, None if shard_mib is None else shard_mib * 2**20)
    with progress_bar("rechunk", quiet=quiet) as progress:
        done = copy_dataset(opened, out, recoding, chosen, progress)
    version = Dataset.open(out).version
    there = f", {done.present} were there" if done.present else ""
    emit(
        {"out": out, "version": version, **asdict(done)},
        as_json=json,
        text=f"{out} (version {version}): {done.episodes} episodes in {done.segments} segments copied{there}",
    )


def _shares(texts: tuple[str, ...]) -> dict[str, float]:
    from egoscale_sdk.errors import EgoscaleError

    shares: dict[str, float] = {}
    for name, value in (_pair(text, "--shares", "train=0.8") for text in texts):
        try:
            shares[name] = float(value)
        except ValueError:
            raise EgoscaleError(f"{value!r} is no number", where=f"--shares {name}") from None
    return shares


def _keys(texts: tuple[str, ...]) -> dict[str, str]:
    from egoscale_sdk.errors import EgoscaleError

    chosen: dict[str, str] = {}
    for name, file in (_pair(text, "--keys", "test=keys.txt") for text in texts):
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise EgoscaleError(f"cannot be read: {error}", where=f"--keys {file}") from None
        for key in (line.strip() for line in lines if line.strip()):
            if chosen.setdefault(key, name) != name:
                raise EgoscaleError(f"episode {key!r} is for {chosen[key]} and for {name}", where="--keys")
    return chosen


def _pair(text: str, flag: str, example: str) -> tuple[str, str]:
    from egoscale_sdk.errors import EgoscaleError

    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise EgoscaleError(f"{text!r} is no pair", where=flag, hint=f"write {example}")
    return name, value


def _refuse_none(opened: list[Dataset]) -> None:
    from egoscale_sdk.errors import EgoscaleError

    if not opened:
        raise EgoscaleError("there is nothing to merge", hint="name at least one dataset")
