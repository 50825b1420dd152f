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


"""How many servers of a request fit on a host.

The scheduler places the servers of a multi-create one by one; whoever keeps
them together has to know beforehand where all of them will fit. This is an
estimate: it goes by what the compute host last reported and not by placement,
and knows neither guest NUMA topologies nor any resource class but CPU, memory,
disk and the devices of PCI aliases.
"""

import math

from ai_factory_plugins.nova import candidates
from ai_factory_plugins.nova import hosts
from ai_factory_plugins.nova import request
from ai_factory_plugins.topology import policy
from ai_factory_plugins.topology import selection


class Estimate:
    """How many servers of one request fit on each host.

    :param spec_obj: a nova RequestSpec
    """

    def __init__(self, spec_obj):
        self.spec_obj = spec_obj
        self.requests = None
        try:
            self.requests = request.device_requests(spec_obj)
            self.policy = request.policy_of(spec_obj)
        except (policy.PolicyError, request.NotInPlacement):
            # Nobody knows which devices are whose: count on no more than
            # what brought the host here.
            self.requests = None

    def room(self, host_state):
        """How many further servers fit on a host that passed the filters.

        :param host_state: a nova HostState
        :returns: at least 1, since placement and the filters left the host
        """
        if self.requests is None:
            return 1
        bounds = [_plain(host_state, self.spec_obj),
                  _group(host_state, self.spec_obj)]
        if self.policy is not None:
            # Aliases are counted each for itself.
            bounds.extend(
                self._sets(host_state, item) for item in self.requests)
        elif self.requests:
            bounds.append(self._offers(host_state))
        return max(1, min(bounds))

    def _offers(self, host_state):
        """How many of placement's candidates go together, taking the first.

        Stock Nova has no others to go on with, however many devices are free.
        """
        groups = [group for item in self.requests for group in item.groups]
        found, taken = 0, set()
        for candidate in host_state.allocation_candidates:
            devices = candidates.devices(candidate, groups)
            if devices is not None and taken.isdisjoint(devices):
                found += 1
                taken.update(devices)
        return found

    def _sets(self, host_state, item):
        """How many disjoint sets of devices there are, taking the best."""
        try:
            devices = hosts.free_devices(host_state, item)
            if not (self.policy.required
                    and hosts.is_tagged(host_state, item)):
                return len(devices) // item.count
            pool = selection.FreePool(
                device for device, tagged in devices
                if tagged or not self.policy.needs_tags)
        except (hosts.NoTopology, selection.InconsistentTopology):
            return 1
        found = 0
        while True:
            best = next(pool.best(item.count, self.policy.loosest), None)
            if best is None:
                return found
            found += 1
            pool = selection.FreePool(
                device for device in pool.devices
                if device not in best.devices)


def _plain(host_state, spec_obj):
    """By CPU, memory and disk, with the ratios that the host reports.

    As in placement, disk is what flavors were promised, and not what the
    images take up by now.
    """
    ram_total = host_state.total_usable_ram_mb
    volume = 'is_bfv' in spec_obj and spec_obj.is_bfv
    disk = (0 if volume else spec_obj.root_gb) + spec_obj.ephemeral_gb
    bounds = (
        (_left(host_state.vcpus_total, host_state.vcpus_used,
               host_state.cpu_allocation_ratio), spec_obj.vcpus),
        (_left(ram_total, ram_total - host_state.free_ram_mb,
               host_state.ram_allocation_ratio), spec_obj.memory_mb),
        (_left(host_state.total_usable_disk_gb * 1024,
               host_state.disk_mb_used,
               host_state.disk_allocation_ratio), disk * 1024))
    return min(int(left // each) for left, each in bounds if each)


def _left(total, used, ratio):
    return total * (ratio or 1.0) - used


def _group(host_state, spec_obj):
    """By the rule of an anti-affinity group; no bound where there is none."""
    group = spec_obj.instance_group
    if group is None or group.policy != 'anti-affinity':
        return math.inf
    there = set(group.members or ()).intersection(host_state.instances)
    return group.rules.get('max_server_per_host', 1) - len(there)
