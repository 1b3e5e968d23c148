"""Kubernetes quantities: `"6"`, `"500m"`, `13Gi`."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import total_ordering
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from stacks.problems import refusal

_SUFFIXES = {
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
PATTERN = r"^\d+(\.\d+)?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
"""Kubernetes' grammar without signs and exponents, which make no sense in a size."""

GIBIBYTE = Decimal(1024) ** 3


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
        if not re.fullmatch(PATTERN, self.text):
            raise ValueError(f"{self.text!r} is not a Kubernetes quantity")

    @property
    def value(self) -> Decimal:
        """The amount in cores or bytes."""
        number = self.text.rstrip("numkMGTPEi")
        return Decimal(number) * _SUFFIXES[self.text[len(number) :]]

    @classmethod
    def gibibytes(cls, amount: Decimal) -> "Quantity":
        """`amount` GiB, rounded down to two decimal places, for messages."""
        return cls(f"{amount.quantize(Decimal('0.01'), rounding='ROUND_DOWN').normalize():f}Gi")

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
        if isinstance(raw, bool) or not re.fullmatch(PATTERN, str(raw)):
            raise refusal(f"{raw!r} is not a Kubernetes quantity", 'Write it as "2", "500m" or 8Gi.')
        return cls(str(raw))

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
