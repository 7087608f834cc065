"""Training a trunk: it learns, it resumes to the bit, its draws are even, and batch statistics stay as they were."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_network import COLOURS, SIDE, Tiny, scan, tiny_backbone
from torch import Tensor, nn

from medmeta.errors import CancelledError, ModelError
from medmeta.models import weights
from medmeta.models.staged import StagedNetwork
from medmeta.scans.intensity import model_image
from medmeta.tasks.labelled_set import LabelledSet
from medmeta.training.augment import Augmentation
from medmeta.training.trunk import (
    ClassDraw,
    PixelSet,
    TrunkSettings,
    learning_rate_factor,
    pixel_set,
    train_trunk,
)

CARD = tiny_backbone().card
MILD = Augmentation(crop=0.9, turn=0.1, gain=0.05, offset=0.02, gamma=0.05, stain=0.02)
SETTINGS = TrunkSettings(
    steps=12, per_set=6, side=SIDE, rate=3e-3, head_rate=2e-2, warm_up=3, augmentation=MILD, seed=4
)


class Normed(Tiny):
    """With batch normalisation and statistics of its own after every stage."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(self.stage_channels[name]) for name in self.stage_names)

    def stage_modules(self, name: str) -> tuple[nn.Module, ...]:
        return (*super().stage_modules(name), self.norms[self.position(name)])

    def run_stage(self, name: str, x: Tensor) -> Tensor:
        for module in self.stage_modules(name):
            x = module(x)
        return x


def colour_set(name: str, kinds: tuple[int, ...], counts: tuple[int, ...], seed: int) -> PixelSet:
    random = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(kinds)), counts)
    pixels = np.array(COLOURS)[np.array(kinds)[targets]][:, :, None, None]
    noisy = np.clip(pixels + random.normal(0, 30, (len(targets), 3, 20, 20)), 0, 255).astype(np.uint8)
    return PixelSet(name, torch.from_numpy(noisy), targets, len(kinds))


SETS = [colour_set("one", (0, 1, 2), (9, 2, 5), 0), colour_set("two", (1, 3), (4, 6), 1)]


def train(network: StagedNetwork, steps: int = 12, **options: object) -> list[float]:
    found: list[float] = train_trunk(network, CARD, SETS, replace(SETTINGS, steps=steps), **options)  # type: ignore[arg-type]
    return found


def test_the_loss_falls_on_colours_and_the_trunk_moves() -> None:
    network = Tiny()
    before = copy.deepcopy(network.state_dict())
    losses = train(network, steps=50)
    assert losses[0] == pytest.approx((np.log(3) + np.log(2)) / 2, abs=1e-5)  # heads start at zero
    assert np.mean(losses[-5:]) < 0.75 * losses[0]
    assert not any(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not network.training


def test_one_seed_one_result_and_no_other_chance() -> None:
    one, two, three = Tiny(), Tiny(), Tiny()
    state = torch.get_rng_state()
    losses = train(one)
    torch.manual_seed(99)
    assert train(two) == losses
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert train_trunk(three, CARD, SETS, replace(SETTINGS, seed=5)) != losses
    torch.set_rng_state(state)


@pytest.mark.parametrize("stop", [4, 7, 8])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path: Path, stop: int) -> None:
    """To the bit, also where steps after the last checkpoint are taken again."""
    whole, path = Tiny(), tmp_path / "trunk.safetensors"
    losses = train(whole)

    def interrupt(fraction: float, message: str) -> None:
        if round(fraction * SETTINGS.steps) == stop:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        train(Tiny(), checkpoint=path, every=4, progress=interrupt)
    again = Tiny()
    rest = train(again, checkpoint=path, every=4)
    assert rest == losses[stop // 4 * 4 :]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_finished_run_is_taken_up_as_it_ended(tmp_path: Path) -> None:
    path, first, again = tmp_path / "trunk.safetensors", Tiny(), Tiny()
    train(first, checkpoint=path, every=100)
    assert train(again, checkpoint=path) == []
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not again.training


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trunk.safetensors"
    weights.write(path, Tiny().state_dict(), {"format": "something else"})
    with pytest.raises(ModelError, match="no checkpoint of a trunk"):
        train(Tiny(), checkpoint=path)


def test_batch_statistics_stay_as_they_were() -> None:
    network = Normed()
    with torch.no_grad():
        for norm in network.norms:
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            norm.running_mean += 0.1
    before = {name: value.clone() for name, value in network.named_buffers()}
    slopes = [norm.weight.detach().clone() for norm in network.norms if isinstance(norm, nn.BatchNorm2d)]
    train(network, steps=5)
    assert all(torch.equal(before[name], value) for name, value in network.named_buffers())
    after = [norm.weight for norm in network.norms if isinstance(norm, nn.BatchNorm2d)]
    assert not torch.equal(slopes[0], after[0])  # gains are trained


@pytest.mark.parametrize("per_set", [1, 4, 6, 9])
def test_draws_are_even_over_classes_within_every_set(per_set: int) -> None:
    draw, totals = ClassDraw(SETS, per_set), [np.zeros(data.classes) for data in SETS]
    for seed in range(60):
        images, targets = draw(np.random.default_rng(seed))
        assert len(images) == per_set * len(SETS)
        for data, found, shown, total in zip(SETS, targets, images.split(per_set), totals, strict=True):
            counts = np.bincount(found, minlength=data.classes)
            assert counts.max() - counts.min() <= 1
            total[:] += counts
            for image, target in zip(shown, found, strict=True):  # the label is the image's own
                same = (data.images == image).flatten(1).all(dim=1).numpy()
                assert set(data.targets[same]) == {int(target)}
    for total in totals:
        assert total.max() / total.min() < 1.8


def test_the_rate_warms_up_and_decays() -> None:
    settings = TrunkSettings(steps=100, warm_up=10)
    factors = [learning_rate_factor(step, settings) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[50] == pytest.approx(0.5)
    assert np.argmax(factors) == 9
    assert all(0.0 < factor <= 1.0 for factor in factors)
    assert factors[-1] < 1e-3


def test_pixels_are_those_the_model_sees() -> None:
    scans = [scan(kind, i) for kind in range(2) for i in range(2)]
    targets = np.array([0, 0, 1, 1])
    found = pixel_set(LabelledSet("s", "d", ("a", "b"), targets, tuple("pqrs"), scans), 12)
    assert found.images.shape == (4, 3, 12, 12)
    assert (found.name, found.classes, found.targets.tolist()) == ("s", 2, [0, 0, 1, 1])
    for image, one in zip(found.images, scans, strict=True):
        assert np.abs(image.numpy() / 255 - model_image(one, 12)).max() <= 0.5 / 255 + 1e-6
