"""The deep meta-model on a tiny real network: gradients by finite differences, identity when untrained, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_network import tiny_backbone
from torch import Tensor

from medmeta.errors import ModelError
from medmeta.models.backbones import Backbone
from medmeta.models.cnn_meta import COEFFICIENT_BOUND, CnnMetaModel
from medmeta.models.deep_core import Space
from medmeta.models.gradient_correction import corrected
from medmeta.models.meta_model import MetaModel, Parts
from medmeta.models.model_config import parse_config
from medmeta.tasks.meta_task import FeatureTask

CHANCE = torch.Generator()


def backbone() -> Backbone:
    """The tiny network under a name that a config knows."""
    tiny = tiny_backbone()
    return replace(tiny, card=replace(tiny.card, name="efficientnet_lite0"))


def model(*dynamic: str, steps: int = 4, **inner: Any) -> CnnMetaModel:
    meta = {"type": "cnn_meta", "backbone": "efficientnet_lite0", "dynamic_layers": list(dynamic), "rank": 2}
    config = parse_config(
        {"meta_model": meta, "inner_loop": {"max_steps": steps, "lr": 0.05, "anchor_l2": 0.1, **inner}}
    )
    return CnnMetaModel.from_config(config, backbone()).double().eval()


def task(size: int, ways: int = 3, seed: int = 0, shots: int = 3) -> FeatureTask:
    random = torch.Generator().manual_seed(seed)
    targets = torch.arange(ways).repeat_interleave(shots)
    rows = torch.randn(ways, size, generator=random)[targets]
    support, query = (rows + 1.5 * torch.randn(rows.shape, generator=random) for _ in range(2))
    groups = torch.arange(len(targets))
    return FeatureTask("s", "d", ways, support.double(), targets, groups, query.double(), targets)


MAPS = task(6 * 8 * 8)


def test_frozen_trunk_is_neither_trained_nor_saved() -> None:
    found = model("conv2", "fc")
    assert all(parameter.requires_grad for parameter in found.parameters())
    assert not any("convolutions" in name for name in found.state_dict())
    assert found.map_shape == (6, 8, 8)
    assert found.start == "conv2"
    assert next(found.trunk.parameters()).dtype == torch.float64  # it moves along
    assert model("fc").start is None


def test_features_are_those_of_the_network_run_with_film() -> None:
    found = model("conv3", "conv2")
    vector = torch.linspace(-1, 1, found.film.size, dtype=torch.float64)
    film = found.film(vector)
    rows = torch.stack([MAPS.support, MAPS.query], dim=1).flatten(1)  # two views a row
    z = found._embedded(found._below(rows), film)
    views = rows.reshape(-1, 6, 8, 8)
    wanted = found.trunk.run(views, start="conv2", film=film).reshape(len(rows), 2, -1).mean(dim=1)
    torch.testing.assert_close(z, found.core.embed(wanted))


@pytest.mark.parametrize("dynamic", [("conv2", "fc"), ("fc",), ()])
def test_untrained_and_without_steps_it_is_the_feature_space_model(dynamic: tuple[str, ...]) -> None:
    """The core written out again over plain features of the whole trunk."""
    found = model(*dynamic, steps=0)
    space = Space.unknown((12,), 0)
    core = MetaModel(space.blocks, space.centre, space.basis, space.variances, parts=Parts(steps=0)).eval()
    if dynamic[:1] == ("conv2",):
        given = MAPS
        run = lambda x: found.trunk.run(x.reshape(-1, 6, 8, 8), start="conv2")  # noqa: E731
        plain = replace(given, support=run(given.support), query=run(given.query))
    else:
        given = plain = task(12)
    plain = replace(plain, support=core.embed(plain.support), query=core.embed(plain.query))
    torch.testing.assert_close(found.episode(given, CHANCE).logits, core.episode(plain, CHANCE).logits)


def episode_loss(found: CnnMetaModel, given: FeatureTask) -> Tensor:
    return found.episode(given, CHANCE).query_loss


def test_exact_gradient_agrees_with_finite_differences_through_the_whole_episode() -> None:
    found = model("conv2", "conv3")
    wanted = found.measure(MAPS).exact * COEFFICIENT_BOUND  # tanh and gate have slope 1 at zero
    bias = found.head.out.bias
    with torch.no_grad():
        for i in range(found.film.size):
            values = []
            for step in (1e-5, -1e-5):
                bias[i] += step
                values.append(float(episode_loss(found, MAPS)))
                bias[i] -= step
            assert float(wanted[i]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-7)


def test_meta_gradient_is_the_corrected_one_carried_through_the_generator() -> None:
    found = model("conv2", "conv3").train()
    found.core.descriptor.dropout = 0.0
    with torch.no_grad():
        found.kappa[0] = 0.5
    gradient = found.meta_gradient(episode_loss(found, MAPS))
    m = found.eval().measure(MAPS)
    wanted = corrected(m.trajectory, m.query_gradient, found.trust())
    size = found.film.size
    torch.testing.assert_close(gradient["head.out.bias"][:size], wanted * COEFFICIENT_BOUND)
    assert float(gradient["log_rates"].abs().min()) > 0.0
    assert (wanted - m.query_gradient).norm() > 1e-3 * m.exact.norm()  # there was something to correct


def test_correction_is_closer_to_exact_on_other_tasks_than_it_was_fitted_on() -> None:
    found = model("conv2", steps=8)
    tasks = [found.measure(task(6 * 8 * 8, seed=seed)) for seed in range(1, 9)]
    found.fit_correction(tasks[:4])
    errors = [
        sum(float((estimate(m) - m.exact).square().sum()) for m in tasks[4:])
        for estimate in (
            lambda m: corrected(m.trajectory, m.query_gradient, found.trust()),
            lambda m: m.query_gradient,
        )
    ]
    assert errors[0] < 0.8 * errors[1]


def test_inner_loop_lowers_its_loss_and_one_shot_stays_finite() -> None:
    found = model("conv2", "fc", steps=8)
    losses = found.measure(MAPS).trajectory.losses
    assert losses[-1] < losses[0]
    single = task(6 * 8 * 8, ways=2, shots=1)
    gradient = found.train().meta_gradient(episode_loss(found, single))
    assert all(bool(value.isfinite().all()) for value in gradient.values())
    assert not found.eval().adapt(single).vector.any()  # nothing could be left out


def test_adapting_changes_nothing_and_reads_no_query() -> None:
    found = model("conv2", "fc")
    before = {name: value.clone() for name, value in found.state_dict().items()}
    first = found.adapt(MAPS)
    again = found.adapt(replace(MAPS, query=MAPS.query[:0], query_targets=MAPS.query_targets[:0]))
    assert torch.equal(first.vector, again.vector)
    assert first.vector.abs().max() > 0.01
    assert torch.equal(first.stack.weight, again.stack.weight)
    assert all(torch.equal(before[name], value) for name, value in found.state_dict().items())


def test_saved_and_loaded_it_answers_as_before_without_the_trunk_in_the_file(tmp_path: Path) -> None:
    found = model("conv2", "fc")
    with torch.no_grad():
        for value in found.parameters():
            value.add_(0.05)
    found.save(tmp_path / "m.safetensors", {"trained_on": ["s"]})
    assert not any("convolutions" in name for name in load_file(tmp_path / "m.safetensors"))
    again = CnnMetaModel.load(tmp_path / "m.safetensors", backbone()).double()
    state = found.state_dict()
    assert all(torch.equal(state[name], value) for name, value in again.state_dict().items())
    torch.testing.assert_close(again.episode(MAPS, CHANCE).logits, found.episode(MAPS, CHANCE).logits)
    with pytest.raises(ModelError, match="another backbone"):
        CnnMetaModel.load(tmp_path / "m.safetensors", replace(backbone(), sha256="2" * 64))
    with pytest.raises(ModelError, match="stands on efficientnet_lite0, found the backbone tiny"):
        CnnMetaModel.load(tmp_path / "m.safetensors", tiny_backbone())


def test_space_of_sets_finds_the_directions_classes_vary_in() -> None:
    random = torch.Generator().manual_seed(0)
    targets = torch.arange(2).repeat(200)
    features = torch.randn(400, 6, generator=random) * torch.tensor([5.0, 1, 1, 1, 1, 1])
    features[:, 1] += 30 * targets
    space = Space.of([(features, targets)], (6,))
    torch.testing.assert_close(space.centre, features.double().mean(dim=0))
    assert float(space.basis[0, 0].abs()) > 0.95
    assert float(space.variances[0]) > 5 * float(space.variances[1])
