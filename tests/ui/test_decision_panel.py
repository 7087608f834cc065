"""The threshold slider and the plots beside it, as Streamlit runs them."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page(patients: int, enough: bool) -> None:
    """Class ill at 0.9, 0.8, ...; healthy at 0.05, 0.15, ...; one scan a patient."""
    from medmeta.evaluation import metrics
    from medmeta.evaluation.intervals import clustered_accuracy
    from medmeta.evaluation.result import LEAVE_ONE_GROUP_OUT, Case, Evaluation, ReliabilityPoint
    from medmeta.ui.decision import sureness_panel, threshold_panel

    classes = ("<b>ill</b>", "healthy")
    cases = []
    for i in range(patients):
        for label, p in ((classes[0], 0.9 - 0.1 * i), (classes[1], 0.05 + 0.1 * i)):
            said = classes[int(p < 0.5)]
            cases.append(
                Case(f"{label}{i}", f"{label}{i}", f"{label}{i}", label, said, (p, 1 - p), False, 0.0)
            )
    count = metrics.count_patients(metrics.patients_right(cases, classes))
    confusion = metrics.confusion_matrix(
        [classes.index(c.label) for c in cases], [classes.index(c.predicted) for c in cases], 2
    )
    evaluation = Evaluation(
        "t", "anchor", LEAVE_ONE_GROUP_OUT, classes, len(cases), count.n, count.n, 1.0, count.rate,
        clustered_accuracy(count.rate, count.n), count, 0.5, None, confusion, (), tuple(cases), (), (), {},
        reliability=(ReliabilityPoint(0.7, 0.6, 50),) if enough else (),
    )  # fmt: skip
    threshold_panel(evaluation, "t")
    sureness_panel(evaluation, "t")


def run(patients: int, enough: bool = False) -> AppTest:
    app = AppTest.from_function(page, args=(patients, enough), default_timeout=60).run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    return "\n".join(
        str(item.value) for kind in (app.markdown, app.caption, app.info) for item in kind
    ).replace("\\", "")


def test_the_slider_moves_the_counts_and_the_net_benefit() -> None:
    app = run(6)
    # From 50 % on: ill 0.9 to 0.5 (5 of 6), healthy 0.55 (1 of 6).
    assert "5 of 6 scans found, in 6 patients" in said(app)
    assert "1 of 6 other scans wrongly called" in said(app)
    table, worth = app.dataframe
    assert table.value[["Called it", "Not called it"]].to_numpy().tolist() == [[5, 1], [1, 5]]
    # 0.1 * 5/6 - 0.9 * 1/6 = -0.0667: calling nobody is better.
    assert worth.value["Worth per 100 people"].tolist() == ["−6.7", "−80.0", "0.0"]
    assert "calling nobody does as well or better" in said(app)
    app.slider(key="t-threshold").set_value(60).run()
    assert not app.exception
    # From 60 % on: ill 0.9, 0.8, 0.7, 0.6 (4 of 6), no healthy: 0.1 * 4/6.
    assert "4 of 6 scans found" in said(app)
    assert "0 of 6 other scans wrongly called" in said(app)
    assert app.dataframe[1].value["Worth per 100 people"].tolist()[0] == "6.7"
    assert "6.7 more true calls per 100 people than calling nobody" in said(app)
    app.number_input(key="t-prevalence").set_value(30).run()
    assert app.dataframe[1].value["Worth per 100 people"].tolist()[0] == "20.0"


def test_the_class_can_be_chosen_and_its_name_is_harmless() -> None:
    app = run(6)
    everything = "\n".join(str(item.value) for item in app.markdown)
    assert "<b>" not in everything.replace("\\<b", "")
    app.slider(key="t-threshold").set_value(90).run()
    app.selectbox(key="t-class").set_value("healthy").run()
    # Healthy at 0.95, ...: only the first from 90 % on; of the ill none.
    assert "1 of 6 scans found" in said(app)
    assert "0 of 6 other scans" in said(app)


def test_it_warns_that_a_chosen_threshold_is_flattered() -> None:
    assert "A threshold chosen here is flattered" in said(run(5))


def test_too_few_patients_hide_it_with_the_reason() -> None:
    app = run(4)
    assert len(app.slider) == 0
    assert "needs 5 patients with it and as many without, found 4 and 4" in said(app)
    assert "needs 10 patients, found 8" in said(app)
    assert "needs 50 patients, found 8" in said(app)
    assert len(app.get("plotly_chart")) == 0


def test_plots_come_with_enough_patients() -> None:
    assert len(run(5).get("plotly_chart")) == 1
    assert len(run(5, enough=True).get("plotly_chart")) == 2
