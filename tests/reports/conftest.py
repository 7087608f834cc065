"""An evaluation with hostile names, drawn from a seed; and thumbnails for it."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from medmeta.evaluation import metrics
from medmeta.evaluation.intervals import clustered_accuracy, paired_difference
from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Case, Comparison, Evaluation

HOSTILE = (
    "normal",
    "<script>alert(1)</script>",
    '=cmd|" /C calc"!A0',
    "Größe 正常 <a href='http://evil.example'>x</a>",
)


def build(classes: tuple[str, ...] = HOSTILE, patients: int = 5, seed: int = 0) -> Evaluation:
    """Two scans a patient; every file name carries markup."""
    rng = np.random.default_rng(seed)
    cases = []
    for i, label in enumerate(classes):
        for j in range(2 * patients):
            p = rng.dirichlet(1 + 2.5 * (np.arange(len(classes)) == i))
            near = ((f"near{j}", "</script><img src=http://evil.example/x.png>", classes[0], 0.875),)
            cases.append(
                Case(
                    file=f"-2+3<b>&{label}/IM{j:04d}",
                    scan_id=f"{i}-{j}",
                    group=f"P-{i}{j // 2:09x}",
                    label=label,
                    predicted=classes[int(p.argmax())],
                    probabilities=tuple(map(float, p)),
                    abstained=bool(p.max() < 0.5),
                    out_of_domain=float(rng.gamma(4, 0.25)),
                    nearest=near,
                )
            )
    position = {name: k for k, name in enumerate(classes)}
    confusion = metrics.confusion_matrix(
        [position[c.label] for c in cases], [position[c.predicted] for c in cases], len(classes)
    )
    count = metrics.count_patients(metrics.patients_right(cases, classes))
    per_class = metrics.class_figures(cases, classes, confusion)
    accuracy = metrics.accuracy(confusion)
    return Evaluation(
        task="A task <script>alert(2)</script>",
        learner="anchor",
        protocol=LEAVE_ONE_GROUP_OUT,
        classes=classes,
        n_support=len(cases),
        n_support_groups=count.n,
        n_groups=count.n,
        seconds=2.5,
        accuracy=accuracy,
        interval=clustered_accuracy(accuracy, count.n),
        patients=count,
        balanced_accuracy=metrics.balanced_accuracy(confusion),
        auroc=metrics.mean_auroc(per_class),
        confusion=confusion,
        per_class=per_class,
        cases=tuple(cases),
        comparisons=(
            Comparison("prototypes", metrics.count_patients({"a": True, "b": False}), 0.5, 0.4, -0.1,
                       paired_difference(2, 4, 20)),
        ),
        notes=("A note with <i>markup</i>.",),
        provenance={"medmeta": "0.1.0", "baselines": ["prototypes"], "date": "2026-01-02T03:04:05+00:00"},
    )  # fmt: skip


@pytest.fixture
def evaluation() -> Evaluation:
    return build()


@pytest.fixture
def build_evaluation() -> Callable[..., Evaluation]:
    return build


@pytest.fixture(scope="module")
def build_evaluation_module() -> Callable[..., Evaluation]:
    """The same, for evaluations that a whole file shares."""
    return build


@pytest.fixture
def png() -> bytes:
    out = BytesIO()
    Image.fromarray(np.arange(96 * 96, dtype=np.uint16).reshape(96, 96).astype(np.uint8)).save(out, "PNG")
    return out.getvalue()
