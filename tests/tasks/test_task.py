"""Tasks refuse what would make every later figure a lie, and name the files."""

from __future__ import annotations

import numpy as np
import pytest

from medmeta.errors import TaskError
from medmeta.scans.scan import LabelledScan, Scan
from medmeta.tasks.task import check_disjoint, make_task


def item(value: int, label: str | None, group: str | None = None, file: str | None = None) -> LabelledScan:
    name = file or f"f{value}"
    return LabelledScan(Scan(name, np.full((1, 2, 2), value, np.uint8), group or f"g{value}"), label)


def test_classes_are_sorted_and_counted_by_patient() -> None:
    task = make_task([item(1, "b"), item(2, "a", "p"), item(3, "a", "p"), item(4, "a")])
    assert task.classes == ("a", "b")
    assert task.targets == (1, 0, 0, 0)
    assert task.groups_per_class() == {"a": 2, "b": 1}
    assert task.scans_per_class() == {"a": 3, "b": 1}


def test_the_same_pixels_under_two_labels_name_both_files() -> None:
    with pytest.raises(TaskError, match=r"two labels: left \(a\) and right \(b\)"):
        make_task([item(1, "a", file="left"), item(2, "b"), item(1, "b", file="right")])


def test_an_exact_copy_under_one_label_counts_once() -> None:
    assert len(make_task([item(1, "a"), item(1, "a", file="copy"), item(2, "b")]).scans) == 2


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([item(1, "a"), item(2, "a")], "at least 2 classes, found 1"),
        ([], "at least 2 classes, found 0"),
        ([item(1, "a"), item(2, None)], "1 scans have no label, the first is f2"),
    ],
)
def test_an_unfinished_task_says_what_is_missing(items: list[LabelledScan], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        make_task(items)


def test_subset_drops_absent_classes() -> None:
    task = make_task([item(1, "a"), item(2, "b"), item(3, "c")], descriptions={"a": "first", "c": "third"})
    cut = task.subset([2, 1])
    assert cut.classes == ("b", "c")
    assert cut.labels == ("c", "b")
    assert cut.descriptions == {"c": "third"}


def test_support_and_query_share_neither_pixels_nor_patients() -> None:
    support = make_task([item(1, "a"), item(2, "b", "p")])
    check_disjoint(support, make_task([item(3, "a"), item(4, "b")]))
    with pytest.raises(TaskError, match=r"same pixels.*\(f1\).*\(copy\)"):
        check_disjoint(support, make_task([item(1, "a", "other", "copy"), item(4, "b")]))
    with pytest.raises(TaskError, match=r"one patient.*\(f2\).*\(f5\)"):
        check_disjoint(support, make_task([item(5, "a", "p"), item(4, "b")]))
    with pytest.raises(TaskError, match="classes the support lacks: z"):
        check_disjoint(support, make_task([item(3, "a"), item(4, "z")]))
