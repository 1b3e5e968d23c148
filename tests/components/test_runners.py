"""Runners in GitLab and their managers in the cluster."""

from base64 import b64encode

import pytest

from stacks.architecture import Architecture
from stacks.versions import RUNNER_CHART_VERSION
from tests.components.mocks import NAME, TOKEN, declare, runner_id
from tests.stacks.stack_settings import project

EACH = pytest.mark.parametrize("architecture", list(Architecture))


@EACH
def test_a_runner_answers_to_its_architectures_jobs_alone(architecture: Architecture) -> None:
    runner = declare().of("index:UserRunner")[f"{NAME}-{architecture}"].inputs
    assert runner["tagLists"] == [architecture.value, "linux"]
    assert runner["untagged"] is False, "jobs that ask for no architecture would land on build nodes"


def test_runners_belong_to_the_projects_group() -> None:
    for runner in declare().of("index:UserRunner").values():
        assert (runner.inputs["runnerType"], runner.inputs["groupId"]) == ("group_type", 7)
        assert "projectId" not in runner.inputs
        assert runner.inputs["accessLevel"] == "not_protected", "merge requests would find no runner"


def test_runners_of_one_project_are_locked_to_it() -> None:
    for runner in declare(runners={"project": "platform/images"}).of("index:UserRunner").values():
        assert (runner.inputs["runnerType"], runner.inputs["projectId"]) == ("project_type", 42)
        assert "groupId" not in runner.inputs
        assert runner.inputs["locked"] is True


def test_the_maximum_timeout_is_in_seconds() -> None:
    declared = declare(runners={"maximum-timeout-minutes": 90})
    assert {each.inputs["maximumTimeout"] for each in declared.of("index:UserRunner").values()} == {5400}


def test_managers_wait_as_long_as_the_longest_job_may_run() -> None:
    for release in declare(runners={"maximum-timeout-minutes": 90}).of("helm.sh:Release").values():
        assert release.inputs["values"]["terminationGracePeriodSeconds"] == 5400, "an upgrade would kill running builds"


def test_the_token_is_in_the_secret_and_nowhere_else() -> None:
    declared = declare()
    encoded = b64encode(TOKEN.encode()).decode()
    assert "=" not in encoded, "what follows changes the last characters"
    holders = {each.name for each in declared.of("core:Secret").values() if each.says(encoded, in_clear=False)}
    assert holders == {f"{NAME}-arm64", f"{NAME}-amd64"}
    others = [each for each in declared.all if each.type != "kubernetes:core/v1:Secret"]
    for token in (TOKEN, encoded):
        elsewhere = [each.id for each in others if each.mentions(token)]
        assert not elsewhere, "everybody who can read this resource could take jobs, and read their variables"
        shown = [each.id for each in declared.all if each.says(token, in_clear=True)]
        assert not shown, "the state would show the token"
        assert token not in str(declared.outputs)


@EACH
def test_each_manager_uses_the_token_of_its_own_runner(architecture: Architecture) -> None:
    declared = declare()
    name = f"{NAME}-{architecture}"
    encoded = b64encode(f"{TOKEN}{name}".encode()).decode()
    assert declared.of("core:Secret")[name].says(encoded, in_clear=False)
    release = declared.of("helm.sh:Release")[name].inputs
    assert release["values"]["runners"]["secret"] == name
    assert release["values"]["podAnnotations"]["buildyard.dev/runner"] == runner_id(name)


def test_the_secret_has_the_two_keys_that_the_chart_mounts() -> None:
    secret = declare().of("core:Secret")[f"{NAME}-arm64"].plain()
    assert secret["data"].keys() == {"runner-token", "runner-registration-token"}
    assert secret["data"]["runner-registration-token"] == ""
    assert "stringData" not in secret, "no update that creates a runner would agree with its plan"


def test_managers_are_the_pinned_chart() -> None:
    for release in declare().of("helm.sh:Release").values():
        assert release.inputs["chart"] == "gitlab-runner"
        assert release.inputs["version"] == RUNNER_CHART_VERSION
        assert release.inputs["repositoryOpts"] == {"repo": "https://charts.gitlab.io"}


def test_managers_use_the_providers_gitlab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_BASE_URL", "https://gitlab.example.com/api/v4/")
    declared = declare(tags={"gitlab": "example"})
    urls = {each.inputs["values"]["gitlabUrl"] for each in declared.of("helm.sh:Release").values()}
    assert urls == {"https://gitlab.example.com/"}


def test_build_pods_get_no_kubernetes_token() -> None:
    assert declare().only("core:ServiceAccount").inputs["automountServiceAccountToken"] is False


def test_the_namespace_allows_rootless_builds() -> None:
    namespace = declare(runners={"namespace": "image-builds"}).only("core:Namespace").inputs["metadata"]
    assert namespace["name"] == "image-builds"
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "privileged", (
        "pod security would refuse the unconfined profile of every build"
    )


def test_managers_start_after_the_build_nodes_exist() -> None:
    declared = declare(projects=[project({"name": "web"})])
    for architecture in Architecture:
        group = declared.of("eks:NodeGroup")[f"{NAME}-{architecture}"].id
        assert group in declared.of("helm.sh:Release")[f"{NAME}-{architecture}"].depends_on


def test_runners_and_managers_are_drained_before_they_are_deleted() -> None:
    declared = declare()
    going = [*declared.of("index:UserRunner").values(), *declared.of("helm.sh:Release").values()]
    assert len(going) == 4
    assert {each.drained_by for each in going} == {(f"{NAME}-drain",)}, "deleting it would kill its jobs"
    assert declared.hooks.keys() == {f"{NAME}-drain"}, "Pulumi would not know the hook that the state names"


@EACH
def test_another_node_group_or_namespace_comes_with_another_runner(architecture: Architecture) -> None:
    declared = declare(runners={"namespace": "image-builds"})
    runner = declared.of("index:UserRunner")[f"{NAME}-{architecture}"]
    assert runner.replaced_by == ("maintenanceNote",)
    for place in (f"{NAME}-{architecture}-abc1234", "cluster ci", "namespace image-builds"):
        assert place in runner.inputs["maintenanceNote"], "nothing would show whether the old one is still in use"
    node_group = declared.of("eks:NodeGroup")[f"{NAME}-{architecture}"].id
    assert node_group in runner.depends_on, "the group would be deleted before its runner is drained"


@EACH
def test_jobs_run_on_their_runners_own_node_group(architecture: Architecture) -> None:
    release = declare().of("helm.sh:Release")[f"{NAME}-{architecture}"].inputs
    assert f'"eks.amazonaws.com/nodegroup" = "{NAME}-{architecture}-abc1234"' in release["values"]["runners"]["config"]


def test_a_paused_runner_is_drift() -> None:
    assert all(each.inputs["paused"] is False for each in declare().of("index:UserRunner").values())
