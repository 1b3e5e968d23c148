"""Kubernetes quantities: `"6"`, `"500m"`, `13Gi`."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import total_ordering
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from stacks.problems import echo, refusal

_SUFFIXES = {
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
PATTERN = r"^[0-9]{1,18}(\.[0-9]{1,9})?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
"""Kubernetes' grammar without signs and exponents, which make no sense in a size, and with as many digits as it keeps.
"""

LARGEST = Decimal(2) ** 63 - 1
"""Kubernetes reads a larger quantity as this one."""

GIBIBYTE = Decimal(1024) ** 3


def _is_quantity(text: str) -> bool:
    return re.fullmatch(PATTERN, text) is not None


@total_ordering
@dataclass(frozen=True, eq=False)
class Quantity:
    """An amount of a resource. It compares by value, and prints as it was written.

    `text` is Kubernetes' notation (CPU in cores, memory and storage in bytes); `0.5` and `500m` are equal.
    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

    Raises `ValueError` for any other text.
    """

    text: str

    def __post_init__(self) -> None:
        if not _is_quantity(self.text):
            raise ValueError(f"{self.text!r} is not a Kubernetes quantity")

    @property
    def value(self) -> Decimal:
        """The amount in cores or bytes."""
        number = self.text.rstrip("numkMGTPEi")
        return Decimal(number) * _SUFFIXES[self.text[len(number) :]]

    @classmethod
    def gibibytes(cls, amount: Decimal) -> "Quantity":
        """`amount` GiB, rounded down to two decimal places, for messages. A negative amount is nothing."""
        return cls(f"{max(amount, Decimal(0)).quantize(Decimal('0.01'), rounding='ROUND_DOWN').normalize():f}Gi")

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.value == other.value

    def __lt__(self, other: "Quantity") -> bool:
        return self.value < other.value

    def __hash__(self) -> int:
        return hash(self.value)

    @classmethod
    def _parse(cls, raw: Any) -> "Quantity":
        if isinstance(raw, Quantity):
            return raw
        if isinstance(raw, bool) or not isinstance(raw, str | int | float) or not _is_quantity(str(raw)):
            raise refusal(f"{echo(raw)} is not a Kubernetes quantity", 'Write it as "2", "500m" or 8Gi.')
        quantity = cls(str(raw))
        if quantity.value > LARGEST:
            raise refusal(f"{quantity} is more than Kubernetes can count", "Use a smaller quantity.")
        return quantity

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "pattern": PATTERN}, {"type": "number", "minimum": 0}]}
