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


"""Which allocation candidates of a host give a request GPUs that are joined.

Placement offers candidates in an order of its own and cuts them off at
``max_placement_results`` for the whole cloud, so the candidate with the right
devices is mostly not among them. Hence one candidate of a host serves as the
template, and the candidates that the scheduler goes on with are made from
what is free, best first.
"""

import dataclasses
import enum
import itertools
import random

from ai_factory_plugins.nova import candidates
from ai_factory_plugins.nova import hosts
from ai_factory_plugins.topology import policy
from ai_factory_plugins.topology import selection


class Outcome(enum.Enum):
    """What became of a host, as the operator reads it."""

    OFFERED = 'offered'
    STOCK = 'left to placement, for want of usable topology tags'
    NO_CANDIDATE = 'no allocation candidate for all of the devices'
    NO_TAGS = 'no topology tags'
    BAD_TAGS = 'unusable topology tags'
    TOO_FEW = 'fewer free devices than asked for'
    NOT_JOINED = 'enough free devices, but none that are joined'


@dataclasses.dataclass(frozen=True)
class Search:
    """The search for devices for one server.

    :param policy: a :class:`~ai_factory_plugins.topology.policy.Policy`
    :param requests: list of
        :class:`~ai_factory_plugins.nova.request.DeviceRequest` for GPUs
    :param free: dict of (resource class, traits) to the uuids of the
        providers that are free, or None where placement could not be asked
    :param limit: how many candidates to make for a host
    """

    policy: policy.Policy
    requests: list
    free: dict | None
    limit: int = 1

    def on(self, host_state):
        """Look for devices on a host.

        :param host_state: a nova HostState with its allocation candidates
        :returns: an :class:`Outcome`, and the candidates for the host to go
            on with; none of them where the host cannot serve the request
        """
        offers = host_state.allocation_candidates
        usable = [offer for offer in offers if all(
            candidates.devices(offer, request.groups) is not None
            for request in self.requests)]
        if not usable:
            return Outcome.NO_CANDIDATE, []
        try:
            pools = [self._pool(host_state, request)
                     for request in self.requests]
        except (hosts.NoTopology, selection.InconsistentTopology) as exc:
            hosts.warn_once(host_state.host, exc)
            if self.policy.needs_tags:
                return Outcome.BAD_TAGS, []
            return Outcome.STOCK, offers
        if None in pools:
            return Outcome.NO_TAGS, []
        if self.free is None:
            found = self._reordered(pools, usable)
        else:
            found = list(itertools.islice(
                self._made(pools, usable[0]), self.limit))
        if found:
            return Outcome.OFFERED, found
        if any(len(pool.devices) < request.count
               for pool, request in zip(pools, self.requests)):
            return Outcome.TOO_FEW, []
        return Outcome.NOT_JOINED, []

    def _pool(self, host_state, request):
        providers = None
        if self.free is not None:
            providers = self.free[request.resource_class, request.traits]
        if self.policy.needs_tags and not hosts.is_tagged(
                host_state, request):
            return None
        return selection.FreePool(
            device for device, tagged in hosts.free_devices(
                host_state, request, providers)
            if tagged or not self.policy.needs_tags)

    def _made(self, pools, template):
        """Candidates made from what is free, best first."""
        for sets in self._combinations(pools, frozenset()):
            candidate = template
            for request, devices in zip(self.requests, sets):
                candidate = candidates.substitute(
                    candidate, request.resource_class,
                    dict(zip(request.groups, devices)))
            yield candidate

    def _combinations(self, pools, taken):
        """Sets of devices for each request, none of them used twice."""
        place = len(self.requests) - len(pools)
        if not pools:
            yield ()
            return
        pool = pools[0]
        if any(device.key in taken for device in pool.devices):
            pool = selection.FreePool(
                d for d in pool.devices if d.key not in taken)
        for found in pool.best(self.requests[place].count,
                               self.policy.loosest, random.shuffle):
            keys = tuple(device.key for device in found.devices)
            for others in self._combinations(pools[1:], taken.union(keys)):
                yield (keys, *others)

    def _reordered(self, pools, offers):
        """The candidates that placement offered, best first."""
        ranked = []
        for offer in offers:
            costs = self._costs(pools, offer)
            if costs is not None and all(
                    cost.level <= self.policy.loosest for cost in costs):
                ranked.append((costs, random.random(), offer))
        ranked.sort(key=lambda item: item[:2])
        return [offer for _, _, offer in ranked]

    def _costs(self, pools, offer):
        try:
            return [
                pool.describe(candidates.devices(offer, request.groups)).cost
                for pool, request in zip(pools, self.requests)]
        except KeyError:
            # A device that its host does not call free.
            return None
