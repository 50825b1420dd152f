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


"""Who decides: Nova's filters and weighers, with and without those here.

*Placement's order.* For each host placement generates the ordered choices of
free devices in the order of its providers, which for one host is that of PCI
addresses, but it collects them in a set and returns the set as a list. What
stands first for a host is therefore any of its sets (seen in placement 16
with breadth-first generation of 1,000 candidates). Two orders are modelled:

``any``
    a set drawn from all free GPUs of the host, as placement has it;
``address``
    the free GPUs with the lowest PCI addresses, which no placement promises.
    It is the best order that stock Nova could hope for, since neighbours in
    address are partners in NVLink on the HGX boards.

Each host that has enough free GPUs has one candidate, as with breadth-first
generation and more hosts than ``max_placement_results`` allows for two.
"""

import contextlib
import dataclasses
import random
import time
from unittest import mock

import nova.conf
from nova.scheduler.filters import pci_passthrough_filter
from nova.scheduler import weights

from ai_factory_plugins.nova import filters
from ai_factory_plugins.nova import moves
from ai_factory_plugins.nova import run
from ai_factory_plugins.nova import weighers
from benchmarks.placement import facts as board_facts

CONF = nova.conf.CONF


@dataclasses.dataclass(frozen=True)
class Policy:
    """A way to choose a host and its GPUs.

    :param name: what tables call it
    :param title: what it is
    :param order: placement's order, ``any`` or ``address``
    :param multipliers: options of ``[filter_scheduler]`` that are not at
        their defaults
    :param topology: the filter and the weigher of this project take part
    :param nova: Nova decides, and not chance
    """

    name: str
    title: str
    order: str = 'any'
    multipliers: dict = dataclasses.field(default_factory=dict)
    topology: bool = False
    nova: bool = True


# Either half of it decides alike as long as flavors have the CPU and memory
# in proportion to their GPUs.
_PACK = {'ram_weight_multiplier': -1.0, 'cpu_weight_multiplier': -1.0,
         'disk_weight_multiplier': -1.0, 'pci_weight_multiplier': 100.0}

POLICIES = {policy.name: policy for policy in (
    Policy('topology', 'GPUTopologyFilter and GPUTopologyWeigher beside '
           "Nova's default weighers", topology=True),
    Policy('stock', "Nova's default weighers"),
    Policy('stock-address', "Nova's default weighers, candidates by address",
           order='address'),
    Policy('packed', 'RAM, CPU and disk multipliers of -1, PCI multiplier of '
           '100', multipliers=_PACK),
    Policy('packed-address', 'as packed, candidates by address',
           order='address', multipliers=_PACK),
    Policy('random', 'any host with enough free GPUs, any of its GPUs',
           nova=False),
)}
#: Stock Nova with packing: what GPUTopologyWeigher has to stand up to.
TUNED = tuple(name for name, policy in POLICIES.items() if policy.multipliers)


class Chain:
    """Filters and weighers, as nova-scheduler would load them.

    :param topology: with those of this project, at their default multiplier
    """

    def __init__(self, topology):
        self._handler = weights.HostWeightHandler()
        self._weighers = [
            cls() for cls in self._handler.get_matching_classes(
                ['nova.scheduler.weights.all_weighers'])]
        self._passthrough = pci_passthrough_filter.PciPassthroughFilter()
        self._topology = None
        if topology:
            self._topology = filters.GPUTopologyFilter()
            self._weighers.append(weighers.GPUTopologyWeigher())

    def best(self, states, spec, thorough=True):
        """The HostState that nova-scheduler would claim, or None.

        :param states: HostStates with their candidates
        :param spec: a RequestSpec
        :param thorough: PciPassthroughFilter looks at all hosts, as in Nova,
            and not just at the best; what is chosen is the same, since all
            candidates are made of free devices and it refuses none of them
        """
        left = list(states)
        if self._topology is not None:
            left = list(self._topology.filter_all(left, spec))
        if thorough:
            before = len(left)
            left = list(self._passthrough.filter_all(left, spec))
            if len(left) != before:
                raise RuntimeError('PciPassthroughFilter refused free GPUs')
        if not left:
            return None
        best = self._handler.get_weighed_objects(
            self._weighers, left, spec)[0].obj
        if not thorough and not self._passthrough.host_passes(best, spec):
            raise RuntimeError('PciPassthroughFilter refused free GPUs')
        return best


class Scheduler:
    """One policy at work on one cluster.

    :param policy: a :class:`Policy`
    :param cluster: a :class:`~benchmarks.placement.cluster.Cluster`
    :param seed: of what is left to chance
    :param time_every: each so many requests both chains are timed on the
        same hosts; 0 for never
    :ivar seconds: list of (CPU seconds of this policy, of stock Nova)
    """

    def __init__(self, policy, cluster, seed, time_every=0):
        self.policy = policy
        self.cluster = cluster
        self.seconds = []
        self._rng = random.Random(seed)
        self._time_every = time_every
        self._requests = 0
        self._chain = Chain(policy.topology)
        self._stock = Chain(False)

    @contextlib.contextmanager
    def at_work(self):
        """With the options of the policy, and the cluster's placement."""
        # GPUTopologyFilter shuffles equals with the module's generator.
        random.seed(self._rng.random())
        for option, value in self.policy.multipliers.items():
            CONF.set_override(option, value, 'filter_scheduler')
        try:
            # Nobody is quicker here, and no server was there before.
            CONF.set_override('gpu_claim_attempts', 1, 'ai_factory')
            with mock.patch.object(
                    run.report, 'report_client_singleton',
                    lambda: self.cluster.placement), mock.patch.object(
                    moves, 'move_of', lambda spec_obj: None):
                yield self
        finally:
            CONF.clear_override('gpu_claim_attempts', 'ai_factory')
            for option in self.policy.multipliers:
                CONF.clear_override(option, 'filter_scheduler')

    def place(self, size):
        """Choose for one request, and claim.

        :param size: GPUs asked for
        :returns: (:class:`~benchmarks.placement.cluster.Host`, GPUs taken as
            a set), or None where the request is refused
        """
        spec = self.cluster.spec(size)
        hosts = [host for host in self.cluster.hosts
                 if host.free.bit_count() >= size]
        self._requests += 1
        if not hosts:
            return None
        if self.policy.nova:
            chosen = self._chosen(hosts, spec, size)
        else:
            chosen = self._rng.choice(hosts)
            self._offer([chosen], spec, size)
        if chosen is None:
            return None
        return chosen, chosen.claim(
            spec, chosen.state.allocation_candidates[0])

    def _offer(self, hosts, spec, size):
        """Give each host the candidate that placement has first for it."""
        for host in hosts:
            places = board_facts.places_of(host.free)
            if self.policy.order == 'any':
                places = self._rng.sample(places, size)
            host.state.allocation_candidates = [
                host.candidate(spec, places[:size])]

    def _chosen(self, hosts, spec, size):
        self._offer(hosts, spec, size)
        states = [host.state for host in hosts]
        timed = (self._time_every
                 and not self._requests % self._time_every)
        if timed and self.policy.topology:
            offers = [state.allocation_candidates for state in states]
            stock = self._timed(self._stock, states, spec)[0]
            for state, offer in zip(states, offers):
                state.allocation_candidates = offer
            seconds, best = self._timed(self._chain, states, spec)
            self.seconds.append((seconds, stock))
        else:
            best = self._chain.best(states, spec, thorough=False)
        return best and self.cluster.by_name[best.host]

    @staticmethod
    def _timed(chain, states, spec):
        before = time.process_time()
        best = chain.best(states, spec)
        return time.process_time() - before, best
