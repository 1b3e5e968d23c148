"""AWS's list prices, from a file with their date and source. What is not in it is unknown, and never guessed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("prices.json")

HOURS_PER_MONTH = 730
"""As AWS's calculator counts. Source: https://aws.amazon.com/calculator/calculator-assumptions/"""
BASELINE_IOPS = 3000
BASELINE_THROUGHPUT = 125
"""The speed of a gp3 volume without a charge. Source: https://aws.amazon.com/ebs/pricing/"""


class UnknownPriceError(Exception):
    """A price that the file does not have. The message names it."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars: of instances on demand by the hour, of storage by the month."""

    instances: Mapping[str, Mapping[str, Decimal]]
    volumes: Mapping[str, tuple[Decimal, Decimal, Decimal]]
    """By region, for gp3: a GB, one of IOPS and one MiB/s above the baseline."""
    image_storage: Decimal
    """A GB of images in ECR."""
    day: date
    source: str

    def instance_hour(self, region: str, instance_type: str) -> Decimal:
        """An hour of an instance with Linux, on demand. Raises `UnknownPriceError`."""
        try:
            return self.instances[region][instance_type]
        except KeyError:
            raise UnknownPriceError(f"{instance_type} in {region}") from None

    def volume_hour(self, region: str, *, gigabytes: int, iops: int, throughput: int) -> Decimal:
        """An hour of a gp3 volume. Raises `UnknownPriceError`."""
        if region not in self.volumes:
            raise UnknownPriceError(f"gp3 volumes in {region}")
        storage, operation, megabyte = self.volumes[region]
        month = (
            gigabytes * storage
            + max(0, iops - BASELINE_IOPS) * operation
            + max(0, throughput - BASELINE_THROUGHPUT) * megabyte
        )
        return month / HOURS_PER_MONTH


@cache
def load() -> Prices:
    """The prices in the committed file."""
    return read(json.loads(FILE.read_text(encoding="utf-8"), parse_float=Decimal, parse_int=Decimal))


def read(content: Mapping[str, Any]) -> Prices:
    """The prices in the file's form."""
    instances = content["instances"]
    sizes = instances["types"]
    return Prices(
        instances={
            region: {each: price for each, price in zip(sizes, row, strict=True) if price is not None}
            for region, row in instances["regions"].items()
        },
        volumes={region: (row[0], row[1], row[2]) for region, row in content["gp3"]["regions"].items()},
        image_storage=content["ecr"]["gigabyte-month"],
        day=date.fromisoformat(instances["date"]),
        source=instances["source"],
    )


def dearest(prices: Prices, region: str, instance_types: Iterable[str]) -> Decimal:
    """The price of the most expensive of these types. Raises `UnknownPriceError` with all that are unknown."""
    known, unknown = [], []
    for each in instance_types:
        try:
            known.append(prices.instance_hour(region, each))
        except UnknownPriceError:
            unknown.append(each)
    if unknown or not known:
        raise UnknownPriceError(f"{', '.join(unknown) or 'no instance type'} in {region}")
    return max(known)
