"""The root of a dataset: its declaration in the attributes of a Zarr group, and the empty groups below."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from egoscale_sdk.data.arrays import open_group, write_array
from egoscale_sdk.data.declare import parse_declaration
from egoscale_sdk.data.log import CommitConflictError, CommitLog
from egoscale_sdk.data.store import Store, files_of
from egoscale_sdk.errors import DataError
from egoscale_sdk.specs import DatasetDeclaration

ROOT = "zarr.json"
MAX_ROOT_BYTES = 2**26
_TAKEN = "choose another name, or open it to append"

# A file under an array is nobody's Zarr node, so these two keep `zarr.open_group(...).members()` quiet.
_OPAQUE = {"commits": "the commit log, one JSON file per commit", "cache": "may be deleted while nobody writes"}


def root_declaration(store: Store) -> Any:
    """Read ``attrs["egoscale"]`` and refuse a newer one before anything else is looked at.

    Raises:
        DataError: there is no dataset.
        DeclarationError: the declaration is missing, malformed, or newer than this SDK.
    """
    where, data = f"{store.where}/{ROOT}", store.read(ROOT, MAX_ROOT_BYTES)
    if data is None:
        raise DataError("there is no dataset", where=store.where, hint="make one with: egoscale import")
    try:
        value = json.loads(data)["attributes"].get("egoscale")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"is not the metadata of a Zarr group: {error}", where=where) from None
    parse_declaration(value, f"{where}:attributes.egoscale")
    return value


def write_root(store: Store, declaration: DatasetDeclaration) -> None:
    """Write the declaration of the newest commit into the attributes."""
    store.replace(ROOT, _root(declaration))


def create_skeleton(store: Store, declaration: DatasetDeclaration) -> None:
    """Write an empty dataset with its first commit.

    Raises:
        DataError: something is there already, or nothing can be written there.
    """
    if store.local is not None:
        _create_folder(store.local, declaration)
    else:
        _upload(store, declaration)


def _create_folder(path: Path, declaration: DatasetDeclaration) -> None:
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError("already exists", where=str(path), hint=_TAKEN)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_nodes(temporary, declaration)
        CommitLog(temporary).publish(None, declaration=declaration)
        os.rename(temporary, path)
    except OSError as error:
        raise DataError(f"cannot be created: {error.strerror}", where=str(path)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _upload(store: Store, declaration: DatasetDeclaration) -> None:
    """Create a dataset on an object store: the first commit decides who creates it, the root comes last.

    Whoever died in between left a commit without a root, which the next one completes.
    """
    if store.read(ROOT, MAX_ROOT_BYTES) is not None:
        raise DataError("already exists", where=store.where, hint=_TAKEN)
    log = CommitLog(store)
    with tempfile.TemporaryDirectory() as folder:
        nodes = Path(folder) / "nodes"
        _write_nodes(nodes, declaration)
        for file in files_of(nodes):
            name = file.relative_to(nodes).as_posix()
            if name != ROOT:
                store.replace(name, file.read_bytes())
    try:
        write_root(store, log.publish(None, declaration=declaration).declaration)
    except CommitConflictError:
        write_root(store, log.state().declaration)
        raise DataError("was created by another writer meanwhile", where=store.where, hint="run it again") from None


def _write_nodes(path: Path, declaration: DatasetDeclaration) -> None:
    path.mkdir()
    (path / ROOT).write_bytes(_root(declaration))
    for name in ("segments", "derived"):
        open_group(path / name, create=True)
    root = open_group(path, create=True)
    for name, purpose in _OPAQUE.items():
        write_array(root, name, np.empty(0, np.uint8))
        root[name].attrs["purpose"] = purpose


def _root(declaration: DatasetDeclaration) -> bytes:
    attributes = {"egoscale": declaration.model_dump(mode="json")}
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}).encode()
