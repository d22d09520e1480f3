"""Recipes: what to train, how long and how, as TOML; every field can be overridden on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from egoscale_sdk.errors import RecipeError, did_you_mean
from egoscale_sdk.policy.config import PolicyConfig, preset
from egoscale_sdk.specs import Strict

Part = Literal["vision", "language", "expert", "adapters"]
Decay = Annotated[float, Field(ge=0, lt=1)]
MAX_RECIPE_BYTES = 2**20


class DataRecipe(Strict):
    """How windows are drawn. ``statistics`` must be said when training goes on from a checkpoint.

    ``on_damage`` says what happens where a segment is not what was committed: ``raise`` stops, ``skip`` sets it aside.
    """

    stride: int = Field(default=1, gt=0)
    statistics: Literal["recompute", "inherit"] | None = None
    on_damage: Literal["raise", "skip"] = "raise"


class TrainingRecipe(Strict):
    """One stage: AdamW with warm-up and cosine decay to zero.

    ``batch_size`` windows per step over all processes, at most ``micro_batch`` of them at once on each (0: all).
    ``flow_samples`` noise draws share one pass of the backbone. ``wrist_weight`` weighs wrist translations in the
    loss. ``threads``: of torch on a CPU, 0 leaves it as it is.
    """

    steps: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    micro_batch: int = Field(default=0, ge=0)
    learning_rate: float = Field(gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    betas: tuple[Decay, Decay] = (0.95, 0.999)
    weight_decay: float = Field(default=1e-5, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    flow_samples: int = Field(default=1, gt=0)
    wrist_weight: float = Field(default=1.0, gt=0)
    shift_px: int = Field(default=0, ge=0)
    brightness: float = Field(default=0.0, ge=0, lt=1)
    freeze: tuple[Part, ...] = ()
    precision: Literal["no", "bf16"] = "no"
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=0, ge=0)
    log_every: int = Field(default=10, gt=0)
    save_every: int = Field(default=1000, gt=0)


class EvaluationRecipe(Strict):
    """Held-out error (EgoScale section 3.3): ``steps`` windows of each of ``episodes`` episodes, at each of them the
    mean of ``samples`` chunks."""  # noqa: D205, D209  # one sentence

    episodes: int = Field(default=2000, gt=0)
    steps: int = Field(default=20, gt=0)
    samples: int = Field(default=16, gt=0)
    batch_size: int = Field(default=32, gt=0)


class Recipe(Strict):
    """A recipe. ``[policy]`` names a preset and may change any of its fields."""

    name: str
    policy: PolicyConfig
    data: DataRecipe = DataRecipe()
    training: TrainingRecipe
    evaluation: EvaluationRecipe = EvaluationRecipe()


def load_recipe(source: str, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        source: Path of a TOML file, or the name of a shipped recipe.
        overrides: ``section.field=value`` each, the value in TOML; a bare word counts as text.

    Raises:
        RecipeError: there is no such recipe, it is malformed, or a field is unknown or wrong; names the field.
    """
    where, table = source, _read(source)
    for text in overrides:
        path, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(f"{text!r} is not an override", hint="write it as training.steps=500")
        _set(table, path.strip().split("."), _value(value.strip()), text)
    table.setdefault("name", Path(source).stem)
    table["policy"] = _merged_policy(table.get("policy"), where)
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise _explained(error, where) from None


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the SDK."""
    folder = resources.files("egoscale_sdk.training").joinpath("recipes")
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def _read(source: str) -> dict[str, Any]:
    file: Any = Path(source)
    if not file.is_file():
        if source not in shipped_recipes():
            hint = did_you_mean(source, shipped_recipes()) or "or give the path of a TOML file"
            raise RecipeError(f"there is no recipe {source!r}", allowed=shipped_recipes(), hint=hint)
        file = resources.files("egoscale_sdk.training").joinpath("recipes", f"{source}.toml")
    try:
        data = file.read_bytes()
        if len(data) > MAX_RECIPE_BYTES:
            raise RecipeError(f"is larger than {MAX_RECIPE_BYTES} bytes", where=source)
        return tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"is not valid TOML: {error}", where=source) from None


def _merged_policy(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, dict) or not isinstance(table.get("preset"), str):
        raise RecipeError("[policy] must name a preset", where=where, hint='write preset = "tiny"')
    merged = preset(table["preset"]).model_dump()
    _overlay(merged, table)
    return merged


def _overlay(base: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _overlay(base[key], value)
        else:
            base[key] = value


def _set(table: dict[str, Any], path: list[str], value: Any, text: str) -> None:
    for key in path[:-1]:
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"{key!r} in {text!r} is no section")
        table = inner
    table[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explained(error: ValidationError, where: str) -> RecipeError:
    """Turn the first complaint into one line that names the field and, for a misspelt one, what it may be."""
    first = min(error.errors(), key=lambda item: item["type"] != "extra_forbidden")  # a misspelt name explains more
    path = [str(part) for part in first["loc"]]
    hint = ""
    if first["type"] == "extra_forbidden":
        model: Any = Recipe
        for part in path[:-1]:
            model = model.model_fields[part].annotation
        hint = did_you_mean(path[-1], model.model_fields)
    return RecipeError(first["msg"].removeprefix("Value error, "), where=f"{where}:{'.'.join(path)}", hint=hint)
