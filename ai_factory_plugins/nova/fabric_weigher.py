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


"""Scheduler weigher: hosts near the other members of a job."""

import nova.conf
from nova.scheduler import utils
from nova.scheduler import weights

from ai_factory_plugins.conf import nova as conf
from ai_factory_plugins.nova import fabric as jobs
from ai_factory_plugins.topology import fabric

CONF = nova.conf.CONF


class FabricLocalityWeigher(weights.BaseHostWeigher):
    """Prefer the block that holds members, else the fullest that fits.

    The order is that of :func:`ai_factory_plugins.topology.fabric.places`.
    The weight halves from one place to the next: Nova scales the weights of a
    request to 0 to 1, and with even steps the best two of many places would
    differ by too little to prevail over other weighers. Requests without
    ``ai_factory:fabric_locality``, and servers that are alone, weigh nothing.
    """

    def __init__(self):
        super().__init__()
        conf.register_opts(CONF)

    def weight_multiplier(self, host_state):
        """The multiplier, which an aggregate of the host can override."""
        return utils.get_weight_multiplier(
            host_state, 'fabric_locality_weight_multiplier',
            CONF.ai_factory.fabric_locality_weight_multiplier)

    def weigh_objects(self, weighed_obj_list, weight_properties):
        """One half to the power of a host's place, for each host."""
        host_states = [item.obj for item in weighed_obj_list]
        try:
            job = jobs.current(host_states, weight_properties)
        except fabric.LocalityError:
            job = None
        if job is None:
            return [0.0] * len(host_states)
        places = fabric.places(
            job.hosts(host_states), job.left(), job.locality.depth)
        return [0.5 ** place for place in places[:len(host_states)]]

    def _weigh_object(self, host_state, request_spec):
        # The weight is a comparison of hosts: see weigh_objects.
        raise TypeError('a host has no fabric locality weight of its own')
