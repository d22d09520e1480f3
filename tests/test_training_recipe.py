"""Recipes: shipped ones with the paper's figures, overrides, one clear line for what is wrong."""

import pytest
from training_cases import RECIPE, recipe_file

from egoscale_sdk.errors import RecipeError
from egoscale_sdk.training.optimizer import learning_rate
from egoscale_sdk.training.recipe import load_recipe, shipped_recipes


@pytest.mark.parametrize(
    ("name", "steps", "batch", "rate", "frozen"),
    [
        ("pretrain", 100_000, 8192, 5e-5, ()),
        ("midtrain", 50_000, 2048, 3e-5, ("language",)),
        ("posttrain", 10_000, 512, 3e-5, ("vision",)),
    ],
)
def test_the_three_stages_have_the_papers_figures(name, steps, batch, rate, frozen):
    training = load_recipe(name).training
    assert (training.steps, training.batch_size, training.learning_rate, training.freeze) == (
        steps,
        batch,
        rate,
        frozen,
    )
    evaluation = load_recipe(name).evaluation
    assert (evaluation.episodes, evaluation.steps, evaluation.samples) == (2000, 20, 16)


def test_every_shipped_recipe_is_sound():
    assert {"tiny", "pretrain", "midtrain", "posttrain"} == set(shipped_recipes())
    for name in shipped_recipes():
        assert load_recipe(name).name == name


def test_overrides_reach_every_field(tmp_path):
    recipe = load_recipe(
        recipe_file(tmp_path),
        (
            "training.learning_rate=1e-4",
            'training.freeze=["vision"]',
            "policy.flow.steps=10",
            "data.statistics=inherit",
        ),
    )
    assert recipe.training.learning_rate == 1e-4
    assert recipe.training.freeze == ("vision",)
    assert recipe.policy.flow.steps == 10
    assert recipe.policy.flow.predict == "action", "the preset's other fields stay"
    assert recipe.data.statistics == "inherit"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.learning_rat=1",
            "training.learning_rat: Extra inputs are not permitted; did you mean 'learning_rate'?",
        ),
        ("training.steps=-1", "training.steps: Input should be greater than 0"),
        ("training.steps=soon", "training.steps: Input should be a valid integer"),
        ("training.steps", "is not an override"),
        ("policy.preset=huge", "unknown preset 'huge'"),
        ("policy.backbone.image_height_px=17", "image size must be a multiple"),
        ("policy.expert.heads=3", "must be a multiple of heads"),
        ("name.first=x", "'name' in 'name.first=x' is no section"),
        ("colour=red", "colour: Extra inputs"),
    ],
)
def test_a_wrong_override_is_one_line_that_names_the_field(tmp_path, override, message):
    file = recipe_file(tmp_path, f'name = "x"\n{RECIPE}')
    with pytest.raises(RecipeError) as error:
        load_recipe(file, (override,))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[policy]\n", "[policy]\npreset = 3\n", "steps = [", "policy = 1\n"])
def test_a_malformed_recipe_is_named(tmp_path, text):
    with pytest.raises(RecipeError, match=r"recipe\.toml"):
        load_recipe(recipe_file(tmp_path, text))


def test_an_unknown_recipe_says_which_there_are():
    with pytest.raises(RecipeError, match="did you mean 'pretrain'"):
        load_recipe("pretrian")


def test_the_rate_warms_up_and_falls_to_zero():
    recipe = load_recipe("tiny").training.model_copy(update={"steps": 100, "warmup": 0.1, "learning_rate": 1.0})
    rates = [learning_rate(recipe, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 1e-3
