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


"""The most that any placement could do, on small cases.

Offline and exact: all jobs with their arrivals and ends are known before the
first is placed, each may be refused, and all decisions are looked at. It is
a bound that no scheduler can be asked to reach, since none knows what comes.

States that differ in nothing but the names of hosts, in which of two jobs
with one end has which GPUs, or by a permutation of GPUs that leaves the valid
sets as they are, are one. :func:`rounded` makes ends meet, so that short lists
of jobs on a few hosts are feasible.
"""

import dataclasses
import functools
import itertools
import math

from benchmarks.placement import facts as board_facts

MAX_STATES = 3000
FREE = -1.0


class TooLarge(Exception):
    """The case has more states than shall be looked at."""


def rounded(jobs, step):
    """The same jobs, with ends put off to multiples of a step.

    :param jobs: list of :class:`~benchmarks.placement.mixes.Job`
    :param step: in mean lifetimes
    """
    return [
        dataclasses.replace(job, lifetime=step * math.ceil(
            (job.arrival + job.lifetime) / step) - job.arrival)
        for job in jobs]


@functools.cache
def symmetries(facts):
    """Permutations of GPUs that leave the valid sets as they are.

    :param facts: a :class:`~benchmarks.placement.facts.Facts`
    :returns: list of tuples; the GPU at place i goes to place ``tuple[i]``
    """
    pairs = {mask for mask in facts.valid if mask.bit_count() > 1}
    found = [()]
    for place in range(facts.count):
        # A permutation is given up as soon as one set goes astray.
        done = {mask for mask in pairs if mask < 1 << (place + 1)}
        found = [
            (*head, target) for head in found
            for target in range(facts.count)
            if target not in head and _image(done, (*head, target)) <= pairs]
    return found


def _image(masks, permutation):
    return {board_facts.mask_of(permutation[place]
                                for place in board_facts.places_of(mask))
            for mask in masks}


class Optimum:
    """Exhaustive search over what can be done with a list of jobs.

    A state is a sorted tuple of hosts, and a host is a tuple that says for
    each of its GPUs until when it is held, or -1.0.

    :param facts: a :class:`~benchmarks.placement.facts.Facts`
    :param hosts: number of hosts
    """

    def __init__(self, facts, hosts):
        self._facts = facts
        self._hosts = hosts
        self._canonical = functools.lru_cache(maxsize=None)(self._least)

    def search(self, jobs):
        """Look for the best.

        :param jobs: list of :class:`~benchmarks.placement.mixes.Job`
        :returns: (most jobs, most GPUs) that can be placed on valid sets;
            each is the best by itself, not both at once
        :raises TooLarge: see :data:`MAX_STATES`
        """
        empty = (FREE,) * self._facts.count
        states = {(empty,) * self._hosts: (0, 0)}
        for job in sorted(jobs, key=lambda job: (job.arrival, job.number)):
            states = self._merged(
                (self._at(state, job.arrival), best)
                for state, best in states.items())
            states = self._merged(itertools.chain.from_iterable(
                self._choices(state, best, job)
                for state, best in states.items()))
            if len(states) > MAX_STATES:
                raise TooLarge(f'{len(states)} states at job {job.number}')
        return tuple(map(max, zip(*states.values())))

    @staticmethod
    def _merged(found):
        """One entry for each state, with the best way to it."""
        merged = {}
        for state, best in found:
            known = merged.get(state, best)
            merged[state] = tuple(map(max, zip(known, best)))
        return merged

    def _at(self, state, moment):
        """What is left of a state at a later moment."""
        return tuple(sorted(
            self._canonical(tuple(
                FREE if end <= moment else end for end in host))
            for host in state))

    def _choices(self, state, best, job):
        yield state, best
        reached = set()
        for i, host in enumerate(state):
            if host in state[:i]:
                continue
            free = board_facts.mask_of(
                place for place, end in enumerate(host) if end == FREE)
            for mask in self._facts.sets(job.size, free):
                changed = self._canonical(tuple(
                    job.arrival + job.lifetime if mask >> place & 1 else end
                    for place, end in enumerate(host)))
                reached.add(tuple(sorted(
                    (*state[:i], changed, *state[i + 1:]))))
        for found in reached:
            yield found, (best[0] + 1, best[1] + job.size)

    def _least(self, host):
        places = range(len(host))
        return min(tuple(host[permutation[i]] for i in places)
                   for permutation in symmetries(self._facts))
