"""The counts that GitLab shows in a merge request.

Source: https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsterraform. Guests may read the report: it
contains these three numbers, and never what changes.
"""

from collections import Counter

from delivery.preview import Operation, Preview


def widget(preview: Preview) -> dict[str, int]:
    """The numbers of resources created, updated and deleted. A replacement counts as a creation and a deletion."""
    counted = Counter(change.operation for change in preview.changes)
    return {
        "create": counted[Operation.CREATE] + counted[Operation.REPLACE],
        "update": counted[Operation.UPDATE],
        "delete": counted[Operation.DELETE] + counted[Operation.REPLACE],
    }
