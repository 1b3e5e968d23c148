"""The dashboard: its queries as Prometheus reads them, and what Grafana needs to show it."""

from pathlib import Path
from typing import Any

import pytest

from components.monitoring.alerts import Watched
from components.monitoring.dashboard import dashboard
from tests.monitoring.conftest import NAMESPACES, Promtool, rules_file


@pytest.fixture
def panels(watched: Watched) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard(watched)["panels"]
    return found


def test_prometheus_takes_every_query(promtool: Promtool, tmp_path: Path, panels: list[dict[str, Any]]) -> None:
    values = {"$__rate_interval": "5m", "$namespace": ".+", "$project": ".+"}
    rules = []
    for panel in panels:
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in values.items():
                expression = expression.replace(variable, value)
            assert "$" not in expression, f"Grafana has no such variable: {expression}"
            rules.append({"record": f"panel:{panel['id']}:{target['refId']}", "expr": expression})
    done = promtool("check", "rules", rules_file(tmp_path, rules))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_query_is_about_the_stack_and_the_chosen_data_source(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        for target in panel["targets"]:
            assert "$namespace" in target["expr"] or "$project" in target["expr"], "other stacks would be counted"
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_rates_fit_the_interval_of_the_graph(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        for target in panel["targets"]:
            if "rate(" in target["expr"] or "increase(" in target["expr"]:
                assert "[$__rate_interval]" in target["expr"], "the graph would be empty at some zoom levels"


def test_every_panel_has_a_title_a_description_a_unit_and_a_place(panels: list[dict[str, Any]]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        x, y, width, height = (panel["gridPos"][key] for key in "xywh")
        cells = {(x + column, y + row) for column in range(width) for row in range(height)}
        assert not taken & cells, f"{panel['title']} is on top of another panel"
        assert x + width <= 24, "Grafana's grid has 24 columns"
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_dashboard_offers_the_tiers_of_its_stack(watched: Watched) -> None:
    variables = {each["name"]: each for each in dashboard(watched)["templating"]["list"]}
    assert variables["namespace"]["query"] == ",".join(NAMESPACES)
    assert variables["datasource"]["query"] == "prometheus"


def test_two_stacks_have_two_dashboards(watched: Watched) -> None:
    assert len(dashboard(watched)["uid"]) <= 40, "Grafana refuses it"
