"""AWS's partitions, compared with what AWS's own client knows."""

import json
import re
from pathlib import Path
from typing import Any

import botocore
import pytest

from pipeline import scripts
from stacks.partitions import ECR_HOST, PARTITIONS, partition_of, registry_host

[IN_JOBS] = re.findall(r'^ECR = re.compile\(r"(.*?)"\)', scripts.function("explain", "refusals.py"), re.M)
_FILE = Path(botocore.__file__).parent / "data" / "partitions.json"
KNOWN: list[dict[str, Any]] = json.loads(_FILE.read_text())["partitions"]
REGIONS = [(region, each) for each in KNOWN for region in each["regions"] if not region.endswith("-global")]


@pytest.mark.parametrize(("region", "known"), REGIONS, ids=[region for region, _ in REGIONS])
def test_every_region_has_its_partition_and_domain(region: str, known: dict[str, Any]) -> None:
    assert partition_of(region).name == known["id"]
    host = registry_host("123456789012", region)
    assert host == f"123456789012.dkr.ecr.{region}.{known['outputs']['dnsSuffix']}"
    assert re.fullmatch(ECR_HOST, host)
    assert re.fullmatch(IN_JOBS, host), "a job would not say which right is missing"


def test_there_is_no_other_partition() -> None:
    assert {each.name for each in PARTITIONS} == {each["id"] for each in KNOWN}
