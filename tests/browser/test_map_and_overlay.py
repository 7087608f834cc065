"""A point of the map opens its scan, and the places that decided are shown over it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from workbench import LONG, Adapted, Server, click_mark, listed_cases, open_page, settle


def click_point(page: Page, run: Adapted, file: str) -> None:
    """Click a scan's mark with the mouse; marks stand class by class, a star after each class's scans."""
    points = run.evaluation["map"]["points"]
    order: list[str] = []
    for label in run.evaluation["classes"]:
        order += [point["file"] for point in points if point["label"] == label]
        order.append("star")
    chart = page.get_by_test_id("stPlotlyChart").filter(has_text="Second direction")
    mark = chart.locator(".scatterlayer .point").nth(order.index(file))
    settle(page)
    click_mark(page, mark, chart.locator(".hovertext").filter(has_text=file))


def apart(run: Adapted) -> list[str]:
    """Files of the scans that lie farthest from any other on the map, so that a click hits no neighbour."""
    points = run.evaluation["map"]["points"]

    def room(one: dict[str, float]) -> float:
        return min(
            (one["x"] - two["x"]) ** 2 + (one["y"] - two["y"]) ** 2 for two in points if two is not one
        )

    return [str(point["file"]) for point in sorted(points, key=room, reverse=True)]


def test_a_point_of_the_map_opens_its_scan(adapted: Adapted, page: Page, server: Server) -> None:
    open_page(page, server, "Evaluate", task=adapted.task_id, job=adapted.job_id)
    page.get_by_role("heading", name="One scan up close").wait_for()
    settle(page)
    for file in [*apart(adapted)[:2], apart(adapted)[0]]:  # and back again
        click_point(page, adapted, file)
        expect(page.get_by_text(re.compile(rf"^Label: .* · {re.escape(file)}$"))).to_be_visible()
        settle(page)
        assert listed_cases(page, "close-up") == {file}


def test_the_places_that_decided_are_shown_and_survive_a_refresh(
    adapted: Adapted, page: Page, server: Server
) -> None:
    open_page(page, server, "Evaluate", task=adapted.task_id, job=adapted.job_id)
    page.get_by_role("button", name="Show the places").click()
    overlay = page.get_by_role("img", name=re.compile("orange places speak for"))
    overlay.wait_for(timeout=LONG)
    settle(page)
    before = overlay.get_attribute("src")
    slider = page.get_by_role("slider", name="Strength of the colours, in %")
    slider.focus()
    slider.press("Home")
    expect(overlay).not_to_have_attribute("src", before or "")
    page.reload()
    page.get_by_role("img", name=re.compile("orange places speak for")).wait_for()
