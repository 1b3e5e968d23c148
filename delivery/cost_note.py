"""The cost of a change in words, for the note, and of a stack, for people who ask at any time."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from delivery.cost import GroupChange, HourlyCost, NodeGroup, at_most, total
from delivery.markdown import code, count, row, table_head
from delivery.prices import Prices

NOT_COUNTED = "the cluster, managers, data transfer, KMS, S3 and logs"

_HEADING = "### What it may cost"


def section(
    changes: Sequence[GroupChange], repositories: int, region: str | None, prices: Prices
) -> tuple[str, list[str]] | None:
    """The section's head and its items, if the update changes what nodes or images may cost."""
    storage = _storage(repositories, prices)
    if not changes:
        return (f"{_HEADING}\n", [storage]) if storage else None
    if region is None:
        return (f"{_HEADING}\n", ["The stack's file sets no `aws:region`, so no price is known."])
    before = total([change.before for change in changes], region, prices)
    after = total([change.after for change in changes], region, prices)
    lines = [_difference(before, after, changes), storage, _sources(region, prices)]
    head = "\n\n".join([_HEADING, *(line for line in lines if line)])
    titles = ["node group", "before", "after", "at most, an hour"]
    return f"{head}\n\n{table_head(titles)}", [_row(change, region, prices) for change in changes]


_IDLE = "When idle, $0 as before, but for warm capacity."


def of_stack(groups: Mapping[str, NodeGroup], region: str, prices: Prices) -> Iterator[str]:
    """Sentences without markup on what a stack's nodes cost."""
    for name, group in groups.items():
        yield f"{name}: {group}: {_cost(at_most(group, region, prices))}"
    all_nodes = _cost(total(list(groups.values()), region, prices))
    yield f"all nodes at once: {all_nodes}; idle: {_dollars(Decimal(0))}, but for warm capacity"
    yield f"images in ECR: {_dollars(prices.image_storage)} a GB-month"
    yield f"AWS's list prices in {region} ({prices.day}), without {NOT_COUNTED}"


def _difference(before: HourlyCost, after: HourlyCost, changes: Sequence[GroupChange]) -> str:
    if unknown := (before + after).unknown:
        missing = ", ".join(code(name) for name in unknown)
        return f"What the nodes cost at most is **not known**: there is no price of {missing}. {_IDLE}"
    difference = after.dollars - before.dollars
    only = changes[0].after if len(changes) == 1 and changes[0].before is None else None
    what = f": {code(str(only))}" if only else ""
    sign = "+" if difference >= 0 else "-"
    text = f"At most **{sign}{_dollars(abs(difference))} an hour**{what}, when all nodes run. {_IDLE}"
    if without := (before + after).without:
        text += f" Without the nodes' volumes: there is no price of {', '.join(map(code, without))}."
    return text


def _storage(repositories: int, prices: Prices) -> str:
    if not repositories:
        return ""
    new = count(repositories, "new repository", "new repositories")
    return f"{new}: images that stay cost {_dollars(prices.image_storage)} a GB-month in ECR."


def _sources(region: str, prices: Prices) -> str:
    return (
        f"AWS's list prices in {code(region)}, of Linux on demand, which is the most that spot costs, and of gp3 "
        f"volumes ({prices.day}, `delivery/prices.json`). Not counted: {NOT_COUNTED}."
    )


def _row(change: GroupChange, region: str, prices: Prices) -> str:
    before, after = at_most(change.before, region, prices), at_most(change.after, region, prices)
    groups = [code(str(group)) if group else "none" for group in (change.before, change.after)]
    costs = ("unknown" if cost.unknown else _cost(cost) for cost in (before, after))
    return row([code(change.name), *groups, " → ".join(costs)])


def _cost(cost: HourlyCost) -> str:
    if cost.unknown:
        return f"unknown, without a price of {', '.join(cost.unknown)}"
    return f"{_dollars(cost.dollars)} an hour" + (", without volumes" if cost.without else "")


def _dollars(amount: Decimal) -> str:
    return f"${amount:,.2f}"
