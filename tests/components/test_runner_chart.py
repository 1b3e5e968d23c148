"""The values of the runner's Helm chart."""

import dataclasses

import pytest

from components.labels import BUILDS
from components.runner_chart import RULES, Manager, chart_values, escape_template
from sandbox.providers.kubernetes.runner_chart import problems_in_values, rendered_config
from stacks.architecture import Architecture
from stacks.owned_keys import OWNED_VALUES, PROXIES
from stacks.versions import RUNNER_VERSION
from tests.components.test_runner_config import leaves, text

MANAGER = Manager(
    name="buildyard-test-arm64",
    gitlab_url="https://gitlab.example.com/",
    token_secret="buildyard-test-arm64",
    runner="17",
    config=text(Architecture.ARM64),
    concurrent=20,
    longest_job_seconds=10800,
)


def test_the_chart_knows_every_value_and_its_type() -> None:
    assert not list(problems_in_values(chart_values(MANAGER))), "Helm would silently ignore the value"


def test_the_manager_is_the_pinned_runner() -> None:
    # The chart's own is older, and leaves seccomp and AppArmor profiles of build containers out.
    assert chart_values(MANAGER)["image"] == {"tag": f"alpine-v{RUNNER_VERSION}"}


def test_the_token_comes_from_the_secret() -> None:
    values = chart_values(MANAGER)
    assert values["runners"]["secret"] == "buildyard-test-arm64"
    assert "runnerToken" not in values, "the token would stand in the release"


def test_what_belongs_to_the_runner_in_gitlab_is_left_to_it() -> None:
    kept = {"tags", "locked", "maximumTimeout", "runUntagged", "protected"} & chart_values(MANAGER)["runners"].keys()
    assert not kept, "a manager with an authentication token does not start with these"


def test_managers_stay_off_the_build_nodes() -> None:
    values = chart_values(MANAGER)
    assert "tolerations" not in values, "the manager would keep a build node alive for ever"
    assert BUILDS not in str(values["rbac"]) + str(values.get("nodeSelector"))


def test_managers_wait_for_their_last_job() -> None:
    assert chart_values(MANAGER)["terminationGracePeriodSeconds"] == 10800, "an upgrade would kill running builds"


def test_managers_do_nothing_outside_their_namespace() -> None:
    rbac = chart_values(MANAGER)["rbac"]
    assert rbac["clusterWideAccess"] is False
    wide = [rule for rule in RULES if "*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]]
    assert not wide, "the manager could do more than run jobs"
    assert rbac["rules"], "without rules the chart grants everything"


def test_each_manager_has_a_service_account_of_its_own() -> None:
    values = chart_values(MANAGER)
    assert values["serviceAccount"] == {"create": True, "name": MANAGER.name}, "its pod would never start"
    assert values["rbac"]["create"] is True, "it could not start a pod"


def test_managers_run_confined() -> None:
    context = chart_values(MANAGER)["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True


def test_managers_can_write_temporary_files() -> None:
    values = chart_values(MANAGER)
    [volume], [mount] = values["volumes"], values["volumeMounts"]
    assert (volume["name"], mount["mountPath"]) == (mount["name"], "/tmp"), "a read-only root has no other place"
    assert volume["emptyDir"] == {}, "the logs of many jobs would not fit, and the manager would be evicted with them"


def test_managers_have_limits() -> None:
    resources = chart_values(MANAGER)["resources"]
    assert resources["limits"] == {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "10Gi"}
    assert resources["requests"] == {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "100Mi"}


def test_a_new_runner_rolls_its_manager() -> None:
    before, after = (
        chart_values(dataclasses.replace(MANAGER, runner=runner))["podAnnotations"] for runner in ("17", "18")
    )
    assert before != after, "the manager would go on with a token that GitLab no longer knows"


@pytest.mark.parametrize("written", ['a = "{{ .Values }}"', "{{{{", "plain", 'x = "{ {"'])
def test_helm_gives_the_config_back_as_it_was(written: str) -> None:
    assert rendered_config(escape_template(written)) == written


def test_a_manager_stays_registered_until_its_last_job_has_ended() -> None:
    assert chart_values(MANAGER)["unregisterRunners"] is False, (
        "the chart unregisters it first, then lets it end its jobs"
    )


def test_a_stacks_own_values_cannot_have_a_key_of_ours() -> None:
    mirrored = dataclasses.replace(
        MANAGER, image="registry.example.com/runner", certs_secret="ca", environment={"HTTPS_PROXY": "http://proxy"}
    )
    joined = {("volumes",), ("volumeMounts",)}  # whose names are checked instead
    for path in {*leaves(chart_values(mirrored))} - joined:
        covered = any(
            owned.has(".".join(path[:length])) for owned in OWNED_VALUES for length in range(1, len(path) + 1)
        )
        assert covered or (path[0] == "extraEnv" and PROXIES.has(path[1])), f"a stack could replace {'.'.join(path)}"


def test_a_stacks_own_values_are_merged_with_ours() -> None:
    added = {"nodeSelector": {"pool": "system"}, "volumes": [{"name": "more", "emptyDir": {}}]}
    values = chart_values(dataclasses.replace(MANAGER, added=added))
    assert values["nodeSelector"] == {"pool": "system"}
    assert [volume["name"] for volume in values["volumes"]] == ["tmp", "more"]
    assert values["securityContext"] == chart_values(MANAGER)["securityContext"]
