"""Left-out answers are those of the other patients' means; sets hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import conformal


def test_left_out_answers_do_not_know_the_patient() -> None:
    support = conformal.drawn(9, np.random.default_rng(0))
    rows = conformal.left_out(support)
    rest = np.arange(9) != 4
    alone = conformal.chances((support[0][rest], support[1][rest]), support[0][4:5])
    assert rows[4] == pytest.approx(alone[0])


@pytest.mark.parametrize("query", [True, False])
def test_sets_hold_about_nine_in_ten(query: bool) -> None:
    share, least, size = conformal.study(27, 60, 0, query=query)
    assert 0.87 <= share <= 0.97
    assert least <= share
    assert 1.0 <= size <= 3.0
    with pytest.raises(ValueError, match="too few"):
        conformal.study(6, 1, 0, query=query)
