"""The operations of Service Quotas that moto lacks."""

import json
from typing import cast

from moto.servicequotas.responses import ServiceQuotasResponse

from sandbox.services.aws.quotas.models import QuotasBackend


class QuotasResponse(ServiceQuotasResponse):
    def get_aws_default_service_quota(self) -> str:
        wanted = json.loads(self.body)
        backend = cast("QuotasBackend", self.backend)
        return json.dumps({"Quota": backend.default_quota(wanted["ServiceCode"], wanted["QuotaCode"])})
