"""The hooks of the SDK: what a plugin may contribute, decide and check.

A plugin is a module (or any object) with functions of these names, marked with `hookimpl`::

    from egoscale_sdk.host import EmbodimentEntry, hookimpl

    @hookimpl
    def egoscale_embodiments():
        return [EmbodimentEntry(id="acme/hand@1", spec="egoscale_acme:hand/embodiment.toml")]

Every hook is optional. A function may take fewer arguments than its specification, never others. No hook is called in
a training or control loop: objects are made once, then their methods are called.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from egoscale_sdk.host.entries import (
    ActionSpaceEntry,
    CheckEntry,
    DriverEntry,
    EmbodimentEntry,
    ImporterEntry,
    RetargeterEntry,
    SensorEntry,
)
from egoscale_sdk.specs import EmbodimentSpec, HandSpec

PROJECT = "egoscale"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def egoscale_embodiments() -> Sequence[EmbodimentEntry]:
    """Contribute embodiments.

    Called once, when an id of the plugin's namespace is asked for the first time, or when everything is listed.
    Return one entry per embodiment and generation; keep old generations as long as their datasets should open.
    An id is ``namespace/name@N`` in the plugin's own namespace (the name of its entry point).

    The spec is named as ``"package:path/embodiment.toml"`` and is read only when the id is used, so listing stays
    cheap. The factory brings the spec to life; the default serves every body that a URDF describes.

    Must not import torch or a vendor's SDK, open files or touch hardware. An exception, a foreign namespace or an
    id that occurs twice refuses this plugin as a whole and no other one. Return an empty list for nothing.
    """
    raise AssertionError


@hookspec
def egoscale_retargeters() -> Sequence[RetargeterEntry]:
    """Contribute retargeters: from a human hand's keypoints to a hand's joints.

    Called once per plugin, under the same rules as `egoscale_embodiments`.
    ``target`` is a glob over hand space ids (``acme/*``); ``needs`` says which hands can be served: those whose
    spec has finger frames, or those that have an aperture.

    Candidates for a hand are the retargeters of the SDK and of the plugin that owns the hand space; one of a third
    plugin is used where it is named (``egoscale retarget --retargeter other/fast@1``). Where several candidates fit,
    `egoscale_select_retargeter` decides; without a decision that is an error which lists them.

    The factory is called with the `HandSpec` and must return a `Retargeter`.
    """
    raise AssertionError


@hookspec
def egoscale_sensors() -> Sequence[SensorEntry]:
    """Contribute sensor drivers, e.g. a camera's or a tactile skin's.

    Called once per plugin, under the same rules as `egoscale_embodiments`.
    An id is ``namespace/name@N`` in the plugin's own namespace, which a robot's configuration names; the SDK never
    opens a sensor that nobody named.

    The factory is called with the sensor's spec (a `CameraSpec` or `TactileSpec`, known before anything is
    connected) and keyword settings such as a serial number, and must return a `Sensor`.

    Constructing it must do no input or output: connecting happens in ``open``. A vendor's SDK is imported by the
    factory's module, never by the plugin module, so that a machine without it can still list and train.

    ``sensors`` names the sensors of the plugin's specs that it serves (globs). ``simulated`` gives settings under
    which it needs no hardware, e.g. ``{"port": "simulated"}``: with both, the conformance kit can run it.
    """
    raise AssertionError


@hookspec
def egoscale_action_spaces() -> Sequence[ActionSpaceEntry]:
    """Contribute action spaces: ways to turn absolute rows into what a policy predicts, and back.

    Called once per plugin, under the same rules as `egoscale_embodiments`.
    An embodiment names its action space in ``action.space``; the SDK's own is ``egoscale/wrist_hand@1``, which
    suits every body whose wrists can be commanded or computed.

    The factory is called with a `RowLayout` and must return an `ActionSpace` whose ``decode`` inverts its
    ``encode`` for valid columns. Absent is not zero: a masked column holds 0, and its value changes no output.

    Names and units of its columns are fixed by the layout alone. An id's generation rises whenever the same chunk
    would move a robot differently: a checkpoint stores the id and refuses another one.
    """
    raise AssertionError


@hookspec
def egoscale_importers() -> Sequence[ImporterEntry]:
    """Contribute importers of other people's recordings.

    Called once per plugin, under the same rules as `egoscale_embodiments`.
    ``name`` is what the user types: ``egoscale import NAME SRC DST.zarr``. Where two plugins use one name, the user
    writes ``namespace/NAME``; the SDK's own importers keep their short names.

    The factory is called without arguments and must return an `Importer`; the fields of its ``options`` become
    command-line flags.

    Reader packages (h5py, pyarrow, ...) are imported when a source is opened; a missing one raises
    `MissingExtraError` with the pip line.
    """
    raise AssertionError


@hookspec
def egoscale_drivers() -> Sequence[DriverEntry]:
    """Contribute drivers: a robot, a simulation or a replay that the runtime can drive.

    Called once per plugin, under the same rules as `egoscale_embodiments`.
    ``name`` is what the user types: ``egoscale run CKPT --driver NAME``. Where two plugins use one name, the user
    writes ``namespace/NAME``. ``embodiments`` are globs over the ids that the driver can drive.

    The factory is called with the `EmbodimentSpec` and keyword settings, and must return a `Driver`. A driver that
    serves only some hardware of an embodiment says so in its `sides`.

    Constructing it must do no input or output; ``connect`` does. The control loop checks every target against the
    spec's limits before a driver sees it; a driver must still refuse what its hardware cannot do.

    ``simulated`` gives settings under which it needs no hardware, e.g. ``{"port": "simulated"}``, and the
    conformance kit runs it so. `egoscale_sdk.drivers.WiredDriver` is a driver made from the spec's wire tables: a
    vendor writes the bus, and has a simulated one for nothing.
    """
    raise AssertionError


@hookspec(firstresult=True)
def egoscale_select_retargeter(
    source: EmbodimentSpec | None, target: HandSpec, candidates: Sequence[RetargeterEntry]
) -> str | None:
    """Decide which of several fitting retargeters serves a hand.

    Called only where more than one candidate fits and the user named none; first on the plugin that owns the
    target's hand space, then on the SDK's own. It is not called for a single candidate.

    Args:
        source: The embodiment that moved in the dataset (people, usually), or None if it is not known.
        target: The hand to be moved, a side included.
        candidates: The fitting entries, in the order of their ids.

    Return the id of one of the candidates, or None for no opinion. An id that is not among them refuses the call
    with an error that names this plugin. If nobody decides, the user sees the candidates and names one.
    """
    raise AssertionError


@hookspec(firstresult=True)
def egoscale_upgrade_declaration(declared: EmbodimentSpec, current: EmbodimentSpec) -> EmbodimentSpec | None:
    """Say how rows recorded under an earlier spec are to be read today.

    Called on the plugin that owns the embodiment when a dataset or a checkpoint declares a spec whose action
    fingerprint differs from that of the installed one, or an earlier generation that is no longer installed.

    Args:
        declared: The snapshot that the dataset or checkpoint holds.
        current: The installed spec; of the same generation if there is one, else of the highest.

    Return the spec under which the stored rows mean the right thing (often ``current``, after a mere renaming), or
    None if there is no such spec: then the user sees what differs and the data is refused. The row layout (sides,
    number of columns, their units) of the returned spec must be that of ``declared``; stored rows are never rewritten.
    Never return a spec only to silence the difference: a policy would move a robot by it.
    """
    raise AssertionError


@hookspec
def egoscale_conformance_checks(spec: EmbodimentSpec) -> Sequence[CheckEntry]:
    """Contribute checks of a vendor's own to the conformance kit.

    Called on the plugin that owns ``spec``, once per embodiment that is checked; never in ordinary use.
    The SDK's checks always run; these come on top of them and can replace or silence none.

    The factory of an entry names a plain function that is called with the `Embodiment` and returns None; it raises
    an `EgoscaleError` that names the joint, value and unit at fault. Any other exception counts as a broken check,
    and is reported as the vendor's own fault.

    Ids are ``namespace/name@N`` in the plugin's own namespace. ``level`` is ``must`` (a violation fails the kit) or
    ``should`` (it is reported). A check must be deterministic and must not touch hardware.
    """
    raise AssertionError
