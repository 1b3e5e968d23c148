"""The counts that GitLab shows beside a merge request.

Source: https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsterraform. Guests may read the report: it
holds these three numbers, and never what changes.
"""

from collections import Counter

from delivery.preview import Operation, Preview


def widget(preview: Preview) -> dict[str, int]:
    """How many resources are created, updated and deleted; a replacement is a creation and a deletion."""
    counted = Counter(change.operation for change in preview.changes)
    return {
        "create": counted[Operation.CREATE] + counted[Operation.REPLACE],
        "update": counted[Operation.UPDATE],
        "delete": counted[Operation.DELETE] + counted[Operation.REPLACE],
    }
