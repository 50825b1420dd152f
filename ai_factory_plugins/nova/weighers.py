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


"""Scheduler weigher: the host where the request does the least damage."""

import nova.conf
from nova.scheduler import utils
from nova.scheduler import weights

from ai_factory_plugins.conf import nova as conf
from ai_factory_plugins.nova import candidates
from ai_factory_plugins.nova import hosts
from ai_factory_plugins.nova import request
from ai_factory_plugins.topology import policy
from ai_factory_plugins.topology import selection

CONF = nova.conf.CONF


class GPUTopologyWeigher(weights.BaseHostWeigher):
    """Prefer the host whose larger sets of free GPUs stay whole.

    Hosts are compared by the devices of their first allocation candidate,
    which is the one that the scheduler claims. The best is the host that
    joins them as tightly as the flavor asks, then the one with the fewest free
    GPUs and the least damage, counted together: a free GPU counts as two, and
    a set of joined GPUs that is whole no more as many as it has GPUs. So a
    server of one GPU breaks a pair on a board that is nearly full rather than
    keep a board from becoming free that is nearly empty. The weight is the
    host's place in this order. Requests without ``ai_factory:gpu_topology``
    weigh nothing.
    """

    def __init__(self):
        super().__init__()
        conf.register_opts(CONF)

    def weight_multiplier(self, host_state):
        """The multiplier, which an aggregate of the host can override."""
        return utils.get_weight_multiplier(
            host_state, 'gpu_topology_weight_multiplier',
            CONF.ai_factory.gpu_topology_weight_multiplier)

    def weigh_objects(self, weighed_obj_list, weight_properties):
        """Minus the number of better places, for each host."""
        try:
            asked = request.policy_of(weight_properties)
            requests = request.device_requests(weight_properties)
        except (policy.PolicyError, request.NotInPlacement):
            asked = requests = None
        if not asked or not requests:
            return [0.0] * len(weighed_obj_list)
        host_states = [item.obj for item in weighed_obj_list]
        requests = hosts.gpu_requests(host_states, requests)
        costs = [_cost(host_state, asked, requests)
                 for host_state in host_states]
        order = sorted({cost for cost in costs if cost is not None})
        places = {cost: -float(i) for i, cost in enumerate(order)}
        return [places.get(cost, -float(len(order))) for cost in costs]

    def _weigh_object(self, host_state, request_spec):
        # The weight is a comparison of hosts: see weigh_objects.
        raise TypeError('a host has no GPU topology weight of its own')


def _cost(host_state, asked, requests):
    """What the first candidate of a host costs, or None if nobody knows."""
    if not host_state.allocation_candidates:
        return None
    first = host_state.allocation_candidates[0]
    total = []
    for item in requests:
        keys = candidates.devices(first, item.groups)
        if keys is None:
            return None
        try:
            pool = hosts.kept_pool(host_state, item) or selection.FreePool(
                device for device, _ in hosts.free_devices(host_state, item))
            cost = pool.describe(keys).cost
        except (hosts.NoTopology, selection.InconsistentTopology, KeyError):
            return None
        total.append((
            max(cost.level - asked.level, 0), cost.degraded,
            2 * len(pool.devices) + sum(
                size * times for size, times in cost.nvlink),
            cost.nvlink, cost.level, cost.numa_span, cost.pcie, cost.numa))
    return tuple(total)
