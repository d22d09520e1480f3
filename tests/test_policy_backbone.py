"""The backbone: equal to the library it is built from, and our own preprocessing."""

import numpy as np
import pytest
import torch
from policy_cases import small_config

from egoscale_sdk.policy.config import BackboneConfig
from egoscale_sdk.policy.images import augment, patchify
from egoscale_sdk.policy.qwen import Qwen3VLBackbone
from egoscale_sdk.policy.tokens import ByteTokenizer, plain, prompt_tokens

torch.set_num_threads(1)


def deep_config() -> BackboneConfig:
    """Deepstack, temporal patches, a suffix and a resampled position grid: everything the big ones have."""
    config = small_config().backbone
    vision = config.vision.model_copy(update={"layers": 3, "deepstack": (0, 1), "temporal_patch": 2, "positions": 36})
    tokens = config.tokens.model_copy(update={"suffix": (261, 262)})
    text = config.text.model_copy(update={"layers": 3})
    return config.model_copy(update={"vision": vision, "tokens": tokens, "text": text, "image_height_px": 48})


def test_equals_the_library_called_as_its_documentation_says():
    from transformers import Qwen3VLModel

    from egoscale_sdk.policy.qwen import library_config

    torch.manual_seed(0)
    config = deep_config()
    backbone = Qwen3VLBackbone(config).eval()
    library = Qwen3VLModel(library_config(config)).eval()
    library.language_model.norm = torch.nn.Identity()
    library.load_state_dict(backbone.model.state_dict())
    images = torch.rand(2, 2, 3, 48, 32)
    tokens, mask = prompt_tokens(["grasp", "lift it up"], ByteTokenizer(), config)
    ours = backbone(images, torch.ones(2, 2, dtype=torch.bool), tokens, mask)

    special, n = config.tokens, config.image_tokens
    image = [special.vision_start, *[special.image] * n, special.vision_end]
    tail = torch.tensor([*image, *image, *special.suffix]).expand(2, -1)
    ids = torch.cat([tokens, tail], dim=1)
    theirs = library(
        input_ids=ids,
        attention_mask=torch.cat([mask, torch.ones_like(tail, dtype=torch.bool)], dim=1).long(),
        pixel_values=patchify(images.flatten(0, 1), config),
        image_grid_thw=torch.tensor([[1, 6, 4]]).expand(4, 3),
        mm_token_type_ids=(ids == special.image).int(),
    ).last_hidden_state
    is_image = ids[0] == special.image
    torch.testing.assert_close(ours.image, theirs[:, is_image], atol=1e-5, rtol=1e-5)
    valid = ours.text_mask
    torch.testing.assert_close(ours.text[valid], theirs[:, ~is_image][valid], atol=1e-5, rtol=1e-5)


def test_patches_equal_the_librarys_processor():
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    config = deep_config()
    image = np.random.default_rng(0).integers(0, 256, (48, 32, 3), dtype=np.uint8)
    processor = Qwen2VLImageProcessorPil(
        do_resize=False, patch_size=8, merge_size=2, temporal_patch_size=2, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    theirs = torch.as_tensor(np.asarray(processor(image)["pixel_values"]))
    ours = patchify(torch.from_numpy(image)[None].permute(0, 3, 1, 2) / 255, config)
    torch.testing.assert_close(ours, theirs.float(), atol=1e-6, rtol=0)


def test_augmentation_moves_all_cameras_of_a_sample_alike_and_other_samples_differently():
    torch.manual_seed(0)
    images = torch.rand(8, 1, 3, 16, 16).expand(8, 2, 3, 16, 16)
    moved = augment(images, 2, 0.1, torch.Generator().manual_seed(1))
    assert torch.equal(moved[:, 0], moved[:, 1])
    same = augment(images, 0, 0.0, torch.Generator().manual_seed(1))
    assert torch.equal(same, images)
    assert len({tuple(sample[0, 0, 8, :3].tolist()) for sample in moved}) == 8


def test_prompts_are_plain_and_padded_on_the_left():
    assert plain("Pick up the RED cup, please!") == "pick up the red cup please"
    tokens, mask = prompt_tokens(["ab", "abcd"], ByteTokenizer(), small_config().backbone)
    assert tokens.tolist() == [[256, 256, 257, 97, 98], [257, 97, 98, 99, 100]]
    assert mask.tolist() == [[False, False, True, True, True], [True] * 5]


def test_a_long_prompt_is_cut():
    config = small_config().backbone
    tokens, _ = prompt_tokens(["x" * 10_000], ByteTokenizer(), config)
    assert tokens.shape == (1, config.max_prompt_tokens + 1)


@pytest.mark.parametrize("text", ["", "日本語 🤖"])
def test_any_text_has_tokens(text):
    tokens, mask = prompt_tokens([text], ByteTokenizer(), small_config().backbone)
    assert mask.any()
    assert int(tokens.max()) < small_config().backbone.text.vocab
