"""The hidden templates: what all jobs of a kind share, written once per pipeline."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipeline import rules, scripts
from pipeline.inputs import PipelineInputs
from pipeline.jobs import registries
from pipeline.jobs.resources import brief
from pipeline.model import Artifacts, Job, Retry, When
from pipeline.scripts.faults import Fault
from stacks import tags
from stacks.architecture import Architecture
from stacks.names import BUILDER_VARIABLE
from stacks.registries import Compression
from stacks.trust import TIER_VARIABLE, Tier, Trust, review_repository

JOB = ".buildyard-job"
BRIEF = ".buildyard-brief"
BUILD = ".buildyard-build"
MANIFEST = ".buildyard-manifest"
MANIFEST_MANUAL = ".buildyard-manifest-manual"

RETRY = Retry(
    times=2,
    when=(
        "runner_system_failure",
        "runner_external_dependency_failure",
        "runner_interrupted",
        "scheduler_failure",
        "api_failure",
        "unknown_failure",
    ),
    exit_codes=(*sorted({int(fault) for fault in Fault} | {137, 143}),),
)
"""Failures that the job did not cause. GitLab reports a reclaimed spot node as a script that failed by SIGKILL or
SIGTERM (https://gitlab.com/gitlab-org/gitlab-runner/-/issues/37911). Its exit code differs from that of a broken
Dockerfile, which fails with 1 and would fail again. A timeout is not retried, since it would run out again.

Runner 19.1 and newer report some system failures as `runner_interrupted` and `runner_external_dependency_failure`.
GitLab 19.1 and newer know these words; an older one refuses the file (https://docs.gitlab.com/ci/yaml/#retrywhen)."""

FINDINGS = "gl-code-quality-report.json"
METRICS = "metrics.txt"
"""Reports of build jobs, with GitLab's usual names. They are written after the build: a context may contain them."""

_BRIEF_MINUTES = 10


def minutes(count: int) -> str:
    """A duration in GitLab's notation."""
    return f"{count} minutes"


BUILD_TIMEOUT = minutes(60)


def architecture_name(architecture: Architecture) -> str:
    """The template of the jobs that run on an architecture's runners."""
    return f".buildyard-{architecture}"


def templates(inputs: PipelineInputs) -> Iterator[Job]:
    """All templates, each before those that extend it."""
    runners, trust = inputs.settings.runners, inputs.settings.trust
    architectures = inputs.settings.architectures
    yield Job(
        name=JOB,
        origin=inputs.origin,
        # Needs put the jobs in order, not stages: a job cannot need a job of a later stage, and an image's manifest job
        # runs before the builds of the images that depend on it.
        stage=inputs.project.stage,
        image=f"${BUILDER_VARIABLE}",
        variables={TIER_VARIABLE: str(Tier.UNPROTECTED)} if trust is Trust.ISOLATED else {},
        inherits=False,
        retry=RETRY,
    )
    yield Job(
        name=BRIEF,
        origin=inputs.origin,
        extends=(JOB,),
        tags=runners.tags.named((*_common_tags(architectures), *trust.job_tags)),
        variables={"GIT_STRATEGY": "none", **brief(runners)},
        timeout=minutes(_BRIEF_MINUTES + runners.node_wait_minutes),
    )
    yield Job(
        name=MANIFEST,
        origin=inputs.origin,
        extends=(BRIEF,),
        rules=rules.always(),
        before_script=(
            login(inputs),
            image_tags(inputs),
            "image_tags tags >build.env",
            scripts.function("publish_image", "publish.py", review_suffix(inputs)),
            *release_version(inputs),
        ),
        artifacts=Artifacts(paths=(".buildyard/*.digest",), dotenv="build.env"),
    )
    yield Job(
        name=MANIFEST_MANUAL,
        origin=inputs.origin,
        rules=(*(replace(rule, when=When.NEVER) for rule in rules.always()), rules.IN_EVERY_PIPELINE),
    )
    yield Job(
        name=BUILD,
        origin=inputs.origin,
        extends=(JOB,),
        variables={
            "BUILDYARD_REGISTRY": inputs.registry_host,
            "BUILDYARD_DEFAULT_BRANCH": inputs.project.default_branch,
            "GIT_DEPTH": "1",
            # In a pod, a rootless daemon cannot mount a /proc of its own: RUN shares the daemon's process namespace.
            "BUILDKITD_FLAGS": "--oci-worker-no-process-sandbox",
            # The default of 10 lasts two seconds; a busy node needs longer to start the daemon. 60 lasts about 40.
            "BUILDCTL_CONNECT_RETRIES_MAX": "60",
            # From 3.11, Python does not take the project's own random.py for its library's.
            "PYTHONSAFEPATH": "1",
        },
        timeout=BUILD_TIMEOUT,
        needs=(),
        rules=(*rules.by_trust(inputs), *rules.always(), rules.MANUAL),
        before_script=(
            *registries.build_login(inputs),
            scripts.function("run_build", "faults.py"),
            image_tags(inputs),
            scripts.function(
                "resolve_bases", "bases.py", inputs.project.default_branch, tags.LATEST, review_suffix(inputs)
            ),
            scripts.shell(
                "build.sh",
                cache_prefix=tags.CACHE_PREFIX,
                review_suffix=review_suffix(inputs),
                compression=_compression(inputs),
            ),
            scripts.shell("after_build.sh"),
            *release_version(inputs),
            *_mount_layers(inputs),
            *_advise_links(inputs),
            scripts.function("check_stages", "stages.py"),
            scripts.function(
                "measure", "measure.py", tags.LATEST, METRICS, inputs.settings.monitoring.pushgateway or ""
            ),
        ),
        artifacts=Artifacts(paths=(".buildyard/*.json",), metrics=METRICS),
    )
    for architecture in architectures:
        yield Job(
            name=architecture_name(architecture),
            origin=inputs.origin,
            tags=runners.tags.named((*architecture.runner_tags, *trust.job_tags)),
            variables={"BUILDYARD_ARCHITECTURE": str(architecture), "BUILDYARD_PLATFORM": architecture.platform},
        )


def _common_tags(architectures: Sequence[Architecture]) -> Sequence[str]:
    """The tags of the runners of all architectures."""
    first, *others = (architecture.runner_tags for architecture in architectures)
    return [tag for tag in first if all(tag in each for each in others)]


def login(inputs: PipelineInputs) -> str:
    """The script that logs a job in to the registry."""
    return "\n".join(registries.login(inputs))


def image_tags(inputs: PipelineInputs) -> str:
    """The shell function that prints the pipeline's tags."""
    project = inputs.project
    prefix, reserved = tags.version_prefix(project.default_branch), tags.reserved(project.default_branch)
    separator = "/" if project.has_git_tags else ""
    return scripts.function(
        "image_tags", "tag.py", project.default_branch, project.time_zone, separator, tags.LATEST, prefix, *reserved
    )


def release_version(inputs: PipelineInputs) -> Sequence[str]:
    """The shell function for images with `semver: true`, if there are any."""
    needed = any(image.semver for image in inputs.project.built)
    return (scripts.function("release_version", "semver.py", review_suffix(inputs)),) if needed else ()


def _compression(inputs: PipelineInputs) -> str:
    """The end of BuildKit's options for images and caches. Without one, BuildKit uses gzip.

    It is for new layers. `force-compression` would pull, recompress and upload those of base images, too.
    """
    compression = inputs.settings.registry.compression
    return "" if compression is Compression.GZIP else f",compression={compression}"


def _mount_layers(inputs: PipelineInputs) -> Sequence[str]:
    """The shell function that mounts the layers of dependencies, if ECR does that."""
    needed = inputs.settings.registry.blob_mounting and any(image.depends_on for image in inputs.project.built)
    return (scripts.function("mount_layers", "mount.py"),) if needed else ()


def _advise_links(inputs: PipelineInputs) -> Sequence[str]:
    """The shell function that advises `COPY --link` in images with `lint: true`, if there are any."""
    needed = any(image.lint for image in inputs.project.built)
    return (scripts.function("advise_links", "links.py"),) if needed else ()


def review_suffix(inputs: PipelineInputs) -> str:
    """The suffix of the unprotected tier's repositories; empty if it has no repositories of its own."""
    return review_repository("") if Tier.UNPROTECTED in inputs.settings.trust.tiers else ""
