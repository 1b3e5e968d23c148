"""The published pipeline of a project: its files, and the variables that they use."""

import pulumi

from components.published_pipeline import (
    PipelineVariables,
    PipelineVariablesArgs,
    PublishedPipeline,
    PublishedPipelineArgs,
)
from pipeline.render import PipelineFile
from stacks.names import BUILDER_VARIABLE
from tests.components.answers import REGISTRY
from tests.components.mocks import NAME, declare, run
from tests.stacks.stack_settings import project


def published(*paths: str) -> PublishedPipelineArgs:
    return PublishedPipelineArgs(
        stack="test",
        project="platform/images",
        branch="master",
        files=[PipelineFile(path=path, text=f"# {path}\n") for path in paths],
        depends_on=[],
    )


def test_the_pipeline_is_committed_to_the_default_branch() -> None:
    declared = declare(projects=[project({"name": "web"}, **{"default-branch": "master", "pipeline-path": "ci/b.yml"})])
    file = declared.only("index:RepositoryFile").inputs
    assert (file["project"], file["branch"], file["filePath"]) == ("platform/images", "master", "ci/b.yml")
    assert file["encoding"] == "text", "reviewers cannot read a diff of base64"
    assert "build-web:arm64" in file["content"]


def test_publishing_starts_no_build_and_is_the_tokens_users() -> None:
    file = declare().only("index:RepositoryFile").inputs
    for event in ("create", "update", "delete"):
        assert "[skip ci]" in file[f"{event}CommitMessage"], "every deployment would rebuild the images"
    assert not {"authorName", "authorEmail"} & file.keys(), "push rules may take commits of GitLab's users alone"


def test_an_existing_file_is_not_overwritten() -> None:
    file = declare().only("index:RepositoryFile").inputs
    assert not file.get("overwriteOnCreate"), "the first deployment would destroy a hand-written pipeline"


def test_files_of_one_project_are_committed_one_after_the_other() -> None:
    declared = run(lambda: PublishedPipeline("p", published("a.yml", "a.2.yml", "a.3.yml")))
    files = declared.of("index:RepositoryFile")
    assert files["p-a.yml"].depends_on >= {files["p-a.2.yml"].id}, "a pipeline would include a file that does not exist"
    assert files["p-a.2.yml"].depends_on >= {files["p-a.3.yml"].id}, "GitLab refuses concurrent commits"


def test_jobs_know_the_builder_image_on_every_ref() -> None:
    variable = declare().only("index:ProjectVariable").inputs
    assert variable["key"] == BUILDER_VARIABLE
    assert variable["value"].startswith(f"{REGISTRY}/buildyard/builder:")
    assert variable["protected"] is False, "pipelines of merge requests would have no image"
    assert variable["masked"] is False, "logs would not show in which image a job runs"
    assert variable["raw"] is True


def test_variables_exist_before_the_jobs_that_use_them_and_until_the_last_one_ends() -> None:
    declared = declare()
    variable = declared.only("index:ProjectVariable").id
    for manager in declared.of("helm.sh:Release").values():
        assert variable in manager.depends_on, "a job that waits would start without its image, and fail"
        assert manager.id in declared.only("index:RepositoryFile").depends_on


def test_a_pipeline_is_published_when_everything_that_its_jobs_need_is_there() -> None:
    declared = declare(
        trust="isolated", projects=[project({"name": "web"}), project({"name": "api"}, path="platform/b")]
    )
    for path, image, other in (("platform/images", "web", "api"), ("platform/b", "api", "web")):
        file = declared.of("index:RepositoryFile")[f"{NAME}-{path}-.gitlab-ci.yml"]
        needed = {
            declared.of("ecr:Repository")[f"{NAME}-{path}/{image}"].id,
            declared.of("ecr:Repository")[f"{NAME}-{path}/{image}/review"].id,
            *(each.id for kind in ("index:UserRunner", "helm.sh:Release") for each in declared.of(kind).values()),
        }
        assert needed <= file.depends_on, "jobs would start, wait for runners, or fail to push"
        assert not any(f"/{other}" in each for each in file.depends_on), "a project would wait for another one's images"
    managers = declared.of("helm.sh:Release").values()
    rights = {each.id for each in declared.of("iam:RolePolicyAttachment").values() if "-push-" in each.name}
    assert rights, "the stack has no rights to push"
    assert rights <= {each for manager in managers for each in manager.depends_on}


def test_nothing_that_jobs_need_waits_for_the_pipeline() -> None:
    declared = declare(trust="isolated")
    file = declared.only("index:RepositoryFile")
    waiting = [each.name for each in declared.all if file.id in each.depends_on]
    assert not waiting, "these would be deleted before the pipeline, which starts jobs that need them"


def test_each_can_be_used_alone() -> None:
    variables = PipelineVariablesArgs(
        stack="test", project="platform/images", variables={BUILDER_VARIABLE: "b:1"}, protected_variables={"TIER": "x"}
    )

    def program() -> None:
        parent = pulumi.ComponentResource("other:index:Thing", "other")
        PublishedPipeline("files", published(".gitlab-ci.yml"), pulumi.ResourceOptions(parent=parent))
        PipelineVariables("variables", variables, pulumi.ResourceOptions(parent=parent))

    declared = run(program)
    names = {each.name for each in declared.all}
    assert names == {
        *("other", "files", "files-.gitlab-ci.yml"),
        *("variables", f"variables-{BUILDER_VARIABLE}", "variables-TIER"),
    }
    protected = {each.inputs["key"]: each.inputs["protected"] for each in declared.of("index:ProjectVariable").values()}
    assert protected == {BUILDER_VARIABLE: False, "TIER": True}
