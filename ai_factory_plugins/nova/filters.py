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


"""Scheduler filter: only hosts, and only sets of GPUs, that are joined."""

import nova.conf
from nova import exception
from nova.scheduler import filters
from nova.scheduler import utils
from oslo_log import log as logging

from ai_factory_plugins.conf import nova as conf
from ai_factory_plugins.nova import moves
from ai_factory_plugins.nova import request
from ai_factory_plugins.nova import run
from ai_factory_plugins.topology import policy

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class GPUTopologyFilter(filters.BaseHostFilter):
    """Give a server GPUs that belong together, or another host.

    Requests whose flavor has no ``ai_factory:gpu_topology`` pass untouched.
    For the others the filter asks placement once which GPUs are free, works
    out on each host which sets of them are joined as the flavor asks, and
    leaves the host with allocation candidates that name the best of them.
    Hosts without such a set are refused.

    The filter has to stand before ``NUMATopologyFilter`` and
    ``PciPassthroughFilter`` in ``[filter_scheduler]enabled_filters``: these
    have the last word on the candidates made here.
    """

    RUN_ON_REBUILD = False

    def __init__(self):
        super().__init__()
        conf.register_opts(CONF)

    def filter_all(self, filter_obj_list, spec_obj):
        """The hosts that can serve the request, with their candidates.

        :raises nova.exception.NoValidHost: see :func:`refuse_moves`
        """
        host_states = list(filter_obj_list)
        if utils.request_is_rebuild(spec_obj):
            return host_states
        try:
            found = run.prepare(spec_obj, host_states)
        except (policy.PolicyError, request.NotInPlacement) as exc:
            LOG.error(
                'No host for server %(server)s of flavor %(flavor)s: '
                '%(problem)s',
                {'server': spec_obj.instance_uuid,
                 'flavor': spec_obj.flavor.name, 'problem': exc})
            return []
        if found is None:
            return host_states
        refuse_moves(spec_obj, found.search.policy)
        passed = found.filter(host_states)
        found.report(len(host_states), len(passed))
        return passed + found.spares(passed)


def refuse_moves(spec_obj, asked):
    """Refuse a move, after which the GPUs need not be joined.

    :param spec_obj: a nova RequestSpec
    :param asked: its :class:`~ai_factory_plugins.topology.policy.Policy`
    :raises nova.exception.NoValidHost: with a reason that Nova shows to the
        user of an evacuation. Nothing else is being scheduled along with a
        move, so that no claim of another server is lost with it.
    """
    move = moves.move_of(spec_obj)
    if move is None:
        return
    facts = {'server': spec_obj.instance_uuid, 'move': move.name,
             'flavor': spec_obj.flavor.name, 'instead': move.instead}
    if asked.required and not CONF.ai_factory.gpu_topology_allow_moves:
        LOG.info('Refused %(move)s of server %(server)s of flavor %(flavor)s: '
                 'Nova would give it other GPUs than those chosen here. '
                 '%(instead)s', facts)
        raise exception.NoValidHost(reason=(
            'Servers with GPUs that have to be joined cannot be moved by '
            f'{move.name}, since Nova would not keep to the GPUs that are. '
            f'{move.instead}'))
    LOG.warning('Allowed %(move)s of server %(server)s of flavor %(flavor)s: '
                'Nova need not give it the GPUs chosen here, and can leave '
                'others claimed. Run "ai-factory-status servers" afterwards.',
                facts)
