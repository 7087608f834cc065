"""The plane of scans is that of principal components, with signs that do not wander."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from tiny_network import task, tiny_extractor

from medmeta.evaluation.protocols import evaluate
from medmeta.evaluation.scan_map import plane, scan_map
from medmeta.learners.ridge import ridge
from medmeta.reports.scan_map import map_figure, map_words


def test_the_plane_is_that_of_principal_components() -> None:
    rows = np.random.default_rng(0).normal(size=(12, 40)) * np.linspace(3, 1, 40)
    places, kept = plane(torch.tensor(rows))
    reference = PCA(2).fit(rows)
    expected = reference.transform(rows)
    expected *= np.sign(expected[np.abs(expected).argmax(axis=0), [0, 1]])
    assert places.numpy() == pytest.approx(expected, abs=1e-9)
    assert kept == pytest.approx(reference.explained_variance_ratio_.sum())


def test_labels_do_not_move_a_point() -> None:
    gaps = []
    for seed in range(30):
        noise = torch.randn(20, 500, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        places, _ = plane(noise)
        halves = torch.arange(20) % 2 == 0
        gaps.append(
            float(
                (places[halves].mean(dim=0) - places[~halves].mean(dim=0)).norm() / places.norm(dim=1).mean()
            )
        )
    # An axis fitted to the halves of so few rows of 500 numbers would set them fully apart, at a gap near 2.
    assert np.mean(gaps) < 0.7


def test_equal_scans_lie_together_and_nothing_is_left_to_show() -> None:
    places, kept = plane(torch.ones(4, 3, dtype=torch.float64))
    assert (places == 0).all()
    assert kept == 1.0


def test_support_and_query_stand_on_one_map_and_its_figure() -> None:
    support, query = task(("a", "b"), shots=4), task(("a", "b"), shots=3, first=50)
    for scan in query.scans:
        object.__setattr__(scan, "group", f"query {scan.file}")
    learner = ridge(tiny_extractor())
    model, evaluation = evaluate(learner, support, query)
    found = evaluation.map
    assert found == scan_map(model, support, query)  # type: ignore[arg-type]
    assert found is not None
    assert [point.learned for point in found.points] == [True] * 8 + [False] * 6
    assert "\u00a0% of the differences" in map_words(found)
    figure = map_figure(evaluation, found, chosen=query.scans[0].id)
    shown = [data[0] for trace in figure.data if trace.customdata is not None for data in trace.customdata]
    assert sorted(shown) == sorted(scan.id for scan in (*support.scans, *query.scans))
    symbols = {
        data[0]: symbol
        for trace in figure.data
        if trace.customdata is not None
        for data, symbol in zip(trace.customdata, trace.marker.symbol, strict=True)
    }
    for case in evaluation.cases:
        assert symbols[case.scan_id] == ("circle-open" if case.correct else "x")
    assert symbols[support.scans[0].id] == "circle"
