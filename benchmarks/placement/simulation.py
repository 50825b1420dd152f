# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.


"""Replay a stream of jobs under one policy, and keep account."""

import collections
import dataclasses
import heapq
import statistics

from benchmarks.placement import cluster as clusters
from benchmarks.placement import policies

# Points of a run's course that are kept for pictures.
SAMPLES = 200


@dataclasses.dataclass
class Account:
    """What became of the jobs after the fill, and of the cluster meanwhile.

    Counts are dicts of GPUs asked for to jobs; shares of time are weighed by
    how long a state lasted.

    :param policy: name of the policy
    :param gpus: GPUs of the cloud
    :param asked: jobs that came
    :param refused: jobs that got no host
    :param wrong: jobs that got GPUs which are no valid set
    :param avoidable: jobs that were refused or got a wrong set although some
        host had a valid set free
    :param served_ever: jobs on valid sets, those of the fill included
    :param wrong_ever: jobs on wrong sets, those of the fill included
    :param first_refusal: GPUs in use, as a share, when the first job was
        refused, in the fill or after it; None where none was
    :param in_use: GPUs in use on average, as a share
    :param in_use_validly: GPUs in use by jobs on valid sets, likewise
    :param whole: boards that are wholly free on average, as a share of hosts
    :param fragments: FGD's fragmentation on average, as a share of all GPUs
    :param fragments_free: the same as a share of the free GPUs
    :param numa_span: NUMA nodes of a placement, mean by GPUs asked for
    :param cpu_ratio: CPU time of a request over that of stock Nova on the
        same hosts, mean over mean; None where it was not measured
    :param course: (time, whole free boards, fragmented GPUs, GPUs in use)
    """

    policy: str
    gpus: int
    asked: dict = dataclasses.field(default_factory=collections.Counter)
    refused: dict = dataclasses.field(default_factory=collections.Counter)
    wrong: dict = dataclasses.field(default_factory=collections.Counter)
    avoidable: dict = dataclasses.field(default_factory=collections.Counter)
    served_ever: dict = dataclasses.field(default_factory=collections.Counter)
    wrong_ever: dict = dataclasses.field(default_factory=collections.Counter)
    first_refusal: float | None = None
    in_use: float = 0.0
    in_use_validly: float = 0.0
    whole: float = 0.0
    fragments: float = 0.0
    fragments_free: float = 0.0
    numa_span: dict = dataclasses.field(default_factory=dict)
    cpu_ratio: float | None = None
    course: list = dataclasses.field(default_factory=list)

    def rate(self, counts, size=None):
        """A count over what was asked, of one size or of all."""
        if size is None:
            return counts.total() / max(self.asked.total(), 1)
        return counts[size] / max(self.asked[size], 1)


class Simulation:
    """One run.

    :param policy: a :class:`~benchmarks.placement.policies.Policy`
    :param facts: a :class:`~benchmarks.placement.facts.Facts`
    :param hosts: number of hosts
    :param shares: dict of size to share of jobs, for the fragmentation
    :param seed: of what the policy leaves to chance
    :param time_every: see :class:`~benchmarks.placement.policies.Scheduler`
    :param depart: jobs end; without it they stay
    :param keep_wrong: a job on a wrong set runs like any other; without it
        the job ends at once, since the fabric does not join its GPUs
    """

    def __init__(self, policy, facts, hosts, shares, seed=1, time_every=0,
                 depart=True, keep_wrong=True):
        self.cluster = clusters.Cluster(hosts, facts)
        self.facts = facts
        self.account = Account(policy.name, self.cluster.gpus)
        self._scheduler = policies.Scheduler(
            policy, self.cluster, seed, time_every)
        self._shares = shares
        self._depart = depart
        self._keep_wrong = keep_wrong
        self._ends = []
        self._spans = collections.defaultdict(list)
        self._now = 0.0
        self._integrals = collections.Counter()
        self._valid_gpus = 0
        self._free = self.cluster.gpus
        self._whole = hosts
        self._fragments = hosts * facts.fragments(shares, facts.whole)

    def run(self, jobs):
        """Replay the jobs.

        :param jobs: list of :class:`~benchmarks.placement.mixes.Job`
        :returns: an :class:`Account`
        """
        every = max(len(jobs) // SAMPLES, 1)
        with self._scheduler.at_work():
            for i, job in enumerate(jobs):
                self._until(job.arrival)
                self._arrive(job)
                if i % every == 0:
                    self.account.course.append(
                        (job.arrival, self._whole, self._fragments,
                         self.cluster.gpus - self._free))
        return self._finish()

    def _until(self, moment):
        while self._ends and self._ends[0][0] <= moment:
            end, _, size, host, mask = heapq.heappop(self._ends)
            self._pass(end)
            self._change(host, lambda: host.release(
                self.cluster.spec(size), mask))
            if mask in self.facts.valid:
                self._valid_gpus -= size
        self._pass(moment)

    def _pass(self, moment):
        span, self._now = moment - self._now, moment
        hosts = len(self.cluster.hosts)
        gpus = self.cluster.gpus
        for name, value in (
                ('in_use', 1 - self._free / gpus),
                ('in_use_validly', self._valid_gpus / gpus),
                ('whole', self._whole / hosts),
                ('fragments', self._fragments / gpus),
                ('fragments_free', self._fragments / max(self._free, 1))):
            self._integrals[name] += span * value

    def _arrive(self, job):
        account = self.account
        # What the fill refuses is no measure of the load that follows.
        counted = job.arrival > 0.0 or not self._depart
        possible = any(self.facts.fits(job.size, host.free)
                       for host in self.cluster.hosts)
        placed = self._place(job)
        valid = placed is not None and placed[1] in self.facts.valid
        if placed is None and account.first_refusal is None:
            account.first_refusal = 1 - self._free / self.cluster.gpus
        if placed is not None:
            ever = account.served_ever if valid else account.wrong_ever
            ever[job.size] += 1
        if not counted:
            return
        account.asked[job.size] += 1
        account.refused[job.size] += placed is None
        account.wrong[job.size] += placed is not None and not valid
        account.avoidable[job.size] += possible and not valid
        if placed is not None:
            self._spans[job.size].append(self.facts.numa_span(placed[1]))

    def _place(self, job):
        placed = self._scheduler.place(job.size)
        if placed is None:
            return None
        host, mask = placed
        self._account_for(host, host.free | mask)
        valid = mask in self.facts.valid
        if not valid and not self._keep_wrong:
            self._change(host, lambda: host.release(
                self.cluster.spec(job.size), mask))
            return placed
        if valid:
            self._valid_gpus += job.size
        if self._depart:
            heapq.heappush(self._ends, (
                job.arrival + job.lifetime, job.number, job.size, host, mask))
        return placed

    def _change(self, host, change):
        before = host.free
        change()
        self._account_for(host, before)

    def _account_for(self, host, before):
        """Bring the sums over all hosts up to date with one host."""
        facts = self.facts
        self._free += host.free.bit_count() - before.bit_count()
        self._whole += (host.free == facts.whole) - (before == facts.whole)
        # Sums of shares are not exact, and must not fall below nothing.
        self._fragments = max(0.0, (
            self._fragments + facts.fragments(self._shares, host.free)
            - facts.fragments(self._shares, before)))

    def _finish(self):
        account = self.account
        if self._now:
            for name, value in self._integrals.items():
                setattr(account, name, value / self._now)
        else:
            account.in_use = 1 - self._free / self.cluster.gpus
            account.in_use_validly = self._valid_gpus / self.cluster.gpus
            account.whole = self._whole / len(self.cluster.hosts)
            account.fragments = self._fragments / self.cluster.gpus
            account.fragments_free = self._fragments / max(self._free, 1)
        account.numa_span = {
            size: statistics.fmean(spans)
            for size, spans in sorted(self._spans.items())}
        if self._scheduler.seconds:
            ours, stock = map(sum, zip(*self._scheduler.seconds))
            account.cpu_ratio = ours / stock
        return account
