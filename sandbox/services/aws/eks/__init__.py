"""Moto's EKS, and what moto lacks: pod identity associations, access entries, add-ons, scaling groups of node groups.

The files follow moto's own layout (`models`, `responses`, `urls`), which is how moto finds them.
"""

from sandbox.services.aws.eks.models import autoscaling_groups, certificate_of, extend_moto

__all__ = ["autoscaling_groups", "certificate_of", "extend_moto"]
