"""Attacks on rights: another tier's role, a token for later, other projects' runners, secrets."""

import json

import pytest
from werkzeug.datastructures import Authorization
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from sandbox.builds.events import Event, Trigger
from sandbox.builds.gitlab_project import GitLabProject
from sandbox.endpoints import REGION
from stacks.trust import TIER_VARIABLE, Tier, Trust
from tests.attacks.attacker import ASSUME, DENIED, Attacker, words
from tests.sandbox.builds.environments import Environment
from tests.sandbox.builds.example_group import BUILDS, HOST, account, role_of

pytestmark = pytest.mark.builds

PROTECTED = ["amd64", "linux", "protected"]


def test_a_branch_cannot_have_the_protected_runner(isolated: Attacker) -> None:
    asked = [PROTECTED, ["amd64", "linux", f"${TIER_VARIABLE}"]]
    for runner_tags in asked:
        attack = isolated.run("true\n", runner_tags=runner_tags, variables={TIER_VARIABLE: "protected"})
        assert list(attack.stuck) == ["attack"], "a branch's job ran with the role that publishes releases"
        assert not attack.jobs


def test_a_branch_that_says_it_is_protected_pushes_nothing(isolated: Attacker) -> None:
    """The published pipeline with its tier set by hand: it asks for the released repository with the wrong role."""
    commit = isolated.project.repository.commit_id("master")
    blob = isolated.project.repository.blob(commit or "", ".gitlab-ci.yml")
    assert blob
    file = blob.content.decode()
    hand_made = file.replace(f"tags: [amd64, linux, ${TIER_VARIABLE}]", "tags: [amd64, linux, unprotected]").replace(
        f"{TIER_VARIABLE}: unprotected", f"{TIER_VARIABLE}: protected"
    )
    assert hand_made != file
    isolated.push({".gitlab-ci.yml": hand_made, "app/source": "print 2\n"})
    before = isolated.environment.tags(isolated.project)
    attack = isolated.environment.build(
        isolated.project, Event(trigger=Trigger.PUSH, ref="evil"), manual=["build-app:amd64"]
    )
    assert not attack.passed
    assert DENIED in words(attack)
    assert isolated.environment.tags(isolated.project) == before


def assumed(attacker: Attacker) -> dict[str, str]:
    """The results of a branch's attempts to get the role that publishes."""
    wanted = account(attacker.trust, Tier.PROTECTED)
    role = f"arn:aws:iam::123456789012:role/{role_of(wanted)}"
    arguments = f"{REGION} {role} {wanted.namespace} {wanted.cluster}"
    attack = attacker.run(f"python3 - {arguments} <<'PYTHON'\n{ASSUME}\nPYTHON\n")
    assert attack.passed, f"the attack itself does not work, so it shows nothing: {words(attack)}"
    results = dict(line.split(" - ", 1) for line in words(attack).splitlines() if " - " in line)
    assert "AccessKeyId" in results.pop("my own token")
    return results


def test_a_branch_cannot_assume_the_role_that_publishes(isolated: Attacker) -> None:
    results = assumed(isolated)
    mine = role_of(account(Trust.ISOLATED, Tier.UNPROTECTED))
    assert f":assumed-role/{mine}/" in results.pop("who am I")
    expected = {
        "a forged token": "InvalidTokenException",
        "an unsigned token": "InvalidTokenException",
        "the other role": "is not authorized to perform: sts:AssumeRole on resource: ",
        "the other role with a pod's tags": "is not authorized to perform: sts:AssumeRole on resource: ",
        "the other role by my token": "InvalidIdentityToken",
        "as the agent": "is not authorized to perform: eks-auth:AssumeRoleForPodIdentity",
    }
    assert results.keys() == expected.keys()
    for attempt, words_of_refusal in expected.items():
        assert results[attempt].startswith("refused with"), f"{attempt}: a branch publishes releases"
        assert words_of_refusal in results[attempt]


def test_shared_a_branch_has_the_role_that_publishes(shared: Attacker) -> None:
    publishing = role_of(account(Trust.SHARED, Tier.PROTECTED))
    assert f":assumed-role/{publishing}/" in assumed(shared)["who am I"]


TOKEN = f"printf %s {HOST} | docker-credential-ecr-login get >token.json\ncp token.json {{where}}\n"


def pushed_with_a_stolen_token(attacker: Attacker) -> Response:
    """The answer to a push from outside, hours after the job that got the token."""
    folder = attacker.environment.builds.runner.worker.own(attacker.environment.directory / "loot")
    stolen = attacker.run(TOKEN.format(where=folder / "token.json"))
    assert stolen.passed, words(stolen)
    secret = json.loads((folder / "token.json").read_text())["Secret"]
    manifest = attacker.environment.builds.images.read(f"{attacker.repository}/manifests/latest")
    manifest["annotations"] = {"evil": "yes"}
    request = EnvironBuilder(
        f"/v2/{attacker.repository}/manifests/latest",
        method="PUT",
        data=json.dumps(manifest).encode(),
        content_type=manifest["mediaType"],
        auth=Authorization("basic", {"username": "AWS", "password": secret}),
    ).get_request()
    return attacker.environment.builds.ecr.answer_registry(request)


def test_a_stolen_registry_token_pushes_nothing_to_a_release(isolated: Attacker) -> None:
    answer = pushed_with_a_stolen_token(isolated)
    assert answer.status_code == 403
    assert DENIED in answer.get_data(as_text=True)


def test_shared_a_stolen_registry_token_replaces_latest(shared: Attacker) -> None:
    before = shared.digest()
    assert pushed_with_a_stolen_token(shared).status_code == 201
    assert shared.digest() != before


def test_the_roles_of_the_tiers_trust_different_namespaces(environment: Environment) -> None:
    iam = environment.group.client("iam")
    for tier in Tier:
        mine = account(Trust.ISOLATED, tier)
        document = iam.get_role(RoleName=role_of(mine))["Role"]["AssumeRolePolicyDocument"]
        [statement] = document["Statement"]
        assert statement["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-namespace"] == mine.namespace
    assert account(Trust.ISOLATED, Tier.UNPROTECTED).namespace != BUILDS.namespace


def stranger(environment: Environment, group: str) -> GitLabProject:
    """Another project, whose owner protects what they want."""
    api = environment.group.api
    found = [each for each in api.groups.list(search=group) if each.full_path == group]
    owner = found[0] if found else api.groups.create({"name": group, "path": group})
    name = f"stranger-{len(api.projects.list(get_all=True))}"
    api.projects.create({"name": name, "namespace_id": owner.id, "default_branch": "main"})
    project = api.projects.get(f"{group}/{name}")
    pipeline = '{"attack": {"tags": ["amd64", "linux", "protected"], "script": ["echo I am in"]}}'
    for branch in ("main",):
        project.files.create(
            {"branch": branch, "file_path": ".gitlab-ci.yml", "content": pipeline, "commit_message": "Attack"}
        )
    return GitLabProject(url=environment.group.gitlab, path=f"{group}/{name}", token=environment.group.token)


def test_a_project_of_another_group_gets_none_of_our_runners(environment: Environment) -> None:
    project = stranger(environment, "elsewhere")
    directory = environment.builds.runner.worker.own(environment.directory / "elsewhere") / "checkout"
    checkout = project.check_out(Event(trigger=Trigger.PUSH, ref="main"), directory, environment.builds.runner.worker)
    assert list(environment.run(checkout).stuck) == ["attack"]


def test_a_project_of_the_runners_group_is_trusted_like_ours(environment: Environment) -> None:
    """The limit of a group's runners, with every kind of trust: give the runners to a group of image projects alone."""
    project = stranger(environment, "platform")
    directory = environment.builds.runner.worker.own(environment.directory / "colleague") / "checkout"
    checkout = project.check_out(Event(trigger=Trigger.PUSH, ref="main"), directory, environment.builds.runner.worker)
    result = environment.run(checkout)
    assert result.passed, words(result)


@pytest.mark.parametrize("kind", ["isolated", "shared"])
def test_secrets_of_protected_pipelines_do_not_reach_a_branch(request: pytest.FixtureRequest, kind: str) -> None:
    attacker: Attacker = request.getfixturevalue(kind)
    variables = attacker.environment.group.api.projects.get(attacker.project.path).variables
    variables.create({"key": "DEPLOY_KEY", "value": "s3cret-deploy-key", "protected": True})
    attack = attacker.run("env | sed -n s/^DEPLOY_KEY=/got:/p\n")
    assert attack.passed
    assert "s3cret" not in words(attack)
    released = attacker.environment.check_out(attacker.project)
    assert released.variables["DEPLOY_KEY"] == "s3cret-deploy-key", "no pipeline gets it, so this shows nothing"
