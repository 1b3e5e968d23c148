"""Moto's IAM, with AWS's rules for names and permissions boundaries.

The files follow moto's own layout (`models`, `urls`), which is how moto finds them.
"""

from sandbox.services.aws.iam.models import boundary_of, extend_moto

__all__ = ["boundary_of", "extend_moto"]
