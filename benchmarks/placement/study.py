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


"""The runs of a study: each policy on the same jobs, and the exact optimum."""

import dataclasses

from benchmarks.placement import mixes
from benchmarks.placement import optimum
from benchmarks.placement import policies
from benchmarks.placement import simulation

# GPUs that a fill asks for, as a share of those that there are.
FILL = 1.2
# What an exhaustive search can take: (hosts, jobs after the fill).
SMALL_CHURN = (1, 8)
SMALL_FILLS = (1, 2)
# Ends of small cases, in mean lifetimes.
STEP = 1.0


@dataclasses.dataclass(frozen=True)
class Case:
    """What is common to the policies that are compared.

    :param facts: a :class:`~benchmarks.placement.facts.Facts`
    :param hosts: number of hosts
    :param mix: a :class:`~benchmarks.placement.mixes.Mix`
    :param load: GPUs asked for, as a share; None for a fill without ends
    :param jobs: jobs after the fill
    :param seed: of the jobs, and of what the policies leave to chance
    """

    facts: object
    hosts: int
    mix: mixes.Mix
    load: float | None
    jobs: int
    seed: int

    @property
    def title(self):
        phase = 'fill' if self.load is None else f'load {self.load:.0%}'
        return (f'{self.mix.name}, {phase}, {self.hosts} hosts, '
                f'seed {self.seed}')

    def stream(self):
        gpus = self.hosts * self.facts.count
        if self.load is None:
            return mixes.fill(self.mix, gpus, FILL, self.seed)
        return mixes.churn(self.mix, gpus, self.load, self.jobs, self.seed)

    def run(self, policy, time_every=0, keep_wrong=True):
        """Replay the jobs under a policy.

        :returns: a :class:`~benchmarks.placement.simulation.Account`
        """
        return simulation.Simulation(
            policies.POLICIES[policy], self.facts, self.hosts,
            self.mix.shares, self.seed, time_every,
            depart=self.load is not None, keep_wrong=keep_wrong,
        ).run(self.stream())


def small_cases(facts, mix, seeds):
    """Policies against the optimum.

    :param facts: a :class:`~benchmarks.placement.facts.Facts`
    :param mix: a :class:`~benchmarks.placement.mixes.Mix`
    :param seeds: seeds, one list of jobs for each
    :returns: list of dicts of ``case``, ``lists`` (how many lists of jobs
        were not too large to search),
        ``optimum`` and ``policies``: the jobs and GPUs on valid sets, as
        sums over the lists
    """
    shapes = [('churn', *SMALL_CHURN),
              *(('fill', hosts, 0) for hosts in SMALL_FILLS)]
    return [_small(facts, mix, seeds, *shape) for shape in shapes]


def _small(facts, mix, seeds, phase, hosts, count):
    gpus = hosts * facts.count
    best = [0, 0]
    lists = 0
    done = {name: [0, 0] for name in policies.POLICIES}
    for seed in seeds:
        if phase == 'fill':
            stream = mixes.fill(mix, gpus, FILL, seed)
            # All of them end together, which is as good as never.
            known = [dataclasses.replace(job, lifetime=1.0)
                     for job in stream]
        else:
            known = stream = optimum.rounded(
                mixes.churn(mix, gpus, 0.95, count, seed), STEP)
        try:
            _add(best, optimum.Optimum(facts, hosts).search(known))
        except optimum.TooLarge:
            continue
        lists += 1
        for name, sums in done.items():
            _add(sums, _served(facts, hosts, mix, seed, name, stream,
                               phase == 'churn'))
    return {'case': f'{phase}, {hosts} hosts' if hosts > 1
            else f'{phase}, 1 host',
            'lists': lists, 'optimum': best, 'policies': done}


def _served(facts, hosts, mix, seed, name, stream, depart):
    account = simulation.Simulation(
        policies.POLICIES[name], facts, hosts, mix.shares, seed,
        depart=depart).run(stream)
    served = account.served_ever
    return served.total(), sum(size * n for size, n in served.items())


def _add(sums, pair):
    sums[0] += pair[0]
    sums[1] += pair[1]
