"""Moto's STS, with AWS's judgement of who may assume a role: moto gives every role to everybody.

The files follow moto's own layout (`models`, `responses`, `urls`), which is how moto finds them.
"""

from sandbox.services.aws.sts.models import extend_moto

__all__ = ["extend_moto"]
