"""Starting from published vision-language weights in a local folder: config, safetensors and tokenizer, no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from egoscale_sdk.errors import CheckpointError
from egoscale_sdk.policy.config import BackboneConfig, PolicyConfig
from egoscale_sdk.policy.files import read_json
from egoscale_sdk.policy.tokens import FileTokenizer
from egoscale_sdk.policy.vla import VLA


def load_backbone(config: PolicyConfig) -> VLA:
    """Build a policy whose backbone has the weights of the folder ``config.backbone.weights``; the rest is random.

    Layers beyond those that the config keeps, and the output head, are not read.

    Raises:
        CheckpointError: a file is missing or malformed, or the folder's model is of other sizes.
    """
    folder = Path(config.backbone.weights)
    _check_sizes(config.backbone, folder)
    tokenizer = FileTokenizer.read(folder / "tokenizer.json") if config.backbone.tokenizer == "file" else None
    policy = VLA.from_config(config, tokenizer)
    model: Any = policy.backbone.model
    wanted = {name: value.shape for name, value in model.state_dict().items()}
    files = _files(folder)
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors |= _read(file, wanted)
    missing = sorted(wanted.keys() - tensors.keys())
    if missing:
        raise CheckpointError(f"lacks {len(missing)} weights, the first of which is {missing[0]!r}", where=str(folder))
    model.load_state_dict(tensors)
    return policy


def _check_sizes(config: BackboneConfig, folder: Path) -> None:
    """Compare what determines the shapes and the positions with the folder's ``config.json``."""
    value = read_json(folder / "config.json")
    text, vision = value.get("text_config", {}), value.get("vision_config", {})
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    expected = {
        "model_type": (value.get("model_type"), config.family),
        "text_config.hidden_size": (text.get("hidden_size"), config.text.width),
        "text_config.num_attention_heads": (text.get("num_attention_heads"), config.text.heads),
        "text_config.num_key_value_heads": (text.get("num_key_value_heads"), config.text.kv_heads),
        "text_config.rope_theta": (text.get("rope_theta", rope.get("rope_theta")), config.text.rope_theta),
        "text_config.mrope_section": (tuple(rope.get("mrope_section", ())), config.text.rope_sections),
        "vision_config.depth": (vision.get("depth"), config.vision.layers),
        "vision_config.num_heads": (vision.get("num_heads"), config.vision.heads),
        "vision_config.patch_size": (vision.get("patch_size"), config.vision.patch_px),
        "vision_config.spatial_merge_size": (vision.get("spatial_merge_size"), config.vision.merge),
        "vision_config.deepstack_visual_indexes": (
            tuple(vision.get("deepstack_visual_indexes", ())),
            config.vision.deepstack,
        ),
    }
    for name, (found, wanted) in expected.items():
        if found != wanted:
            raise CheckpointError(
                f"{name} is {found!r}, the policy is configured for {wanted!r}",
                where=f"{folder}/config.json",
                hint="set [policy.backbone] to the folder's sizes",
            )


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return [folder / "model.safetensors"]
    names = sorted(set(read_json(index).get("weight_map", {}).values()))
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"names a file outside the folder: {name!r}", where=str(index))
    return [folder / name for name in names]


def _read(file: Path, wanted: dict[str, Any]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    try:
        with safe_open(file, framework="pt") as opened:
            for stored in opened.keys():  # noqa: SIM118  # not a mapping
                name = stored.removeprefix("model.")
                if name not in wanted:
                    continue
                shape = tuple(opened.get_slice(stored).get_shape())
                if shape != tuple(wanted[name]):
                    what = f"{stored!r} has shape {shape}, the policy wants {tuple(wanted[name])}"
                    raise CheckpointError(what, where=str(file))
                found[name] = opened.get_tensor(stored).float()
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=str(file)) from None
    return found
