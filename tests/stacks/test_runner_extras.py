"""A stack's own chart values and `config.toml` text, and the keys that they cannot have."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from stacks.chart_keys import faults_in_runner, known_config, known_values
from stacks.owned_keys import OWNED_CONFIG, OWNED_VALUES
from stacks.runner_extras import merged, own_config
from tests.stacks.stack_settings import problems, settings

CONFIG = "buildyard:runners.config"
VALUES = "buildyard:runners.chart-values"

HARMLESS = """
[[runners]]
  output_limit = 8192
  pre_get_sources_script = "echo hello"
  environment = ["TEAM=platform"]
  [runners.feature_flags]
    FF_TIMESTAMPS = true
  [runners.kubernetes]
    dns_policy = "none"
    image_pull_secrets = ["mirror"]
    [runners.kubernetes.pod_annotations]
      "sidecar.istio.io/inject" = "false"
    [runners.kubernetes.dns_config]
      nameservers = ["10.0.0.2"]
    [[runners.kubernetes.volumes.empty_dir]]
      name = "scratch"
      mount_path = "/scratch"
    [[runners.kubernetes.host_aliases]]
      ip = "10.1.2.3"
      hostnames = ["gitlab.example.com"]
"""
HARMLESS_VALUES = {
    "logLevel": "debug",
    "imagePullSecrets": [{"name": "mirror"}],
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
    "podAnnotations": {"team": "platform"},
    "extraEnv": {"LOG_FORMAT": "json"},
    "volumes": [{"name": "more", "emptyDir": {}}],
    "metrics": {"serviceMonitor": {"interval": "30s"}},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/cache"}},
}


def test_what_buildyard_does_not_rely_on_may_be_added() -> None:
    runners = settings(runners={"config": HARMLESS, "chart-values": HARMLESS_VALUES}).runners
    assert own_config(runners)["kubernetes"]["dns_config"] == {"nameservers": ["10.0.0.2"]}
    assert own_config(settings().runners) == {}


def toml(*lines: str) -> str:
    return "\n".join(["[[runners]]", *lines])


REFUSED = [
    ("kubernetes.privileged = true", "kubernetes.privileged is Buildyard's"),
    ('kubernetes."privileged" = true', "kubernetes.privileged is Buildyard's"),
    ("kubernetes = {privileged = true}", "kubernetes.privileged is Buildyard's"),
    ('"kubernetes" = {"priv\\u0069leged" = true}', "kubernetes.privileged is Buildyard's"),
    ("[runners.kubernetes]\nprivileged = true", "kubernetes.privileged is Buildyard's"),
    ("kubernetes.Privileged = true", "kubernetes.Privileged is Buildyard's"),  # Go would take it for the other
    ('token = "glrt-x"', "token is Buildyard's"),
    ('executor = "docker"', "executor is Buildyard's"),
    ('kubernetes.namespace = "kube-system"', "kubernetes.namespace is Buildyard's"),
    ("kubernetes.namespace_per_job = true", "kubernetes.namespace_per_job is Buildyard's"),
    ('kubernetes.namespace_overwrite_allowed = ".*"', "kubernetes.namespace_overwrite_allowed is Buildyard's"),
    ('kubernetes.service_account = "manager"', "kubernetes.service_account is Buildyard's"),
    ('kubernetes.service_account_overwrite_allowed = ".*"', "service_account_overwrite_allowed is Buildyard's"),
    ("kubernetes.bearer_token_overwrite_allowed = true", "kubernetes.bearer_token_overwrite_allowed is Buildyard's"),
    ("kubernetes.automount_service_account_token = true", "automount_service_account_token is Buildyard's"),
    ('kubernetes.node_selector = {a = "b"}', "kubernetes.node_selector is Buildyard's"),
    ('kubernetes.node_tolerations = {"a=b" = "NoSchedule"}', "kubernetes.node_tolerations is Buildyard's"),
    ("kubernetes.pod_security_context.run_as_user = 0", "kubernetes.pod_security_context is Buildyard's"),
    ("kubernetes.build_container_security_context.privileged = true", "security_context"),
    ('kubernetes.cap_add = ["SYS_ADMIN"]', "kubernetes.cap_add is Buildyard's"),
    ('kubernetes.cpu_limit = "100"', "kubernetes.cpu_limit is Buildyard's"),
    ('kubernetes.helper_memory_limit_overwrite_max_allowed = "9Gi"', "helper_memory_limit_overwrite_max_allowed is"),
    ('[[runners.kubernetes.pod_spec]]\npatch = "{}"', "kubernetes.pod_spec is Buildyard's"),
    (
        '[[runners.kubernetes.volumes.host_path]]\nname = "x"\nmount_path = "/x"\nhost_path = "/"',
        "kubernetes.volumes.host_path is Buildyard's: the admission policy refuses such pods",
    ),
    ('[[runners.kubernetes.volumes.config_map]]\nname = "x"\nmount_path = "/x"', "volumes.config_map is Buildyard's"),
    ('[[runners.kubernetes.volumes.secret]]\nname = "x"\nmount_path = "/x"', "volumes.secret is Buildyard's"),
    ('[[runners.kubernetes.volumes.empty_dir]]\nname = "buildkit"', "empty_dir[0].name is the name of a volume"),
    (
        '[[runners.kubernetes.volumes.empty_dir]]\nname = "x"\nmount_path = "/home/user//.local/share/buildkit"',
        "empty_dir[0].mount_path hides files of the build",
    ),
    ('[[runners.kubernetes.volumes.empty_dir]]\nname = "buildkit-cache"', "empty_dir[0].name is the name of a volume"),
    (
        '[[runners.kubernetes.volumes.empty_dir]]\nname = "x"\nmount_path = "/buildkit"',
        "empty_dir[0].mount_path hides files of the build",
    ),
    ("feature_flags.FF_GIT_URLS_WITHOUT_TOKENS = false", "feature_flags.FF_GIT_URLS_WITHOUT_TOKENS is Buildyard's"),
    ('kubernetes.pod_labels."job.runner.gitlab.com/pod" = "x"', "kubernetes.pod_labels.job.runner.gitlab.com/pod is"),
    (
        'kubernetes.pod_annotations."container.apparmor.security.beta.kubernetes.io/helper" = "unconfined"',
        "it would take a container's profile away",
    ),
    ('cache.s3.SecretKey = "x"', "cache.s3.SecretKey is Buildyard's: it would be in clear text"),
    ('cache.S3.secretKEY = "x"', "cache.S3.secretKEY is Buildyard's"),
    ('environment = ["https_proxy=http://x"]', "environment[0] sets https_proxy"),
    ('environment = ["TEAM=a", "AWS_ACCESS_KEY_ID=a"]', "environment[1] sets AWS_ACCESS_KEY_ID"),
    ('environment = ["BUILDYARD_STATE=/x"]', "environment[0] sets BUILDYARD_STATE"),
    ('environment = ["BUILDYARD_CA_BUNDLE=/x"]', "environment[0] sets BUILDYARD_CA_BUNDLE"),
    ('pre_build_script = "{{ .Values.secret }}"', "pre_build_script contains {{, a template of Helm"),
    ("kubernetes.poll_timout = 1", "GitLab Runner knows no key kubernetes.poll_timout"),
    ('output_limit = "1"', "output_limit is a string"),
]


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_keys_that_buildyard_relies_on_are_refused(line: str, message: str) -> None:
    [problem] = problems(runners={"config": toml(line)}).values()
    assert problem.path == CONFIG
    assert message in problem.message
    assert problem.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[runners]", "is not TOML"),
        ("[[runners]]\na = " + "[" * 5000, "is not TOML"),
        ("", "has not exactly one [[runners]]"),
        ("output_limit = 1", "has not exactly one [[runners]]"),
        ("[[runners]]\n[[runners]]", "has not exactly one [[runners]]"),
        ("[runners]", "has not exactly one [[runners]]"),
        ("runners = [1]", "has not exactly one [[runners]]"),
        ("concurrent = 1\n[[runners]]", "'concurrent' is not of a runner, but of the manager"),
    ],
)
def test_what_is_no_config(text: str, message: str) -> None:
    found = problems(runners={"config": text})
    assert list(found) == [CONFIG]
    assert message in str(found[CONFIG])


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ({"concurent": 4}, "concurent", "the chart gitlab-runner knows no value concurent"),
        ({"image": {"tag": "latest"}}, "image.tag", "is Buildyard's"),
        ({"runners": {"config": "x"}}, "runners.config", "is Buildyard's"),
        ({"runners": {"secret": "x"}}, "runners.secret", "is Buildyard's"),
        ({"runnerToken": "glrt-x"}, "runnerToken", "it would be in clear text in Helm's records"),
        ({"rbac": {"clusterWideAccess": True}}, "rbac", "is Buildyard's"),
        ({"serviceAccount": {"name": "admin"}}, "serviceAccount.name", "is Buildyard's"),
        ({"securityContext": {"privileged": True}}, "securityContext", "is Buildyard's"),
        ({"replicas": 2}, "replicas", "one manager serves one runner"),
        ({"certsSecretName": "x"}, "certsSecretName", "is Buildyard's"),
        ({"configMaps": {"config.template.toml": "x"}}, "configMaps", "is Buildyard's"),
        ({"preEntrypointScript": "x"}, "preEntrypointScript", "is Buildyard's"),
        ({"extraEnv": {"KUBERNETES_PRIVILEGED": "true"}}, "extraEnv.KUBERNETES_PRIVILEGED", "the runner prefers it"),
        ({"extraEnv": {"https_proxy": "x"}}, "extraEnv.https_proxy", "RUN steps need the proxy, too"),
        ({"envVars": [{"name": "RUNNER_EXECUTOR", "value": "x"}]}, "envVars[0]", "sets RUNNER_EXECUTOR"),
        ({"extraEnvFrom": {"CI_SERVER_TOKEN": {}}}, "extraEnvFrom.CI_SERVER_TOKEN", "the runner prefers it"),
        ({"tolerations": [{"operator": "Exists"}]}, "tolerations[0]", "a manager would keep alive for ever"),
        ({"tolerations": [{"key": "buildyard.dev/builds"}]}, "tolerations[0]", "a manager would keep alive for ever"),
        ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "volumes[0]", "of the kind hostPath"),
        ({"volumes": [{"name": "tmp", "emptyDir": {}}]}, "volumes[0].name", "is the name of a volume"),
        ({"podLabels": {"job.runner.gitlab.com/pod": "x"}}, "podLabels.job.runner.gitlab.com/pod", "is Buildyard's"),
        ({"podLabels": {"a": "{{ .Values.runnerToken }}"}}, "podLabels.a", "contains {{, a template of Helm"),
        ({"extraObjects": [{"a": ["{{ lookup }}"]}]}, "extraObjects[0].a[0]", "contains {{, a template of Helm"),
        ({"strategy": {"type": "Recreate"}}, "strategy", "while the old one finishes its own"),
        ({"hostAliases": "x"}, "hostAliases", "is a string"),
    ],
)
def test_values_that_buildyard_relies_on_are_refused(values: dict[str, Any], key: str, message: str) -> None:
    found = problems(runners={"chart-values": values})
    assert list(found) == [f"{VALUES}.{key}"]
    assert message in found[f"{VALUES}.{key}"].message


@pytest.mark.timeout(20)
def test_more_values_than_anybody_needs_are_refused_in_no_time() -> None:
    many = {f"label-{number}": {"a": {"b": "c"}} for number in range(20_000)}
    [problem] = problems(runners={"chart-values": {"podLabels": many}}).values()
    assert problem.message == "has more than 1,000 values"


def test_all_problems_are_said_at_once() -> None:
    values = {"concurent": 1, "replicas": 2}
    found = problems(runners={"config": toml("token = 'x'"), "chart-values": values})
    assert list(found) == [f"{VALUES}.concurent", f"{VALUES}.replicas", CONFIG]


def _paths(known: Any, here: tuple[str, ...] = ()) -> Iterator[str]:
    yield ".".join(here)
    if isinstance(known, Mapping):
        for key, value in known.items():
            yield from _paths(value, (*here, key))
    elif isinstance(known, list):
        yield from _paths(known[0], here)


@pytest.mark.parametrize(("table", "known"), [(OWNED_CONFIG, known_config()), (OWNED_VALUES, known_values())])
def test_the_table_names_keys_that_exist(table: Any, known: Any) -> None:
    paths = [*_paths(known)]
    for owned in table:
        for pattern in owned.patterns:
            parent = pattern
            while "/" in parent or "*" in parent or parent not in paths:
                if any(type(owned)(patterns=(parent,), why="", instead="").has(path) for path in paths):
                    break
                assert "." in parent, f"{pattern} protects nothing"
                parent = parent.rpartition(".")[0]


def test_documents_are_merged_and_lists_joined() -> None:
    ours = {"a": {"b": 1}, "list": [1], "kept": True}
    assert merged(ours, {"a": {"c": 2}, "list": [2], "new": "x"}) == {
        "a": {"b": 1, "c": 2},
        "list": [1, 2],
        "kept": True,
        "new": "x",
    }
    assert ours == {"a": {"b": 1}, "list": [1], "kept": True}


def test_the_harmless_keys_are_the_runners() -> None:
    assert not [*faults_in_runner(own_config(settings(runners={"config": HARMLESS}).runners))]
