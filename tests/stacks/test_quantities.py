"""Kubernetes quantities compare by value."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.quantities import Quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("6", 6),
        ("500m", Decimal("0.5")),
        ("0.5", Decimal("0.5")),
        ("13Gi", 13 * 2**30),
        ("1k", 1000),
        ("2M", 2000000),
    ],
)
def test_suffixes_scale(text: str, value: Decimal) -> None:
    assert Quantity(text).value == value


def test_two_notations_of_one_amount_are_equal() -> None:
    assert Quantity("1024Mi") == Quantity("1Gi")
    assert hash(Quantity("1000m")) == hash(Quantity("1"))
    assert Quantity("1G") < Quantity("1Gi")
    assert not Quantity("1000m") < Quantity("1")


@pytest.mark.parametrize("text", ["", "Gi", "-1", "1 Gi", "1gi", "1e3", "five", "1.", ".5", "1\n"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        Quantity(text)


def test_gibibytes_are_rounded_down() -> None:
    assert str(Quantity.gibibytes(Decimal("13.999"))) == "13.99Gi", "a message would promise more than a node has"
    assert str(Quantity.gibibytes(Decimal(20))) == "20Gi"


@given(st.integers(1, 10**6), st.sampled_from(["m", "", "k", "Ki", "Mi", "Gi"]))
def test_a_quantity_prints_as_it_was_written(number: int, suffix: str) -> None:
    assert str(Quantity(f"{number}{suffix}")) == f"{number}{suffix}"


def test_less_than_nothing_is_shown_as_nothing() -> None:
    """A node whose disk is smaller than what is reserved has a negative amount of storage."""
    assert str(Quantity.gibibytes(Decimal("-0.1"))) == "0Gi"


@pytest.mark.parametrize("text", ["9" * 19, "0." + "1" * 10, "٣"])
def test_more_digits_than_kubernetes_keeps_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        Quantity(text)
