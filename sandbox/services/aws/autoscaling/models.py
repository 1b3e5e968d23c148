"""The Auto Scaling backend: moto's, with AWS's error for tags of a group that does not exist."""

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import AutoScalingBackend, autoscaling_backends


def extend_moto() -> None:
    """Let moto make this backend for every account and region."""
    autoscaling_backends.backend = ScalingBackend


class ScalingBackend(AutoScalingBackend):
    def create_or_update_tags(self, tags: list[dict[str, str]]) -> None:
        self._require_groups(tags)
        super().create_or_update_tags(tags)

    def delete_tags(self, tags: list[dict[str, str]]) -> None:
        self._require_groups(tags)
        super().delete_tags(tags)

    def _require_groups(self, tags: list[dict[str, str]]) -> None:
        for tag in tags:
            if tag["ResourceId"] not in self.autoscaling_groups:
                raise ValidationError(f"AutoScalingGroup name not found - {tag['ResourceId']} does not exist")
