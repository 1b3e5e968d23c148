"""Moto's ECR, with the images that builds pushed.

The files follow moto's own layout (`models`, `urls`), which is how moto finds them.
"""

from sandbox.services.aws.ecr.models import extend_moto, immutable_tag, is_immutable

__all__ = ["extend_moto", "immutable_tag", "is_immutable"]
