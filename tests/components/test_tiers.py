"""Trust tiers as resources: what the tiers share, what they do not, and what a change of `trust` keeps."""

import json
from itertools import permutations

import pytest

from components.labels import NODE_GROUP
from stacks.trust import TIER_VARIABLE, Trust
from tests.components.answers import ACCOUNT, REGION, REGISTRY
from tests.components.mocks import NAME, Declared, Resource, declare, runner_id

REPOSITORIES = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
RELEASED = f"{REPOSITORIES}/platform/images/toolbox"
OTHER = f"{NAME}-unprotected"
PUSH = {"ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"}


@pytest.fixture(scope="module")
def isolated() -> Declared:
    return declare(trust="isolated")


def rights(declared: Declared, role: str) -> dict[str, set[str]]:
    """The actions that a role may do on each ARN."""
    attached = {
        each.inputs["policyArn"].rpartition("/")[2]
        for each in declared.of("iam:RolePolicyAttachment").values()
        if each.inputs["role"] == role
    }
    found: dict[str, set[str]] = {}
    for policy in declared.of("iam:Policy").values():
        if policy.inputs["name"] in attached:
            for statement in policy.document("policy")["Statement"]:
                actions, arns = (
                    [each] if isinstance(each, str) else each for each in (statement["Action"], statement["Resource"])
                )
                for arn in arns:
                    found.setdefault(arn, set()).update(actions)
    return found


def test_only_protected_refs_can_push_what_is_released(isolated: Declared) -> None:
    protected, other = rights(isolated, f"{NAME}-push"), rights(isolated, f"{OTHER}-push")
    assert protected[RELEASED] >= PUSH
    assert not other[RELEASED] & PUSH, "a merge request could replace a release"
    assert other[RELEASED] >= {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}, "FROM base would fail"


def test_merge_requests_push_to_a_repository_that_releases_never_read(isolated: Declared) -> None:
    protected, other = rights(isolated, f"{NAME}-push"), rights(isolated, f"{OTHER}-push")
    assert other[f"{RELEASED}/review"] >= PUSH
    assert f"{RELEASED}/review" not in protected, "a release could take a layer from a merge request's cache"
    assert protected.keys() | other.keys() == {"*", RELEASED, f"{RELEASED}/review"}


def test_review_repositories_are_short_lived(isolated: Declared) -> None:
    [rule] = isolated.of("ecr:LifecyclePolicy")[f"{NAME}-platform/images/toolbox/review"].document("policy")["rules"]
    assert rule["selection"] == {
        "tagStatus": "any",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 14,
    }
    repositories = isolated.of("ecr:Repository")
    assert repositories[f"{NAME}-platform/images/toolbox/review"].inputs["forceDelete"] is True, (
        "going back to one tier would fail at the first image of a merge request"
    )
    assert repositories[f"{NAME}-platform/images/toolbox"].inputs["forceDelete"] is False
    assert f"{NAME}-buildyard/builder/review" not in repositories


def test_days_of_review_images_are_a_setting() -> None:
    declared = declare(trust="isolated", registry={"keep-review-days": 3})
    [rule] = declared.of("ecr:LifecyclePolicy")[f"{NAME}-platform/images/toolbox/review"].document("policy")["rules"]
    assert rule["selection"]["countNumber"] == 3


def test_each_role_belongs_to_the_service_account_of_its_tiers_namespace(isolated: Declared) -> None:
    for name in (NAME, OTHER):
        association = isolated.of("eks:PodIdentityAssociation")[f"{name}-push"].inputs
        assert association["namespace"] == name
        assert association["roleArn"].endswith(f"role/{name}-push")
        [trust] = isolated.of("iam:Role")[f"{name}-push"].document("assumeRolePolicy")["Statement"]
        assert trust["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-namespace"] == name, (
            "pods of the other tier could assume the role"
        )
        assert isolated.of("core:ServiceAccount")[f"{name}-builds"].inputs["metadata"]["namespace"] == name


def test_irsa_separates_the_tiers_too() -> None:
    declared = declare(trust="isolated", identity="irsa")
    for name in (NAME, OTHER):
        [trust] = declared.of("iam:Role")[f"{name}-push"].document("assumeRolePolicy")["Statement"]
        subjects = [value for key, value in trust["Condition"]["StringEquals"].items() if key.endswith(":sub")]
        assert subjects == [f"system:serviceaccount:{name}:builds"]
        account = declared.of("core:ServiceAccount")[f"{name}-builds"].inputs["metadata"]
        assert account["annotations"]["eks.amazonaws.com/role-arn"].endswith(f"role/{name}-push")


def test_gitlab_keeps_unprotected_refs_from_the_protected_runner(isolated: Declared) -> None:
    runners = {name: each.inputs for name, each in isolated.of("index:UserRunner").items()}
    for architecture in ("arm64", "amd64"):
        protected, other = runners[f"{NAME}-{architecture}"], runners[f"{OTHER}-{architecture}"]
        assert (protected["accessLevel"], other["accessLevel"]) == ("ref_protected", "not_protected")
        assert protected["tagLists"] == [architecture, "linux", "protected"]
        assert other["tagLists"] == [architecture, "linux", "unprotected"]


def test_jobs_run_in_their_tiers_namespace_and_on_its_nodes(isolated: Declared) -> None:
    for tier in (NAME, OTHER):
        release = isolated.of("helm.sh:Release")[f"{tier}-arm64"].inputs
        config = release["values"]["runners"]["config"]
        assert release["namespace"] == tier
        assert f'namespace = "{tier}"' in config
        assert f'"{NODE_GROUP}" = "{tier}-arm64-abc1234"' in config, "a build could read the other tier's disk or cache"
    assert len(isolated.of("eks:NodeGroup")) == 4
    assert all(each.inputs["scalingConfig"]["minSize"] == 0 for each in isolated.of("eks:NodeGroup").values()), (
        "an idle tier would cost something"
    )


def test_the_pipelines_tier_is_a_protected_variable(isolated: Declared) -> None:
    for declared, expected in ((isolated, ("protected", True)), (declare(trust="shared"), None)):
        variables = {each.inputs["key"]: each.inputs for each in declared.of("index:ProjectVariable").values()}
        found = variables.get(TIER_VARIABLE)
        assert (found and (found["value"], found["protected"])) == expected, (
            "GitLab would send jobs of merge requests to the protected runner, which refuses them"
        )
        assert variables["BUILDYARD_BUILDER_IMAGE"]["protected"] is False


def test_outputs_are_by_tier_and_architecture(isolated: Declared) -> None:
    assert isolated.outputs["runners"].keys() == {"protected", "unprotected"}
    assert isolated.outputs["runners"]["unprotected"]["arm64"] == {
        "id": runner_id(f"{OTHER}-arm64"),
        "tags": ["arm64", "linux", "unprotected"],
    }
    assert isolated.outputs["push-role-arns"]["unprotected"].endswith(f"role/{OTHER}-push")
    assert isolated.outputs["node-groups"]["unprotected"]["amd64"].startswith(f"{OTHER}-amd64")
    urls = {"platform/images/toolbox": f"{REGISTRY}/platform/images/toolbox"}
    assert urls.items() <= isolated.outputs["repository-urls"].items()
    for one_tier in ("shared", "protected-only"):
        assert declare(trust=one_tier).outputs["runners"].keys() == {"protected"}


def lasting(declared: Declared) -> dict[str, Resource]:
    """The resources of a stack with one tier, by URN."""
    return {f"{each.parent} {each.id}": each for each in declared.all if "unprotected" not in each.name}


IN_PLACE = {
    # What GitLab's API can change in a runner, and what Helm and GitLab change without a replacement.
    "UserRunner": {"accessLevel", "tagLists"},
    "RepositoryFile": {"content"},
    # Images of merge requests expire where they are: with one tier, in the release repositories.
    "LifecyclePolicy": {"policy"},
}


@pytest.mark.parametrize(("before", "after"), list(permutations(Trust, 2)))
def test_a_change_of_trust_keeps_release_repositories_and_replaces_nothing(before: Trust, after: Trust) -> None:
    old, new = lasting(declare(trust=str(before))), lasting(declare(trust=str(after)))
    gone = {key for key in old.keys() - new.keys() if "/review" not in key and TIER_VARIABLE not in key}
    assert not gone, "releases, their caches or the release tier's runners would be deleted"
    for key in old.keys() & new.keys():
        a, b = old[key], new[key]
        changed = {name for name in a.inputs.keys() | b.inputs.keys() if a.inputs.get(name) != b.inputs.get(name)}
        assert changed <= IN_PLACE.get(a.type.rpartition(":")[2], set()), f"{key} changes in {changed}"


@pytest.mark.parametrize("trust", list(Trust))
def test_a_removed_tiers_runners_are_drained(trust: Trust) -> None:
    gone = declare(trust="isolated")
    hooks = {hook for each in gone.all for hook in each.drained_by}
    assert hooks <= declare(trust=str(trust)).hooks.keys(), "Pulumi would not know the hook that the state names"
    for kind in ("index:UserRunner", "helm.sh:Release"):
        assert all(each.drained_by for each in gone.of(kind).values()), "deleting it would kill its jobs"


def test_policies_of_many_images_fit_both_roles(isolated: Declared) -> None:
    images = [{"name": f"service-{number:03}", "context": "."} for number in range(150)]
    declared = declare(trust="isolated", projects=[{"path": "platform/images", "images": images}])
    other = rights(declared, f"{OTHER}-push")
    for image in images:
        arn = f"{REPOSITORIES}/platform/images/{image['name']}"
        assert not other[arn] & PUSH
        assert other[f"{arn}/review"] >= PUSH
    for policy in declared.of("iam:Policy").values():
        assert len(json.dumps(policy.document("policy"), separators=(",", ":"))) <= 6144, "IAM would refuse it"


def test_a_removed_tiers_repositories_outlive_its_jobs(isolated: Declared) -> None:
    repository = isolated.of("ecr:Repository")[f"{NAME}-platform/images/toolbox/review"]
    assert repository.inputs["tags"]["buildyard:tier"] == "unprotected"
    for architecture in ("arm64", "amd64"):
        manager = isolated.of("helm.sh:Release")[f"{OTHER}-{architecture}"]
        assert repository.id in manager.depends_on, "running jobs could not push what they have built"
        assert repository.id not in isolated.of("helm.sh:Release")[f"{NAME}-{architecture}"].depends_on
