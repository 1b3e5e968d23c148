"""The quotas of an account that has been in use for a while: those of EC2 are raised, the rest are AWS's defaults.

Codes, names and defaults: https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html
"""

from typing import Any, NamedTuple

from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.models import ServiceQuotasBackend, servicequotas_backends


class _Quota(NamedTuple):
    service: str
    code: str
    name: str
    default: float
    applied: float


_STANDARD = "Standard (A, C, D, H, I, M, R, T, Z)"
_QUOTAS = (
    _Quota("ec2", "L-1216C47A", f"Running On-Demand {_STANDARD} instances", 5, 1920),
    _Quota("ec2", "L-34B43A08", f"All {_STANDARD} Spot Instance Requests", 5, 1920),
    _Quota("eks", "L-6D54EA21", "Managed node groups per cluster", 30, 30),
    _Quota("ecr", "L-CFEB8E8D", "Registered repositories", 100_000, 100_000),
    _Quota("iam", "L-FE177D64", "Roles per account", 1000, 1000),
)

_GLOBAL = {"iam": "us-east-1"}
"""The region that knows the quotas of a service without regions.

Source: https://docs.aws.amazon.com/servicequotas/latest/userguide/intro.html
"""


def extend_moto() -> None:
    """Let moto make this backend for every account and region."""
    servicequotas_backends.backend = QuotasBackend


class QuotasBackend(ServiceQuotasBackend):
    def get_service_quota(self, service_code: str, quota_code: str) -> dict[str, Any]:
        quota = self._find(service_code, quota_code)
        return self._entity(quota, quota.applied)

    def default_quota(self, service_code: str, quota_code: str) -> dict[str, Any]:
        quota = self._find(service_code, quota_code)
        return self._entity(quota, quota.default)

    def _find(self, service: str, code: str) -> _Quota:
        for quota in _QUOTAS:
            if (quota.service, quota.code) == (service, code) and _GLOBAL.get(service, self.region_name) == (
                self.region_name
            ):
                return quota
        raise NoSuchResource

    def _entity(self, quota: _Quota, value: float) -> dict[str, Any]:
        is_global = quota.service in _GLOBAL
        scope = "" if is_global else self.region_name
        return {
            "ServiceCode": quota.service,
            "QuotaArn": f"arn:{self.partition}:servicequotas:{scope}:{self.account_id}:{quota.service}/{quota.code}",
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "Value": value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": is_global,
        }
