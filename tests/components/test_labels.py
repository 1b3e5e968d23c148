"""Tags and labels of resources."""

from components import labels


def test_the_settings_tags_cannot_override_the_platforms() -> None:
    own = {"cost-center": "ci", "buildyard:stack": "another", "buildyard:project": "another"}
    assert labels.aws_tags("dev", own) == {
        "cost-center": "ci",
        "buildyard:project": "buildyard",
        "buildyard:stack": "dev",
    }, "a filter by tag would find the resources of another stack"


def test_kubernetes_objects_have_the_recommended_labels() -> None:
    assert labels.kubernetes_labels("dev") == {
        "app.kubernetes.io/part-of": "buildyard",
        "app.kubernetes.io/managed-by": "pulumi",
        "buildyard.dev/stack": "dev",
    }
