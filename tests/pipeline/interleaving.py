"""Pipelines of a project that run at once: real scripts, on a model of GitLab, BuildKit and the registry.

GitLab's part chooses jobs by the published file's rules, keeps needs, stages and resource groups, and lets people
cancel, retry and start jobs. Each job runs the published text of its scripts; its calls of crane and git are answered
here. At each call another job may go on, as chance has it, so that calls of many jobs mix.
"""

import hashlib
import io
import json
import random
import re
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.pipeline import events

BRANCH = "master"
Content = dict[str, Any]
"""The content of an image: its own files, and the contents of the images that it is built on."""


class Canceled(BaseException):
    """Raised in a job's thread when somebody cancels it."""


@dataclass(eq=False, kw_only=True)
class Job:
    """A job of a pipeline. `state` is GitLab's: created, running, success, failed, canceled, skipped or manual."""

    name: str
    pipeline: "Pipeline"
    published: Mapping[str, Any]
    state: str
    files: dict[str, str] = field(default_factory=dict)
    """Its artifacts."""
    output: str = ""
    wakes: float = 0
    thread: threading.Thread | None = None
    turn: threading.Event = field(default_factory=threading.Event)
    canceled: bool = False

    @property
    def needs(self) -> Iterator["Job"]:
        """The jobs of the pipeline that it waits for."""
        if self.last:
            yield from (job for job in self.pipeline.jobs.values() if job is not self)
        for need in self.published.get("needs", []):
            name = need["job"] if isinstance(need, dict) else need
            if name in self.pipeline.jobs:
                yield self.pipeline.jobs[name]

    @property
    def last(self) -> bool:
        """Whether it is of the stage after all others, and waits for that of its pipeline."""
        return bool(self.published["stage"] == ".post")

    @property
    def ready(self) -> bool:
        """Whether what it waits for has ended well. A stage does not wait for what is skipped or left to people."""
        enough = ("success", "skipped", "manual") if self.last else ("success",)
        return all(need.state in enough for need in self.needs)

    @property
    def unreachable(self) -> bool:
        """Whether GitLab skips it: something that it needs has failed, was skipped, or is left to people.

        Source: https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/ci/status/composite.rb
        """
        never = ("failed", "canceled") if self.last else ("failed", "canceled", "skipped", "manual")
        return any(need.state in never for need in self.needs)

    @property
    def group(self) -> str:
        return str(self.published.get("resource_group", ""))


@dataclass(eq=False, kw_only=True)
class Pipeline:
    """A pipeline of the default branch."""

    number: int
    commit: int
    jobs: dict[str, Job] = field(default_factory=dict)


class Simulation:
    """A project with a history of commits, its registry and its pipelines."""

    def __init__(self, published: Mapping[str, Mapping[str, Any]], images: Mapping[str, Sequence[str]], seed: int):
        self.published = published
        self.images = images
        """The images, with those that each is built on."""
        self.chance = random.Random(seed)  # noqa: S311 (chance that repeats)
        self.commits: list[dict[str, int]] = [dict.fromkeys(images, 0)]
        """For each commit the revision of each image's files."""
        self.pipelines: list[Pipeline] = []
        self.manifests: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, str] = {}
        self.clock = 0.0
        self.breaks = 0.0
        """How likely a build is to fail."""
        self.when_checked: Callable[[Job], None] = lambda job: None
        """Called when a check of `latest` has passed."""
        self._yielded = threading.Event()

    # What people do

    def push(self, *changed: str) -> Pipeline:
        """Push a commit that changes the files of these images."""
        number = len(self.commits)
        self.commits.append({name: number if name in changed else old for name, old in self.commits[-1].items()})
        return self.start(events.push(*(f"images/{name}/Dockerfile" for name in changed)))

    def start(self, event: events.Event) -> Pipeline:
        """Create the pipeline of an event on the newest commit."""
        pipeline = Pipeline(number=len(self.pipelines) + 1, commit=len(self.commits) - 1)
        self.pipelines.append(pipeline)
        for name, how in events.selected(self.published, event).items():
            state = "manual" if how == "manual" else "created"
            pipeline.jobs[name] = Job(name=name, pipeline=pipeline, published=self.published[name], state=state)
        self._skip(pipeline)
        return pipeline

    def cancel(self, job: Job) -> None:
        job.canceled = True
        if job.thread is None:
            job.state = "canceled"
        else:
            self._resume(job)
        self._skip(job.pipeline)

    def run(self, job: Job) -> None:
        """Retry a job, or start a manual one; then those go on that were skipped because of it."""
        job.state, job.canceled, job.thread = "created", False, None
        for other in job.pipeline.jobs.values():
            if other.state == "skipped":
                other.state = "created"
        self._skip(job.pipeline)

    # What GitLab and time do

    def jobs(self, *states: str) -> list[Job]:
        return [job for pipeline in self.pipelines for job in pipeline.jobs.values() if job.state in states]

    def step(self) -> bool:
        """Let one job start or go on. False if there is none."""
        running = self.jobs("running")
        groups = {job.group for job in running if job.group}
        ready = [job for job in self.jobs("created") if job.ready and job.group not in groups]
        able = [job for job in running if job.wakes <= self.clock] + ready
        if not able:
            if not running:
                return False
            self.clock = min(job.wakes for job in running)
            able = [job for job in running if job.wakes <= self.clock]
        job = self.chance.choice(able)
        if job.state == "created":
            job.state, job.output = "running", ""
            job.turn = threading.Event()
            job.thread = threading.Thread(target=self._run, args=(job,), daemon=True)
            job.thread.start()
        self._resume(job)
        return True

    def finish(self) -> None:
        """Let all jobs end."""
        while self.step():
            pass

    def _resume(self, job: Job) -> None:
        self._yielded.clear()
        job.turn.set()
        assert self._yielded.wait(60), f"{job.name} of pipeline {job.pipeline.number} hangs"

    def _pause(self, job: Job, seconds: float = 0) -> None:
        job.wakes = self.clock + seconds
        job.turn.clear()
        self._yielded.set()
        job.turn.wait()
        if job.canceled:
            raise Canceled

    def _run(self, job: Job) -> None:
        job.turn.wait()
        try:
            job.state = "success" if self._succeeds(job) else "failed"
        except Canceled:
            job.state = "canceled"
        except BaseException as error:
            job.state, job.output = "failed", f"{job.output}\nthe model broke: {error!r}"
        finally:
            job.thread = None
            self._skip(job.pipeline)
            self._yielded.set()

    def _skip(self, pipeline: Pipeline) -> None:
        for _ in pipeline.jobs:
            for job in pipeline.jobs.values():
                if job.state == "created" and job.unreachable:
                    job.state = "skipped"

    # What a job does

    def _succeeds(self, job: Job) -> bool:
        job.files = {path: text for need in job.needs for path, text in need.files.items()}
        if job.name == "container-get-tag":
            return True
        if job.name == "container-check-latest":
            passed = self._calls(job, "check_latest", "check_latest")
            if passed:
                self.when_checked(job)
            return passed
        if ":manifest" in job.name:
            tags = self._program(job, "image_tags", ["tags"])
            job.files["build.env"] = tags
            return self._calls(job, "publish_image", "publish_image")
        return self._builds(job)

    def _builds(self, job: Job) -> bool:
        [name] = re.findall(r"build-(\w+):", job.name)
        try:
            options = self._program(job, "resolve_bases", self._arguments(job, "use_images"))
        except SystemExit as ended:
            job.output += f"{ended.code}\n"
            return False
        self._pause(job, self.chance.choice([0, 60, 600]))
        if self.chance.random() < self.breaks:
            job.output += "The build failed.\n"
            return False
        bases = dict(re.findall(r"context:(\w+)=docker-image://\S+@(\S+)", options))
        labels = dict(re.findall(r"label:([\w.]+)=(\S+)", options))
        content = {
            "files": self.commits[job.pipeline.commit][name],
            "bases": {base: self.manifests[digest]["content"] for base, digest in bases.items()},
        }
        labels["buildyard.pipeline"] = f"7/{job.pipeline.number}"
        config = {"os": "linux", "architecture": "arm64", "config": {"Labels": labels}}
        digest = self._store({"config": config, "content": content})
        job.files = {f".buildyard/{name}-arm64.json": json.dumps({"containerimage.digest": digest})}
        return True

    def _store(self, manifest: dict[str, Any]) -> str:
        digest = f"sha256:{hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()}"
        self.manifests[digest] = manifest
        return digest

    def _calls(self, job: Job, function: str, call: str) -> bool:
        try:
            job.output += self._program(job, function, self._arguments(job, call))
        except SystemExit as ended:
            job.output += f"{ended.code}\n"
            return not ended.code
        return True

    @staticmethod
    def _arguments(job: Job, function: str) -> Sequence[str]:
        """The arguments of a function's call in the job's script."""
        script = "\n".join(job.published["script"]).replace("\\\n", " ")
        [line] = [line for line in script.splitlines() if line.startswith(f"{function} ")]
        return shlex.split(line)[1:]

    def _program(self, job: Job, function: str, arguments: Sequence[str]) -> str:
        """Run the Python script of a shell function: what it prints."""
        before = "\n".join(job.published["before_script"])
        [(own, text)] = re.findall(
            rf"^{function}\(\) {{\npython3 - ([^\n]*) \"\$@\" <<'PYTHON'\n(.*?)\nPYTHON$",
            before,
            re.DOTALL | re.MULTILINE,
        )
        printed = io.StringIO()
        errors = SimpleNamespace(write=lambda text: setattr(job, "output", job.output + text), flush=lambda: None)
        commit = self._name(job.pipeline.commit)
        environment = {
            "BUILDYARD_TIER": "protected",
            "CI_COMMIT_BRANCH": BRANCH,
            "CI_COMMIT_SHA": commit,
            "CI_COMMIT_SHORT_SHA": commit[:8],
            "CI_PIPELINE_CREATED_AT": f"2026-01-02T16:{job.pipeline.number % 60:02}:00Z",
            "CI_PIPELINE_IID": str(job.pipeline.number),
            "CI_PROJECT_ID": "7",
            "CI_REPOSITORY_URL": "https://gitlab.example.com/platform/images.git",
        }

        def leave(code: object = None) -> None:
            raise SystemExit(code)

        fakes = {
            "os": SimpleNamespace(environ=environment),
            "sys": SimpleNamespace(argv=["-", *shlex.split(own), *arguments], exit=leave, stderr=errors),
            "time": SimpleNamespace(monotonic=lambda: self.clock, sleep=lambda seconds: self._pause(job, seconds)),
            "subprocess": SimpleNamespace(run=lambda command, **_: self._command(job, command)),
            "pathlib": SimpleNamespace(Path=lambda *parts: _File("/".join(parts), job.files)),
            "concurrent.futures": SimpleNamespace(ThreadPoolExecutor=_Sequential),
        }

        def import_(name: str, *rest: Any) -> Any:
            return fakes[name] if name in fakes else __import__(name, *rest)

        def print_(*values: object, file: Any = printed, end: str = "\n", flush: bool = False) -> None:
            file.write(" ".join(map(str, values)) + end)

        builtins = {**vars(__import__("builtins")), "__import__": import_, "print": print_}
        try:
            exec(compile(text, function, "exec"), {"__builtins__": builtins, "__name__": "__main__"})  # noqa: S102
        except SystemExit:
            job.output += printed.getvalue()
            raise
        return printed.getvalue()

    def _command(self, job: Job, command: Sequence[str]) -> SimpleNamespace:
        self._pause(job, self.chance.choice([0, 0, 0, 1, 5]))
        program, *arguments = command
        out, error = self._crane(*arguments) if program == "crane" else (self._git(job, *arguments[3:]), "")
        return SimpleNamespace(returncode=1 if error else 0, stdout=out, stderr=error)

    def _crane(self, command: str, *arguments: str) -> tuple[str, str]:
        digest = self._resolve(arguments[0])
        if digest is None:
            return "", f"Error: {arguments[0]}: MANIFEST_UNKNOWN: Requested image not found"
        match command:
            case "digest":
                return digest, ""
            case "config":
                return json.dumps(self.manifests[digest]["config"]), ""
            case "manifest":
                return json.dumps({"config": {}}), ""
            case "tag":
                self.tags[f"{arguments[0].partition('@')[0]}:{arguments[1]}"] = digest
                return "", ""
        raise AssertionError(command)

    def _resolve(self, reference: str) -> str | None:
        return reference.partition("@")[2] if "@" in reference else self.tags.get(reference)

    def _git(self, job: Job, directory: str, command: str, *arguments: str) -> str:
        match command:
            case "init":
                return ""
            case "fetch":
                assert BRANCH in arguments[-2]
                return ""
            case "rev-parse" if arguments == ("refs/heads/newest",):
                return self._name(len(self.commits) - 1)
            case "rev-parse":
                return "tree"
            case "ls-tree":
                commit = self.commits[job.pipeline.commit if directory == "." else int(arguments[-1], 16)]
                return "".join(f"040000 tree {revision}\timages/{name}\0" for name, revision in commit.items())
        raise AssertionError(command)

    @staticmethod
    def _name(commit: int) -> str:
        return f"{commit:040x}"

    # What is true at last

    def latest(self, repositories: Mapping[str, str], name: str) -> Content | None:
        digest = self.tags.get(f"{repositories[name]}:latest")
        return self.manifests[digest]["content"] if digest else None

    def from_nothing(self, name: str) -> Content:
        """The content that building the newest commit from nothing gives."""
        bases = {base: self.from_nothing(base) for base in self.images[name]}
        return {"files": self.commits[-1][name], "bases": bases}


@dataclass(frozen=True)
class _File:
    """A file of a job, in place of `pathlib.Path`."""

    path: str
    files: dict[str, str]

    def exists(self) -> bool:
        return self.path in self.files

    def read_text(self) -> str:
        return self.files[self.path]

    def write_text(self, text: str) -> None:
        self.files[self.path] = text


class _Sequential:
    """A pool that asks one question after the other, since the model lets one job do one thing at a time."""

    def __init__(self, _workers: int) -> None: ...

    def __enter__(self) -> "_Sequential":
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return [function(item) for item in items]
