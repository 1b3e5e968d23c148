"""Tests of what a change costs: prices, node groups in previews and settings, and the note's words."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery import prices
from delivery.cost import HourlyCost, NodeGroup, Volume, at_most, of_preview, of_settings, total
from delivery.cost_note import of_stack
from delivery.note import note
from delivery.preview import Preview
from delivery.prices import UnknownPriceError, dearest
from stacks import config
from stacks.architecture import Architecture
from tests.delivery.previews import PLATFORM, Step, preview, step
from tests.stacks.stack_settings import settings

GROUP, TEMPLATE = "aws:eks/nodeGroup:NodeGroup", "aws:ec2/launchTemplate:LaunchTemplate"
REGION = "eu-central-1"
PRICES = prices.load()
M7G = PRICES.instance_hour(REGION, "m7g.4xlarge")


def group(size: int = 10, types: tuple[str, ...] = ("m7g.4xlarge",), capacity: str = "SPOT") -> dict[str, Any]:
    return {
        "instanceTypes": list(types),
        "scalingConfig": {"maxSize": size, "minSize": 0, "desiredSize": 0},
        "capacityType": capacity,
    }


def template(size: int = 200, iops: int = 6000, throughput: int = 500) -> dict[str, Any]:
    return {"blockDeviceMappings": [{"ebs": {"volumeSize": size, "iops": iops, "throughput": throughput}}]}


def below(name: str, *steps: Step) -> list[Step]:
    """The steps as children of one component."""
    parent = f"{PLATFORM}-{name}"
    for each in steps:
        for state in ("oldState", "newState"):
            if state in each:
                each[state]["parent"] = parent
    return list(steps)


def hourly(found: Preview) -> Decimal:
    """The most that the change adds to an hour."""
    changes = of_preview(found)
    before = total([change.before for change in changes], REGION, PRICES)
    after = total([change.after for change in changes], REGION, PRICES)
    return after.dollars - before.dollars


def test_a_group_costs_its_dearest_type_with_its_volume_for_every_node() -> None:
    nodes = NodeGroup(
        instance_types=("m7g.4xlarge", "m6g.4xlarge"),
        max_size=10,
        spot=True,
        volumes=(Volume(gigabytes=200, iops=6000, throughput=500),),
    )
    disk = (200 * Decimal("0.0952") + 3000 * Decimal("0.006") + 375 * Decimal("0.0476")) / 730
    assert at_most(nodes, REGION, PRICES) == HourlyCost(dollars=10 * (Decimal("0.7821") + disk))


@pytest.mark.parametrize("capacity", ["SPOT", "ON_DEMAND"])
def test_spot_costs_at_most_what_on_demand_costs(capacity: str) -> None:
    steps = below(
        "arm64", step("create", GROUP, new=group(capacity=capacity)), step("create", TEMPLATE, new=template())
    )
    assert hourly(preview(*steps)) > 10 * M7G


def test_a_larger_maximum_costs_the_difference_with_the_volumes_of_the_template_that_stays() -> None:
    steps = below(
        "arm64",
        step("update", GROUP, old=group(10), new=group(20), details={"scalingConfig.maxSize": "update"}),
        step("same", TEMPLATE, old=template(), new=template()),
    )
    [change] = of_preview(preview(*steps))
    assert change.after == NodeGroup(
        instance_types=("m7g.4xlarge",),
        max_size=20,
        spot=True,
        volumes=(Volume(gigabytes=200, iops=6000, throughput=500),),
    )
    assert round(hourly(preview(*steps)), 6) == round(at_most(change.after, REGION, PRICES).dollars / 2, 6)


def test_a_larger_disk_alone_changes_the_cost_of_a_group_that_stays() -> None:
    steps = below(
        "arm64",
        step("same", GROUP, old=group(), new=group()),
        step("update", TEMPLATE, old=template(200), new=template(400), details={"blockDeviceMappings": "update"}),
    )
    assert round(hourly(preview(*steps)), 6) == round(10 * 200 * Decimal("0.0952") / 730, 6)


def test_a_second_disk_costs_as_much_as_its_size_and_speed() -> None:
    two = template()
    two["blockDeviceMappings"] += template(100, 3000, 225)["blockDeviceMappings"]
    steps = below(
        "arm64",
        step("same", GROUP, old=group(), new=group()),
        step("update", TEMPLATE, old=template(), new=two, details={"blockDeviceMappings[1]": "add"}),
    )
    disk = (100 * Decimal("0.0952") + 100 * Decimal("0.0476")) / 730
    assert round(hourly(preview(*steps)), 6) == round(10 * disk, 6)


def test_the_second_disk_of_the_settings_is_counted() -> None:
    nodes = {"arm64": {"instance-types": ["m7g.4xlarge"], "cache": {"size": "100Gi", "iops": 4000, "throughput": 250}}}
    [of_nodes] = of_settings(settings(nodes=nodes)).values()
    assert of_nodes.volumes[1:] == (Volume(gigabytes=100, iops=4000, throughput=250),)


def test_a_deleted_group_costs_nothing_any_more() -> None:
    steps = below("arm64", step("delete", GROUP, old=group()), step("delete", TEMPLATE, old=template()))
    text = note("dev", preview(*steps), region=REGION)
    assert hourly(preview(*steps)) < 0
    assert "At most **-$8." in text
    assert "→ $0.00 an hour" in text


def test_each_group_has_the_template_of_its_own_component() -> None:
    steps = [
        *below("arm64", step("create", GROUP, "a", new=group()), step("create", TEMPLATE, "a", new=template(100))),
        *below("amd64", step("create", GROUP, "b", new=group()), step("create", TEMPLATE, "b", new=template(300))),
    ]
    sizes = {change.name: change.after.volumes for change in of_preview(preview(*steps)) if change.after}
    assert {name: volume.gigabytes for name, [volume] in sizes.items()} == {"a": 100, "b": 300}


def test_a_change_of_something_else_has_no_section() -> None:
    changed = step("update", "aws:iam/role:Role", old={"a": "b"}, new={"a": "c"}, details={"a": "update"})
    assert "What it may cost" not in note("dev", preview(changed), region=REGION)


def test_new_repositories_cost_what_they_store() -> None:
    text = note("dev", preview(step("create", "aws:ecr/repository:Repository", new={"name": "web"})), region=REGION)
    assert "1 new repository: images that stay cost $0.10 a GB-month in ECR." in text


def test_what_is_unknown_is_said_and_not_guessed() -> None:
    steps = below("arm64", step("create", GROUP, new=group(types=("x9z.4xlarge", "m7g.4xlarge"))))
    text = note("dev", preview(*steps), region=REGION)
    assert "there is no price of `x9z.4xlarge in eu-central-1`" in text
    assert "unknown |" in text
    assert "there is no price of `m7g.4xlarge in mars-north-1`" in note(
        "dev", preview(*below("arm64", step("create", GROUP, new=group()))), region="mars-north-1"
    )
    assert "sets no `aws:region`" in note("dev", preview(*steps))


def test_volumes_without_a_price_are_left_out_and_named() -> None:
    steps = below("arm64", step("create", GROUP, new=group()), step("create", TEMPLATE, new=template()))
    text = note("dev", preview(*steps), region="ap-east-1")
    assert "At most **+$8.98 an hour**" in text
    assert "Without the nodes' volumes: there is no price of `gp3 volumes in ap-east-1`." in text
    assert "$8.98 an hour, without volumes |" in text


def test_the_cost_comes_after_the_dangers_and_before_the_table() -> None:
    steps = below("arm64", step("delete", GROUP, old=group()), step("delete", TEMPLATE, old=template()))
    text = note(
        "dev", preview(*steps, step("delete", "aws:ecr/repository:Repository", "r", {"name": "r"})), region=REGION
    )
    order = [text.index(heading) for heading in ("### Look at this first", "### What it may cost", "### What changes")]
    assert order == sorted(order)


def test_every_default_and_the_examples_regions_have_prices() -> None:
    for architecture in Architecture:
        for region in ("eu-central-1", "ap-east-1", "us-east-1"):
            assert dearest(PRICES, region, architecture.instance_types) > 0
    settings = config.read_file("dev")
    for nodes in settings.nodes.values():
        assert dearest(PRICES, config.region("dev") or "", nodes.instance_types) > 0


def test_a_type_without_a_price_is_named() -> None:
    with pytest.raises(UnknownPriceError, match=r"a\.b, c\.d in eu-central-1"):
        dearest(PRICES, REGION, ["a.b", "m7g.4xlarge", "c.d"])


def test_a_stacks_cost_can_be_told_from_its_settings() -> None:
    groups = of_settings(config.read_file("dev"))
    assert list(groups) == ["protected, arm64", "protected, amd64", "unprotected, arm64", "unprotected, amd64"]
    lines = list(of_stack(groups, REGION, PRICES))
    assert lines[0].startswith("protected, arm64: 2 \N{MULTIPLICATION SIGN} m7g.2xlarge or m6g.2xlarge, spot: $")
    assert "idle: $0.00" in lines[-3]


json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@given(types=json_values, scaling=json_values, size=json_values, devices=json_values, disk=json_values)
def test_any_inputs_of_a_node_group_can_be_read(types: Any, scaling: Any, size: Any, devices: Any, disk: Any) -> None:
    for old, new in (
        ({"instanceTypes": types, "scalingConfig": scaling}, {"blockDeviceMappings": devices}),
        ({"scalingConfig": {"maxSize": size}}, {"blockDeviceMappings": [{"ebs": disk}, devices]}),
        ({"instanceTypes": ["m7g.4xlarge"]}, {"blockDeviceMappings": [{"ebs": {"volumeSize": size, "iops": disk}}]}),
    ):
        steps = below("arm64", step("create", GROUP, new=old), step("create", TEMPLATE, new=new))
        note("dev", preview(*steps), region=REGION)
