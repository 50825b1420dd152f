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
from ai_factory_plugins.topology import affinity
from ai_factory_plugins.topology import model
from ai_factory_plugins.topology import policy
from ai_factory_plugins.topology import selection

# Among how many sets of GPUs those with the nearest NICs are sought.
MAX_SETS_WITH_NICS = 64


class Outcome(enum.Enum):
    """What became of a host, as the operator reads it."""

    OFFERED = 'offered'
    STOCK = 'left to placement, for want of usable topology tags'
    NO_CANDIDATE = 'no allocation candidate for all of the devices'
    NO_TAGS = 'no topology tags'
    BAD_TAGS = 'unusable topology tags'
    TOO_FEW = 'fewer free devices than asked for'
    NOT_JOINED = 'enough free devices, but none that are joined'
    DEGRADED = 'joined by partitions only that lack NVLinks'
    NICS_APART = 'joined GPUs, but no free NICs below their PCIe switches'


@dataclasses.dataclass(frozen=True)
class Search:
    """The search for devices for one server.

    :param policy: a :class:`~ai_factory_plugins.topology.policy.Policy`
    :param gpus: list of
        :class:`~ai_factory_plugins.nova.request.DeviceRequest` for GPUs
    :param nics: the same for the devices that are to be near the GPUs
    :param free: dict of (resource class, traits) to the uuids of the
        providers that are free, or None where placement could not be asked
    :param limit: how many candidates to make for a host
    :param degraded: whether partitions that lack NVLinks count as joined
    """

    policy: policy.Policy
    gpus: list
    nics: list = ()
    free: dict | None = None
    limit: int = 1
    degraded: bool = True

    def on(self, host_state):
        """Look for devices on a host.

        :param host_state: a nova HostState with its allocation candidates
        :returns: an :class:`Outcome`, and the candidates for the host to go
            on with; none of them where the host cannot serve the request
        """
        offers = host_state.allocation_candidates
        usable = [offer for offer in offers if all(
            candidates.devices(offer, request.groups) is not None
            for request in (*self.gpus, *self.nics))]
        if not usable:
            return Outcome.NO_CANDIDATE, []
        try:
            pools = [self._pool(host_state, request) for request in self.gpus]
        except (hosts.NoTopology, selection.InconsistentTopology) as exc:
            hosts.warn_once(host_state.host, exc)
            if self.policy.needs_tags:
                return Outcome.BAD_TAGS, []
            return Outcome.STOCK, offers
        if None in pools:
            return Outcome.NO_TAGS, []
        hosts.keep_pools(host_state, self.gpus, pools)
        nics = [hosts.free_nics(host_state, request, self._free(request))
                for request in self.nics]
        found = self._found(pools, nics, usable)
        if found:
            return Outcome.OFFERED, found
        return self._refusal(pools), []

    def _found(self, pools, nics, usable):
        if self.free is None:
            return self._reordered(pools, nics, usable)
        return [self._made(usable[0], sets, near) for sets, near in
                itertools.islice(self._sets(pools, nics), self.limit)]

    def _refusal(self, pools):
        if any(len(pool.devices) < request.count
               for pool, request in zip(pools, self.gpus)):
            return Outcome.TOO_FEW
        if not self.degraded and self._exists(pools, degraded=True):
            return Outcome.DEGRADED
        if self.nics and self._exists(pools, degraded=self.degraded):
            return Outcome.NICS_APART
        return Outcome.NOT_JOINED

    def _exists(self, pools, degraded):
        other = dataclasses.replace(self, nics=(), degraded=degraded)
        return any(True for _ in other._combinations(pools, frozenset()))

    def _free(self, request):
        if self.free is None:
            return None
        return self.free[request.resource_class, request.traits]

    def _pool(self, host_state, request):
        if self.policy.needs_tags and hosts.is_untagged(host_state, request):
            return None
        return selection.FreePool((
            device for device, tagged in hosts.free_devices(
                host_state, request, self._free(request))
            if tagged or not self.policy.needs_tags),
            by_switch=bool(self.nics))

    def _made(self, template, sets, near):
        """A candidate with the given devices."""
        for request, keys in zip((*self.gpus, *self.nics), (*sets, *near)):
            template = candidates.substitute(
                template, request.resource_class,
                dict(zip(request.groups, keys)))
        return template

    def _sets(self, pools, nics):
        """What to give to each request, best first.

        :returns: iterator of (keys of the GPUs, keys of the NICs), each a
            list with an item for each request
        """
        found = self._combinations(pools, frozenset())
        if not self.nics:
            for sets in found:
                yield [_keys(item.devices) for item in sets], []
            return
        ranked = []
        for place, sets in enumerate(
                itertools.islice(found, MAX_SETS_WITH_NICS)):
            gpus = [device for item in sets for device in item.devices]
            near = [affinity.choose(gpus, free, request.count)
                    for free, request in zip(nics, self.nics)]
            if None in near:
                return
            apart = sum(item.apart for item in near)
            if apart and self.policy.nics == 'required':
                continue
            levels = [item.cost.level for item in sets]
            ranked.append((levels, apart, place, sets, near))
        for _, _, _, sets, near in sorted(ranked, key=lambda item: item[:3]):
            yield ([_keys(item.devices) for item in sets],
                   [item.keys for item in near])

    def _combinations(self, pools, taken):
        """Selections for each request, no device used twice, best first."""
        place = len(self.gpus) - len(pools)
        if not pools:
            yield ()
            return
        pool = pools[0]
        if any(device.key in taken for device in pool.devices):
            pool = selection.FreePool(
                (d for d in pool.devices if d.key not in taken),
                by_switch=bool(self.nics))
        for found in self._best(pool, self.gpus[place].count):
            keys = taken.union(_keys(found.devices))
            for others in self._combinations(pools[1:], keys):
                yield (found, *others)

    def _best(self, pool, count):
        """The selections of a pool, degraded ones last or not at all."""
        found = pool.best(count, self.policy.loosest, random.shuffle)
        if self.degraded:
            yield from found
            return
        late = []
        for item in found:
            if item.cost.degraded:
                late.append(item)
            else:
                yield item
        if self.policy.loosest > model.Level.NVLINK:
            yield from late

    def _reordered(self, pools, nics, offers):
        """The candidates that placement offered, best first."""
        ranked = []
        for offer in offers:
            found = self._described(pools, offer)
            if found is None or not all(map(self._acceptable, found)):
                continue
            apart = self._apart(found, nics, offer)
            if not apart or self.policy.nics != 'required':
                ranked.append(([item.cost for item in found], apart,
                               random.random(), offer))
        ranked.sort(key=lambda item: item[:3])
        return [item[3] for item in ranked]

    def _acceptable(self, found):
        if found.cost.degraded and not self.degraded:
            return self.policy.loosest > model.Level.NVLINK
        return found.cost.level <= self.policy.loosest

    def _described(self, pools, offer):
        try:
            return [
                pool.describe(candidates.devices(offer, request.groups))
                for pool, request in zip(pools, self.gpus)]
        except KeyError:
            # A device that its host does not call free.
            return None

    def _apart(self, found, nics, offer):
        """How many NICs of an offer are not near its GPUs."""
        gpus = [device for item in found for device in item.devices]
        apart = 0
        for free, request in zip(nics, self.nics):
            keys = candidates.devices(offer, request.groups)
            offered = {nic: keys.count(nic.key) for nic in free}
            near = affinity.choose(gpus, offered, request.count)
            apart += request.count if near is None else near.apart
        return apart


def _keys(devices):
    return tuple(device.key for device in devices)
