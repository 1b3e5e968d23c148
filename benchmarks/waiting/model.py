"""The clock of one node group: jobs, pause pods, nodes, and an autoscaler that looks every ten seconds.

The scheduler and Cluster Autoscaler are simplified: all jobs have the default resources, nodes are of one type, and a
node without jobs goes after ten minutes, also if pause pods on it fit elsewhere.
"""

import math
import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from benchmarks.waiting.arrivals import HOUR, Arrival
from components.runner_config import CLEANUP_SECONDS

SCAN_SECONDS = 10
UNNEEDED_SECONDS = 600
"""Cluster Autoscaler's defaults, `scan-interval` and `scale-down-unneeded-time`.

Source: https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md
"""
COLD_NODE_SECONDS = (45, 60, 90)
"""Least, most frequent and most, from the autoscaler's request until the node is ready.

Sources: https://medium.com/keikoproj/rapid-auto-scaling-on-eks-part-2-d094b9b2cd62 and
https://shinyaz.com/en/blog/2026/04/09/eks-warm-pools-verification
"""
STOPPED_NODE_SECONDS = (20, 30, 45)
"""The same for a node of a warm pool: the second of these sources; an instance still has to boot."""
POLL_SECONDS = (0, 3)
"""A manager asks GitLab every three seconds: `checkInterval` in the chart's values."""
POD_SECONDS = (2, 5)
"""The pod's start: its volumes, network and init containers."""
PULL_SECONDS = (8, 12)
"""The pull of the builder and helper images on a node that has neither: some 250 MB, compressed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A stack's settings, as far as the model needs them."""

    jobs_of_node: int
    max_size: int
    concurrent: int
    warm_jobs: int = 0
    """Places that pause pods hold."""
    since: float = 0
    until: float = 24 * HOUR
    """When they do."""
    stopped_nodes: int = 0
    """Nodes in the warm pool."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A day of one node group."""

    waits: Sequence[tuple[Arrival, float]]
    """Each job, and the seconds from its arrival until its container runs."""
    node_hours: float
    found: int
    """How many jobs ran on a node that had built their image before."""


@dataclass(eq=False)
class _Node:
    ready: bool = False
    has_images: bool = False
    jobs: int = 0
    pauses: int = 0
    idle_since: float = 0
    built: set[int] = field(default_factory=set)
    """The images that were built on it."""


@dataclass
class Group:
    """A node group and its jobs, on one simulated clock."""

    settings: Settings
    seed: int
    nodes: list[_Node] = field(default_factory=list)
    waits: list[tuple[Arrival, float]] = field(default_factory=list)
    node_seconds: float = 0
    found: int = 0

    def run(self, arrivals: Sequence[Arrival]) -> Outcome:
        """Simulate the day, and the jobs that end after it."""
        self._clock = simpy.Environment()
        self._chance = random.Random(self.seed)  # noqa: S311 (a simulation)
        self._manager = simpy.Resource(self._clock, capacity=self.settings.concurrent)
        self._pending: list[simpy.Event] = []
        self._pending_pauses = 0
        self._stopped = self.settings.stopped_nodes
        for arrival in arrivals:
            self._clock.process(self._job(arrival))
        self._clock.process(self._every(SCAN_SECONDS, self._scale))
        if self.settings.warm_jobs:
            self._clock.process(self._every(SCAN_SECONDS, self._keep_warm))
        self._clock.run(until=25 * HOUR)
        return Outcome(waits=self.waits, node_hours=self.node_seconds / HOUR, found=self.found)

    def _every(self, seconds: float, action: Callable[[], None]) -> Generator[simpy.Event, Any, None]:
        while True:
            action()
            yield self._clock.timeout(seconds)

    def _between(self, bounds: tuple[float, float]) -> simpy.Timeout:
        return self._clock.timeout(self._chance.uniform(*bounds))

    def _job(self, arrival: Arrival) -> Generator[simpy.Event, Any, None]:
        yield self._clock.timeout(arrival.at)
        with self._manager.request() as slot:
            yield slot
            yield self._between(POLL_SECONDS)
            node = self._place()
            if node is None:
                event = self._clock.event()
                self._pending.append(event)
                node = yield event
            yield self._between(POD_SECONDS)
            if not node.has_images:
                yield self._between(PULL_SECONDS)
                node.has_images = True
            self.waits.append((arrival, self._clock.now - arrival.at))
            self.found += arrival.image in node.built
            yield self._clock.timeout(arrival.seconds)
        node.built.add(arrival.image)
        yield self._clock.timeout(CLEANUP_SECONDS)
        node.jobs -= 1
        self._settle()

    def _place(self) -> _Node | None:
        """A place for a job: a free one on the node that has most of them, or that of a pause pod.

        Source: https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/ (`LeastAllocated`)
        """
        roomiest = max(self._ready(), key=self._free, default=None)
        if roomiest and self._free(roomiest):
            return self._taken(roomiest)
        for node in self._ready():
            if node.pauses:
                node.pauses -= 1
                self._pending_pauses += 1
                return self._taken(node)
        return None

    def _taken(self, node: _Node) -> _Node:
        node.jobs += 1
        return node

    def _ready(self) -> list[_Node]:
        return [node for node in self.nodes if node.ready]

    def _free(self, node: _Node) -> int:
        return self.settings.jobs_of_node - node.jobs - node.pauses

    def _settle(self) -> None:
        """Give free places to jobs that wait, then to pause pods."""
        while self._pending and (node := self._place()):
            self._pending.pop(0).succeed(node)
        for node in self._ready():
            held = min(self._free(node), self._pending_pauses)
            node.pauses += held
            self._pending_pauses -= held

    def _keep_warm(self) -> None:
        within = self.settings.since <= self._clock.now % (24 * HOUR) < self.settings.until
        missing = (self.settings.warm_jobs if within else 0) - sum(node.pauses for node in self.nodes)
        missing -= self._pending_pauses
        self._pending_pauses = max(0, self._pending_pauses + missing)
        for node in self.nodes:
            surplus = min(node.pauses, max(0, -missing))
            node.pauses -= surplus
            missing += surplus
        self._settle()

    def _scale(self) -> None:
        starting = sum(not node.ready for node in self.nodes) * self.settings.jobs_of_node
        missing = len(self._pending) + self._pending_pauses - starting
        wanted = math.ceil(max(0, missing) / self.settings.jobs_of_node)
        for _ in range(min(wanted, self.settings.max_size - len(self.nodes))):
            self._clock.process(self._start())
        for node in self._ready():
            elsewhere = sum(self._free(each) for each in self._ready() if each is not node)
            if node.jobs or node.pauses > elsewhere:
                node.idle_since = self._clock.now
            elif self._clock.now - node.idle_since >= UNNEEDED_SECONDS:
                self.nodes.remove(node)
                self._pending_pauses += node.pauses
                self._settle()
        self.node_seconds += SCAN_SECONDS * len(self.nodes)

    def _start(self) -> Generator[simpy.Event, Any, None]:
        node = _Node(has_images=bool(self._stopped))
        self.nodes.append(node)
        least, usual, most = STOPPED_NODE_SECONDS if self._stopped else COLD_NODE_SECONDS
        self._stopped -= bool(self._stopped)
        yield self._clock.timeout(self._chance.triangular(least, most, usual))
        node.ready, node.idle_since = True, self._clock.now
        self._settle()
