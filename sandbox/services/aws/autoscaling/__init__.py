"""Moto's Auto Scaling, with AWS's error in a case where moto fails internally."""

from sandbox.services.aws.autoscaling.models import extend_moto

__all__ = ["extend_moto"]
