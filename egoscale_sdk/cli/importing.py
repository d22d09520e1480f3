"""``egoscale import``: turn a recording into a dataset. The flags depend on the importer, its first word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from egoscale_sdk.engine import Engine
    from egoscale_sdk.host import PluginHost
    from egoscale_sdk.specs import EmbodimentSpec

_USAGE = """\
usage: egoscale import IMPORTER SRC DST.zarr [--embodiment ID] [--engine process|ray --workers N] [FLAGS OF IMPORTER]

Turn a recording into a dataset that declares whose motion it holds. Importing twice adds nothing; new episodes are
appended; a bad episode is named and left out; an import that was stopped or killed goes on where it was.

importers:
{importers}

examples:
  egoscale import lerobot RECORDING robot.zarr
  egoscale import aria recording.vrs people.zarr --task "fold the shirt"
  egoscale import keypoints hands.npz people.zarr --layout mediapipe --side right
  egoscale import egodex EGODEX people.zarr --engine process --workers 8

egoscale import IMPORTER --help lists the flags of one importer.
"""


def import_(argv: list[str]) -> None:
    """Import a recording; the first word names the importer.

    Raises:
        EgoscaleError: the importer, the embodiment or the source is unknown or unfit; or episodes were left out.
    """
    from egoscale_sdk.host import default_host

    if not argv or argv[0].startswith("-"):
        _explain(default_host(), argv)
        return
    import_with(default_host(), argv)


def import_with(host: PluginHost, argv: list[str]) -> None:
    """Import with the importers and embodiments of ``host``; see `import_`."""
    from tyro.conf import Positional, arg

    from egoscale_sdk.cli.app import parse_and_call
    from egoscale_sdk.engine import EngineName, choose_engine

    importer = host.importer(argv[0])

    def command(
        source: str,
        destination: str,
        options: Any,
        embodiment: str | None = None,
        engine: str | None = None,
        workers: int | None = None,
        json: bool = False,
        quiet: bool = False,
    ) -> None:
        work = choose_engine(engine, workers)
        _import(host, argv[0], source, destination, embodiment, options, work, as_json=json, quiet=quiet)

    title = next((entry.title for entry in host.importers() if entry.name == argv[0]), argv[0])
    command.__doc__ = f"Import {title}.\n\n{_ARGUMENTS}"
    command.__annotations__ = {
        "source": Annotated[Positional[str], arg(metavar="SRC")],
        "destination": Annotated[Positional[str], arg(metavar="DST.zarr")],
        "options": Annotated[importer.options, arg(name="")],
        "embodiment": str | None,
        "engine": EngineName | None,
        "workers": int | None,
        "json": bool,
        "quiet": Annotated[bool, arg(aliases=["-q"])],
        "return": None,
    }
    parse_and_call(command, argv[1:], prog=f"egoscale import {argv[0]}")


_ARGUMENTS = """\
Args:
    source: The recording: a file or a folder.
    destination: The dataset to create or to append to, e.g. people.zarr.
    options: Flags of the importer.
    embodiment: Id of the embodiment that moved; found from the recording where that is certain.
    engine: Who reads it: local (this process, the default), process (several on this machine) or ray (a Ray cluster,
        or Ray on this machine). The same dataset comes out.
    workers: How many episodes are read at a time; by default one for each core.
    json: Print a summary as JSON.
    quiet: No progress, no messages.
"""


def _import(
    host: PluginHost,
    name: str,
    source: str,
    destination: str,
    embodiment: str | None,
    options: Any,
    engine: Engine,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    from dataclasses import asdict

    from egoscale_sdk.cli.console import emit, progress_bar, say
    from egoscale_sdk.data.importers.run import import_recording
    from egoscale_sdk.errors import DataError
    from egoscale_sdk.ids import parse_id

    importer = host.importer(name)
    spec = host.spec(embodiment or importer.embodiment_for(source, _installed(host)))
    recording = importer.open(source, spec, host.provider(parse_id(spec.id).namespace), options)
    for assumption in recording.declaration.assumptions:
        say(f"note: {assumption}", quiet=quiet)
    with progress_bar(f"import {spec.id}", quiet=quiet) as progress:
        summary = import_recording(recording, destination, engine=engine, progress=progress)
    for finding in summary.findings:
        say(f"warning: {finding}", quiet=quiet)
    emit(
        {"dataset": destination, "embodiment": spec.id, "importer": name, **asdict(summary)},
        as_json=as_json,
        text=f"{destination}: {spec.id}, {summary.imported} episodes of {summary.rows} rows imported"
        + (f", {summary.present} were there already" if summary.present else ""),
    )
    if summary.failed:
        complaints = "; ".join(_named(key, why) for key, why in list(summary.failed.items())[:3])
        kept = f"; {summary.imported} were imported and stay" if summary.imported else ""
        raise DataError(f"{len(summary.failed)} of {len(recording.keys)} episodes left out: {complaints}{kept}")


def _named(key: str, complaint: str) -> str:
    """Name the episode in a complaint that does not."""
    episode = key.partition("#")[0]
    return complaint if episode.rpartition("/")[2] in complaint else f"{episode}: {complaint}"


def _installed(host: PluginHost) -> list[EmbodimentSpec]:
    """Specs of every installed embodiment that can be read; a broken plugin is not in question here."""
    from egoscale_sdk.errors import PluginError

    specs = []
    for entry in host.embodiments():
        try:
            specs.append(host.spec(entry.id))
        except PluginError:
            continue
    return specs


def _explain(host: PluginHost, argv: list[str]) -> None:
    from egoscale_sdk.cli.app import UsageError

    names = {entry.name: entry.title for entry in host.importers()}
    if argv and argv[0] not in ("-h", "--help"):
        raise UsageError(f"the importer comes before {argv[0]}", allowed=names, hint="see: egoscale import --help")
    if not argv:
        raise UsageError("'egoscale import' needs an importer", allowed=names, hint="see: egoscale import --help")
    lines = "\n".join(f"  {name:<12}{title}" for name, title in names.items())
    print(_USAGE.format(importers=lines), end="")
