"""Everything a run needs, opened and held against each other before anything moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from egoscale_sdk.data import Dataset
from egoscale_sdk.errors import CheckpointError, DataError
from egoscale_sdk.host import PluginHost, Resolution, resolve_spec
from egoscale_sdk.interfaces import Driver
from egoscale_sdk.policy.checkpoint import TrainedEmbodiment
from egoscale_sdk.runtime.baselines import baselines
from egoscale_sdk.runtime.policy import LoadedPolicy
from egoscale_sdk.runtime.replay import ReplayDriver
from egoscale_sdk.runtime.rollout import Task
from egoscale_sdk.runtime.sources import ActionSource, PolicySource
from egoscale_sdk.runtime.target import choose_embodiment, drivable_set
from egoscale_sdk.specs import EmbodimentSpec, Provider, action_fingerprint

CAMERA = "head"


@dataclass(frozen=True)
class Settings:
    """What the user asked for; see ``egoscale run --help``."""

    driver: str = "mujoco"
    dataset: str | None = None
    action_set: str | None = None
    embodiment: str = ""
    prompt: str | None = None
    execute: int = 8
    samples: int = 4
    driver_settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Session:
    """A policy and the hand it shall drive; ``notes`` are what the user should know before it moves."""

    policy: LoadedPolicy
    driver: Driver
    trained: TrainedEmbodiment
    prompt: str
    settings: Settings
    demonstrations: tuple[Dataset, str] | None
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, checkpoint: str, settings: Settings, host: PluginHost) -> Self:
        """Load the policy, choose what it drives, make the driver (not yet connected).

        Raises:
            CheckpointError, DataError, UnknownIdError: something is missing or disagrees.
        """
        declared = _declared(host, settings.driver)
        policy = LoadedPolicy.load(checkpoint)
        dataset = Dataset.open(settings.dataset) if settings.dataset else None
        action_set = drivable_set(dataset, settings.action_set) if dataset else None
        embodiment = choose_embodiment(policy.drivable, action_set, declared, settings.embodiment)
        limited = _within_trained_limits(host, policy, host.spec(embodiment, provider=_provider(dataset, embodiment)))
        driver = host.driver(settings.driver, limited.spec, **_driver_settings(settings, dataset))
        trained = policy.bind(limited.spec, cameras=driver.cameras)
        demonstrations = (dataset, action_set.name) if dataset and action_set else None
        prompt = _prompt(settings.prompt, driver, trained)
        return cls(policy, driver, trained, prompt, settings, demonstrations, limited.notes)

    def source(self) -> ActionSource:
        """The policy, ready to drive."""
        return PolicySource(
            self.policy,
            self.driver.spec,
            self.driver.sides,
            self.prompt,
            samples=self.settings.samples,
        )

    def baselines(self, seed: int) -> Iterator[tuple[str, ActionSource]]:
        """What the policy must beat, by name."""
        return baselines(
            self.policy,
            self.driver.spec,
            self.driver.sides,
            self.prompt,
            self.demonstrations,
            samples=self.settings.samples,
            seed=seed,
        )

    def replays(self, host: PluginHost, episodes: int) -> Iterator[ReplayDriver]:
        """Yield a driver for each of the first ``episodes`` recorded episodes, or for all if there are fewer."""
        there = len(self.demonstrations[0].episodes) if self.demonstrations else episodes
        for episode in range(min(episodes, there)):
            driver = host.driver(self.settings.driver, self.driver.spec, dataset=self.settings.dataset, episode=episode)
            assert isinstance(driver, ReplayDriver), "the replay driver is ours"
            yield driver


def _provider(dataset: Dataset | None, embodiment: str) -> Provider | None:
    """The distribution that a dataset of this embodiment was written with, to be named if it is not installed."""
    declared = None if dataset is None else dataset.declaration
    return declared.provider if declared is not None and declared.embodiment == embodiment else None


def _within_trained_limits(host: PluginHost, policy: LoadedPolicy, spec: EmbodimentSpec) -> Resolution:
    """Return the installed spec with limits no wider than those that the checkpoint was trained within."""
    entry = policy.embodiments.get(spec.id)
    if entry is None or entry.action_fingerprint != action_fingerprint(spec):
        return Resolution(spec)  # whether it may be driven at all is for `LoadedPolicy.bind` to say
    return resolve_spec(host, entry.spec, owner="checkpoint")


def _declared(host: PluginHost, driver: str) -> list[str]:
    """Ids of the embodiments that a driver declares by name rather than by glob."""
    return [pattern for pattern in host.driver_entry(driver).embodiments if not set(pattern) & set("*?[")]


def _driver_settings(settings: Settings, dataset: Dataset | None) -> dict[str, Any]:
    """What the driver's factory is told: what the user said, and what follows from the dataset."""
    return _implied_settings(settings, dataset) | dict(settings.driver_settings)


def _implied_settings(settings: Settings, dataset: Dataset | None) -> dict[str, Any]:
    """Settings of the two drivers that are not a robot."""
    if settings.driver == "replay":
        if dataset is None:
            raise DataError("the replay needs a recording", hint="name it with --dataset")
        return {"dataset": dataset.where}
    if settings.driver == "mujoco" and dataset is not None:
        sizes = [camera.height_px for camera in dataset.declaration.cameras if camera.name == CAMERA]
        return {"image_px": sizes[0]} if sizes else {}
    return {}


def _prompt(asked: str | None, driver: Driver, trained: TrainedEmbodiment) -> str:
    if asked is not None:
        return asked
    if isinstance(driver, Task | ReplayDriver):
        return driver.prompt
    if len(trained.tasks) == 1:
        return trained.tasks[0]
    raise CheckpointError(
        "was trained with several instructions, or none", allowed=trained.tasks, hint="choose one with --prompt"
    )
