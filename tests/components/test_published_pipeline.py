"""The published pipeline of a project: its files, and the variables that they use."""

import pulumi

from components.published_pipeline import PublishedPipeline, PublishedPipelineArgs
from pipeline.render import PipelineFile
from stacks.names import BUILDER_VARIABLE
from tests.components.mocks import REGISTRY, declare, run
from tests.stacks.stack_settings import project


def published(*paths: str) -> PublishedPipelineArgs:
    return PublishedPipelineArgs(
        stack="test",
        project="platform/images",
        branch="master",
        files=[PipelineFile(path=path, text=f"# {path}\n") for path in paths],
        variables={BUILDER_VARIABLE: "registry.example.com/builder:1"},
        protected_variables={},
    )


def test_the_pipeline_is_committed_to_the_default_branch() -> None:
    declared = declare(projects=[project({"name": "web"}, **{"default-branch": "master", "pipeline-path": "ci/b.yml"})])
    file = declared.only("index:RepositoryFile").inputs
    assert (file["project"], file["branch"], file["filePath"]) == ("platform/images", "master", "ci/b.yml")
    assert file["encoding"] == "text", "reviewers cannot read a diff of base64"
    assert "build-web:arm64" in file["content"]


def test_publishing_starts_no_build_and_names_the_author() -> None:
    file = declare().only("index:RepositoryFile").inputs
    for event in ("create", "update", "delete"):
        assert "[skip ci]" in file[f"{event}CommitMessage"], "every deployment would rebuild the images"
    assert file["authorName"] == "Buildyard"


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
    assert variable["raw"] is True


def test_variables_exist_before_the_pipeline_that_uses_them() -> None:
    declared = declare()
    assert declared.only("index:ProjectVariable").id in declared.only("index:RepositoryFile").depends_on


def test_it_can_be_used_alone() -> None:
    def program() -> None:
        parent = pulumi.ComponentResource("other:index:Thing", "other")
        PublishedPipeline("alone", published(".gitlab-ci.yml"), pulumi.ResourceOptions(parent=parent))

    declared = run(program)
    names = {each.name for each in declared.all}
    assert names == {"other", "alone", "alone-.gitlab-ci.yml", f"alone-{BUILDER_VARIABLE}"}
