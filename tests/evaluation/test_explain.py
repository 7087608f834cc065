"""Integrated gradients through the adapted model: its own answer, complete, local, and nothing changed by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_network import scan, task, tiny_extractor

from medmeta.errors import ModelError
from medmeta.evaluation.explain import _Reader, _whole, explain
from medmeta.learners.frozen import FrozenTaskModel
from medmeta.learners.registry import load_extractor, make_learner
from medmeta.learners.ridge import ridge
from medmeta.models.features import views
from medmeta.models.map_statistics import map_statistics
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import make_task


@pytest.fixture(scope="module")
def model() -> FrozenTaskModel:
    """The shipped meta-model, adapted to grey noise with and without a bright square in the upper left."""
    random = np.random.default_rng(0)
    items = []
    for i in range(8):
        items.append(LabelledScan(square(random, bright=i % 2 == 0), "square" if i % 2 == 0 else "plain"))
    adapted = make_learner("medmeta", load_extractor("cpu")).adapt(make_task(items, "squares"))
    assert isinstance(adapted, FrozenTaskModel)
    return adapted


def square(random: np.random.Generator, *, bright: bool) -> Scan:
    pixels = random.normal(90, 12, (1, 96, 96))
    if bright:
        pixels[0, 16:40, 16:40] += 100
    return Scan("", np.clip(pixels, 0, 255).astype(np.uint8), f"g{random.integers(10**9)}")


def test_it_reads_the_scan_as_the_model_does(model: FrozenTaskModel) -> None:
    new = square(np.random.default_rng(7), bright=True)
    reader = _Reader(model)
    with torch.no_grad():
        chances = reader.log_chances([trunk.first_map(new) for trunk in reader.trunks]).exp().numpy()
    assert chances == pytest.approx(model.predict([new]).probabilities[0], rel=1e-5)


def test_the_heat_adds_up_and_lies_on_the_square(model: FrozenTaskModel) -> None:
    before = {name: value.clone() for name, value in model.extractor.trunk.state_dict().items()}
    new = square(np.random.default_rng(8), bright=True)
    told = explain(model, new, steps=24)
    assert (told.towards, told.against) == ("square", "plain")
    chances = model.predict([new]).probabilities[0]
    assert told.lead == pytest.approx(float(np.log(chances[1] / chances[0])), rel=1e-4)
    assert told.left_over < 0.2
    speaks = np.clip(told.heat, 0, None)
    side = len(speaks)
    inside = speaks[int(0.12 * side) : int(0.46 * side), int(0.12 * side) : int(0.46 * side)]
    assert inside.sum() > 3 * 0.34**2 * speaks.sum()
    after = model.extractor.trunk.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(value.requires_grad for value in model.extractor.trunk.parameters())


def test_the_other_way_round_is_the_negative(model: FrozenTaskModel) -> None:
    new = square(np.random.default_rng(9), bright=False)
    one = explain(model, new, towards="square", against="plain", steps=2)
    two = explain(model, new, towards="plain", against="square", steps=2)
    assert one.heat == pytest.approx(-two.heat, abs=1e-6)
    assert one.lead == -two.lead


def test_a_simple_learner_is_explained_too_and_completely() -> None:
    support = task(("a", "b"), shots=4)
    told = explain(ridge(tiny_extractor()).adapt(support), scan(0, 99), steps=200)
    assert told.towards == "a"
    assert told.left_over < 0.02


def test_wrong_names_are_refused(model: FrozenTaskModel) -> None:
    new = square(np.random.default_rng(9), bright=False)
    with pytest.raises(ModelError, match="knows no class 'tumour'"):
        explain(model, new, towards="tumour")
    with pytest.raises(ModelError, match="named twice"):
        explain(model, new, towards="square", against="square")


def test_views_are_laid_where_they_look() -> None:
    g = 4
    heat = np.zeros((2, g, g))
    heat[0, g - 1, 0] = 9.0  # whole, turned left: what is lower left there is upper left in the picture
    heat[1, 0, 0] = 4.0  # centre, mirrored: upper right of the centre
    picture = _whole(heat)
    assert picture.shape == (12, 12)
    assert picture.sum() == pytest.approx(13.0)
    assert (picture[:3, :3] == 1.0).all()
    assert (picture[2:4, 8:10] == 1.0).all()


@pytest.mark.parametrize(("row", "column"), [(2, 3), (20, 4), (11, 14)])
def test_a_spot_of_the_views_is_laid_where_it_is_in_the_picture(row: int, column: int) -> None:
    """A lit pixel of an image is looked at by both views, and laid back over itself."""
    image = torch.zeros(3, 24, 24)
    image[:, row, column] = 1.0
    picture = _whole(views(image, 16)[:, 0].double().numpy())
    found = np.argwhere(picture == picture.max()).mean(axis=0) * 24 / 48
    assert found == pytest.approx([row + 0.25, column + 0.25], abs=1.0)


def test_another_root_changes_no_statistic() -> None:
    maps = torch.randn(2, 40, 5, 5, generator=torch.Generator().manual_seed(0))
    plain = map_statistics(maps)
    from medmeta.evaluation.explain import _root

    for one, two in zip(plain, map_statistics(maps, _root), strict=True):
        assert torch.equal(one, two)
    still = torch.zeros(1, 3, 4, 4, requires_grad=True)
    sum(part.sum() for part in map_statistics(still, _root)).backward()  # type: ignore[union-attr]
    assert still.grad is not None
    assert torch.isfinite(still.grad).all()


def test_the_same_scan_shuffled_is_explained_otherwise(model: FrozenTaskModel) -> None:
    from benchmarks.explain import alike, shuffled

    new = square(np.random.default_rng(8), bright=True)
    told = explain(model, new, towards="square", against="plain", steps=8)
    other = shuffled(model, 6, 0)
    assert alike(told, explain(other, new, towards="square", against="plain", steps=8)) < 0.5
    again = explain(model, new, towards="square", against="plain", steps=8)
    assert alike(told, again) == pytest.approx(1.0)
    assert replace(told, heat=again.heat).left_over == told.left_over
