"""Published weights: read from a local folder of config, safetensors and tokenizer, checked, never executed."""

import json

import pytest
import torch
from policy_cases import small_config
from safetensors.torch import load_file, save_file

from egoscale_sdk.errors import CheckpointError
from egoscale_sdk.policy.pretrained import load_backbone
from egoscale_sdk.policy.qwen import library_config

torch.set_num_threads(1)


@pytest.fixture
def published(tmp_path):
    """What a model hub folder holds: two more layers than we keep, a norm, an output head, a tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import Qwen3VLForConditionalGeneration

    config = small_config(cameras=("head",))
    text = config.backbone.text.model_copy(update={"layers": 3})
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(library_config(config.backbone.model_copy(update={"text": text})))
    model.save_pretrained(tmp_path / "hub")
    letters = {chr(code): code for code in range(256)}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(tmp_path / "hub" / "tokenizer.json"))
    backbone = config.backbone.model_copy(update={"weights": str(tmp_path / "hub"), "tokenizer": "file"})
    return tmp_path / "hub", config.model_copy(update={"backbone": backbone}), model


def test_kept_layers_have_the_published_weights_and_features(published):
    _, config, model = published
    policy = load_backbone(config)
    ours, theirs = policy.backbone.model.state_dict(), model.model.state_dict()
    assert len(ours) < len(theirs)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert policy.tokenizer.encode("ab") == [97, 98]


def test_sharded_weights(published):
    folder, config, _ = published
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in shards.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    load_backbone(config)
    index["weight_map"][names[0]] = "../../outside.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="outside the folder"):
        load_backbone(config)


def test_another_size_names_the_field(published):
    folder, config, _ = published
    value = json.loads((folder / "config.json").read_text())
    value["text_config"]["num_key_value_heads"] = 8
    (folder / "config.json").write_text(json.dumps(value))
    with pytest.raises(CheckpointError, match="num_key_value_heads is 8, the policy is configured for 1"):
        load_backbone(config)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_or_broken_file_is_named(published, name):
    folder, config, _ = published
    (folder / name).write_bytes((folder / name).read_bytes()[:50])
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        load_backbone(config)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        load_backbone(config)
