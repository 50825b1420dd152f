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


"""Job mixes, and the streams of jobs that are drawn from them.

A job is a server that asks for whole GPUs and lives for a while. Everything
is drawn from a seed before the first job is placed, so that all policies see
the same jobs at the same times.
"""

import dataclasses
import random


@dataclasses.dataclass(frozen=True)
class Mix:
    """How often each number of GPUs is asked for.

    :param name: what the command line calls it
    :param shares: dict of GPUs asked for to the share of jobs, summing to 1
    :param source: where the shares are from
    """

    name: str
    shares: dict
    source: str

    @property
    def mean_size(self):
        """GPUs that a job asks for on average."""
        return sum(size * share for size, share in self.shares.items())


@dataclasses.dataclass(frozen=True)
class Job:
    """One server.

    :param number: place in the stream
    :param size: GPUs asked for
    :param arrival: when it is asked for, in mean lifetimes
    :param lifetime: how long it holds its GPUs, in mean lifetimes
    """

    number: int
    size: int
    arrival: float
    lifetime: float


def _whole(shares):
    """Only the jobs for whole GPUs, whose shares then sum to 1."""
    total = sum(shares.values())
    return {size: share / total for size, share in shares.items()}


# Of the pods of that trace, 13.35 % ask for no GPU and 37.76 % for a part of
# one; neither concerns whole GPUs of a board, so they are dropped and the
# others are scaled to 1.
_ALIBABA_2023 = {1: 0.4798, 2: 0.0020, 4: 0.0018, 8: 0.0054}

MIXES = {mix.name: mix for mix in (
    Mix('alibaba-2023', _whole(_ALIBABA_2023),
        'Alibaba cluster-trace-gpu-v2023 (8,152 pods on 1,523 nodes): counts '
        'of the pods that ask for whole GPUs, scaled to 1; neither its '
        'arrival times nor its lifetimes'),
    Mix('stress', {1: 0.70, 2: 0.08, 4: 0.10, 8: 0.12},
        'made up for this project, to have boards broken and asked for; not '
        'a trace'),
)}


def fill(mix, gpus, load, seed):
    """Jobs that come one after another and stay.

    :param mix: a :class:`Mix`
    :param gpus: GPUs of the cloud
    :param load: GPUs asked for in the end, as a share of ``gpus``
    :param seed: seed of the stream
    :returns: list of :class:`Job`
    """
    rng = random.Random(f'{mix.name}/{seed}')
    return _fill(mix, gpus * load, rng)


def churn(mix, gpus, load, count, seed):
    """Jobs that fill the cloud, and then come and go.

    The offered load is kept: arrivals are Poisson with the rate at which
    ``load`` of all GPUs would be held if none were refused, and lifetimes
    are exponential, whatever the size. Refused jobs do not come back.

    :param mix: a :class:`Mix`
    :param gpus: GPUs of the cloud
    :param load: GPUs asked for, as a share of ``gpus``
    :param count: jobs after the fill
    :param seed: seed of the stream
    :returns: list of :class:`Job`, those of the fill with arrival 0.0
    """
    rng = random.Random(f'{mix.name}/{seed}')
    jobs = _fill(mix, gpus * load, rng)
    rate = gpus * load / mix.mean_size
    now = 0.0
    for _ in range(count):
        now += rng.expovariate(rate)
        jobs.append(Job(
            len(jobs), _size(mix, rng), now, rng.expovariate(1.0)))
    return jobs


def _fill(mix, asked, rng):
    jobs = []
    while asked > 0:
        jobs.append(Job(len(jobs), _size(mix, rng), 0.0,
                        rng.expovariate(1.0)))
        asked -= jobs[-1].size
    return jobs


def _size(mix, rng):
    sizes = sorted(mix.shares)
    return rng.choices(sizes, [mix.shares[size] for size in sizes])[0]
