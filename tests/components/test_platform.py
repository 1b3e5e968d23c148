"""The whole program: rules for every resource, and the effects of changed settings."""

import json

import pulumi
import pytest

from components.platform import deploy
from stacks.config import load, read_file
from stacks.settings import MAX_TAGS
from tests.components.answers import REGISTRY
from tests.components.mocks import NAME, STACK, Declared, attempt, declare, runner_id
from tests.stacks.stack_settings import SMALLEST, project, raw, settings

BOTH = {"arm64": {"instance-types": ["m7g.4xlarge"]}, "amd64": {"instance-types": ["m7i.4xlarge"]}}
UNTAGGABLE = {"LifecyclePolicy", "RolePolicy", "RolePolicyAttachment", "Tag"}
"""AWS resources that have no tags."""


def test_every_aws_resource_carries_the_stacks_tags() -> None:
    declared = declare(tags={"cost-center": "platform"})
    tagged = [
        each for each in declared.all if each.type.startswith("aws:") and each.type.split(":")[-1] not in UNTAGGABLE
    ]
    assert len(tagged) >= 7
    for resource in tagged:
        expected = {"buildyard:project": "buildyard", "buildyard:stack": STACK, "cost-center": "platform"}
        assert expected.items() <= resource.inputs["tags"].items(), f"{resource.id} is missing in the cost report"


def test_repositories_are_tagged_with_their_image() -> None:
    declared = declare()
    images = {
        each.inputs["name"]: each.inputs["tags"]["buildyard:image"] for each in declared.of("ecr:Repository").values()
    }
    assert images == {"platform/images/toolbox": "platform/images/toolbox", "buildyard/builder": "builder"}


def test_every_kubernetes_object_has_the_stacks_label() -> None:
    objects = [each for each in declare().all if each.type.startswith("kubernetes:core")]
    assert objects
    for each in objects:
        assert each.inputs["metadata"]["labels"]["buildyard.dev/stack"] == STACK, each.id


def test_every_resource_is_named_after_the_stack_and_has_a_parent() -> None:
    declared = declare()
    assert [each.name for each in declared.all if not each.name.startswith(NAME)] == []
    roots = [each.id for each in declared.all if "components:" not in each.parent]
    assert roots == [f"buildyard:components:Platform {NAME}"], "the preview would not show it under the platform"


def test_kubernetes_is_reached_with_the_deployers_own_aws_credentials() -> None:
    declared = declare()
    provider = declared.only("providers:kubernetes").plain()
    kubeconfig = json.loads(provider["kubeconfig"])
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://cluster.example.com"
    assert kubeconfig["users"][0]["user"].keys() == {"exec"}, "the state would contain credentials of the cluster"
    assert kubeconfig["users"][0]["user"]["exec"]["command"] == "aws"
    objects = [each for each in declared.all if each.type.startswith("kubernetes:")]
    assert all("providers:kubernetes" in each.provider for each in objects), "Pulumi would change another cluster"


def test_no_resource_has_more_tags_than_aws_allows() -> None:
    declared = declare(tags={f"tag-{number}": "" for number in range(MAX_TAGS)})
    counts = {each.name: len(each.inputs["tags"]) for each in declared.all if "tags" in each.inputs}
    assert max(counts.values()) > MAX_TAGS, "our own tags are not counted"
    assert [name for name, count in counts.items() if count > 50] == [], "AWS refuses the resource in mid-update"


def test_several_projects_and_images_of_one_architecture() -> None:
    declared = declare(
        runners={"group": "platform"},
        projects=[
            project({"name": "base"}, {"name": "gpu", "architectures": ["amd64"]}),
            project({"name": "etl"}, path="platform/data/etl"),
        ],
    )
    assert len(declared.of("index:RepositoryFile")) == 2
    assert declared.outputs["pipelines"].keys() == {"platform/images", "platform/data/etl"}
    content = declared.of("index:RepositoryFile")[f"{NAME}-platform/images-.gitlab-ci.yml"].inputs["content"]
    assert "build-gpu:amd64" in content
    assert "build-gpu:arm64" not in content, "the job would wait for a runner, then fail"
    assert len(declared.of("index:UserRunner")) == 2, "runners are shared by all projects"


def test_a_removed_architecture_removes_only_its_resources() -> None:
    before, after = ({each.id for each in declare(nodes=nodes).all} for nodes in (BOTH, {"arm64": BOTH["arm64"]}))
    assert after < before
    assert all(f"{NAME}-amd64" in each for each in before - after), "another architecture's builds would stop"
    assert any("NodeGroup" in each for each in before - after)


def test_a_new_image_adds_a_repository_and_nothing_else() -> None:
    before, after = (
        {each.id for each in declare(projects=[project(*images)]).all}
        for images in ([{"name": "base"}], [{"name": "base"}, {"name": "web"}])
    )
    assert {each.split(":")[-1] for each in after - before} == {
        f"Repository {NAME}-platform/images/web",
        f"LifecyclePolicy {NAME}-platform/images/web",
    }
    assert before < after


def test_outputs_are_complete() -> None:
    outputs = declare().outputs
    assert outputs["registry-host"] == REGISTRY
    assert outputs["repository-urls"]["platform/images/toolbox"] == f"{REGISTRY}/platform/images/toolbox"
    assert outputs["runners"]["protected"]["arm64"] == {"id": runner_id(f"{NAME}-arm64"), "tags": ["arm64", "linux"]}
    assert outputs["node-groups"]["protected"]["amd64"].startswith(f"{NAME}-amd64")
    pipeline = outputs["pipelines"]["platform/images"]
    assert (pipeline["path"], pipeline["branch"], len(pipeline["sha256"])) == (".gitlab-ci.yml", "main", 64)


@pytest.mark.parametrize("stack", ["sandbox", "dev", "prod"])
def test_the_shipped_stacks_deploy(stack: str) -> None:
    declared = declare(read_file(stack))
    assert len(declared.of("ecr:Repository")) == 1 + 2 * sum(len(each.images) for each in read_file(stack).projects)


def test_the_program_reads_pulumis_configuration() -> None:
    declared = Declared()
    texts = {
        f"buildyard:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in raw(SMALLEST).items()
    }
    pulumi.runtime.set_all_config({**texts, "buildyard:nodes": "", "buildyard:identity": ""})
    try:
        attempt(lambda: deploy(load), declared)
    finally:
        pulumi.runtime.set_all_config({})
    assert f"{NAME}-platform/images/toolbox" in declared.of("ecr:Repository"), "an empty key means that it is not set"


def test_wrong_settings_end_the_program_before_the_first_resource() -> None:
    def load_wrong() -> None:
        deploy(lambda: settings(nodes={"arm64": {"instance-types": []}}, identty="irsa"))

    declared = Declared()
    with pytest.raises(pulumi.RunError) as caught:
        attempt(load_wrong, declared)
    assert declared.all == [], "resources would exist that the settings do not describe"
    assert "buildyard:nodes.arm64.instance-types" in str(caught.value)
    assert "buildyard:identty" in str(caught.value), "people would fix one problem per run"


def test_a_pipeline_that_gitlab_would_refuse_ends_the_program_before_the_first_resource() -> None:
    declared = Declared()
    wrong = settings(projects=[project({"name": "web"}, **{"max-jobs": 2})])
    with pytest.raises(pulumi.RunError, match=r"buildyard:projects\[0\].max-jobs"):
        attempt(lambda: deploy(lambda: wrong), declared)
    assert declared.all == []
