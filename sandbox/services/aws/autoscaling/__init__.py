"""Auto Scaling as moto has it, but for what moto answers with an internal error."""

from sandbox.services.aws.autoscaling.models import extend_moto

__all__ = ["extend_moto"]
