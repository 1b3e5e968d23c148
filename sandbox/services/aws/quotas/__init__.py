"""AWS's Service Quotas for the services of a stack, which moto lacks."""

from sandbox.services.aws.quotas.models import extend_moto

__all__ = ["extend_moto"]
