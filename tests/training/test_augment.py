"""Random views: nothing strays further than it is told, and one generator decides it all."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from medmeta.training.augment import Augmentation, random_views

STILL = Augmentation(crop=1.0, turn=0.0, upside_down=0.0, gain=0.0, offset=0.0, gamma=0.0, stain=0.0)


def images(n: int = 40, side: int = 8) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(3))


def views(how: Augmentation, x: Tensor, side: int = 8, seed: int = 0) -> Tensor:
    return random_views(x, side, torch.Generator().manual_seed(seed), how)


def test_with_no_range_every_view_is_the_image_or_its_mirror_about_half_the_time() -> None:
    x = images()
    mirrored = []
    for image, view in zip(x, views(STILL, x), strict=True):
        gaps = [float((view - each).abs().max()) for each in (image, image.flip(-1))]
        assert min(gaps) < 2e-4  # values below 1e-4 are raised to it
        mirrored.append(gaps[1] < gaps[0])
    assert 0.2 < np.mean(mirrored) < 0.8


def test_certain_vertical_flips() -> None:
    x = images()
    for image, view in zip(x, views(replace(STILL, upside_down=1.0), x), strict=True):
        upside = image.flip(-2)
        assert min(float((view - each).abs().max()) for each in (upside, upside.flip(-1))) < 2e-4


def test_a_mirror_by_hand() -> None:
    x = torch.tensor([[0.1, 0.9], [0.3, 0.5]]).expand(30, 3, 2, 2)
    found = {
        tuple(round(value, 3) for value in view[1].flatten().tolist()) for view in views(STILL, x, side=2)
    }
    assert found == {(0.1, 0.9, 0.3, 0.5), (0.9, 0.1, 0.5, 0.3)}


def test_a_quarter_turn_keeps_shapes_upright_in_neither_axis() -> None:
    """A turn by exactly 90 degrees either way: with mirrors, the transposed image or one of its flips."""
    how = replace(STILL, turn=np.pi / 2)
    x = images(1, 4).expand(200, 3, 4, 4)
    turned = x[0].transpose(1, 2)
    allowed = [turned, turned.flip(-1), turned.flip(-2), turned.flip(-1).flip(-2)]
    gaps = [min(float((view - each).abs().mean()) for each in allowed) for view in views(how, x, side=4)]
    assert min(gaps) < 0.02
    assert max(gaps) > 0.1


def test_a_crop_shows_part_of_a_ramp_at_its_own_scale() -> None:
    ramp = torch.linspace(0.1, 0.9, 33).expand(50, 3, 33, 33)
    found = views(replace(STILL, crop=0.5), ramp, side=33)
    spans = (found[:, 0, 0, -1] - found[:, 0, 0, 0]).abs() / 0.8
    assert 0.45 < spans.min() < 0.6
    assert spans.max() <= 1.0
    assert found.amin() >= 0.1 - 1e-4
    assert found.amax() <= 0.9 + 1e-4
    steps = found[:, 0, 0].diff(dim=1)
    assert (steps.amax(dim=1) - steps.amin(dim=1)).max() < 0.02  # still a ramp


@pytest.mark.parametrize("side", [5, 8, 16])
def test_values_stay_in_range_and_views_have_their_side(side: int) -> None:
    wild = Augmentation(crop=0.3, turn=3.0, upside_down=0.5, gain=2.0, offset=1.0, gamma=2.0, stain=1.0)
    x = images()
    x[0], x[1] = 0.0, 1.0
    found = views(wild, x, side)
    assert found.shape == (40, 3, side, side)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()
    assert found.min() >= 0.0
    assert found.max() <= 1.0


def test_the_generator_alone_decides() -> None:
    x, state = images(), torch.get_rng_state()
    assert torch.equal(views(Augmentation(), x), views(Augmentation(), x))
    assert not torch.equal(views(Augmentation(), x), views(Augmentation(), x, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, images())


@pytest.mark.parametrize("name", [field.name for field in fields(Augmentation)])
def test_every_range_does_something(name: str) -> None:
    x = images()
    how = replace(STILL, **{name: getattr(Augmentation(), name)})
    assert (views(how, x) - views(STILL, x)).abs().max() > 0.01


def test_stain_moves_channels_apart_and_gain_does_not() -> None:
    grey = torch.full((20, 3, 4, 4), 0.7)
    assert views(replace(STILL, stain=0.3), grey).std(dim=1).min() > 1e-3
    together = views(replace(STILL, gain=0.3, offset=0.1, gamma=0.3), grey)
    assert together.std(dim=1).max() < 1e-6
    assert together.std(dim=0).min() > 0.01


def test_a_turn_leaves_what_is_round() -> None:
    """A shear or a squeeze would not."""
    at = torch.linspace(-1, 1, 33)
    round_one = (0.1 + 0.8 * torch.exp(-6 * (at[:, None] ** 2 + at[None, :] ** 2))).expand(30, 3, 33, 33)
    found = views(replace(STILL, turn=np.pi / 4, upside_down=0.5), round_one, side=33)
    inside = at[:, None] ** 2 + at[None, :] ** 2 < 0.9  # where no turn shows what lies outside the image
    assert (found - round_one)[:, :, inside].abs().max() < 0.02
