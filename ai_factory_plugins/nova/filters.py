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

import collections

import nova.conf
from nova import exception
from nova.scheduler.client import report
from nova.scheduler import filters
from nova.scheduler import utils
from oslo_log import log as logging

from ai_factory_plugins.conf import nova as conf
from ai_factory_plugins.nova import hosts
from ai_factory_plugins.nova import moves
from ai_factory_plugins.nova import placement
from ai_factory_plugins.nova import request
from ai_factory_plugins.nova import search
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
        """The hosts that can serve the request, with their candidates."""
        host_states = list(filter_obj_list)
        if utils.request_is_rebuild(spec_obj):
            return host_states
        try:
            asked = request.policy_of(spec_obj)
            if asked is None:
                return host_states
            requests = _gpu_requests(
                host_states, request.device_requests(spec_obj))
        except (policy.PolicyError, request.NotInPlacement) as exc:
            LOG.error(
                'No host for server %(server)s of flavor %(flavor)s: '
                '%(problem)s',
                {'server': spec_obj.instance_uuid,
                 'flavor': spec_obj.flavor.name, 'problem': exc})
            return []
        if not requests:
            return host_states
        _refuse_moves(spec_obj, asked)
        return self._search(spec_obj, asked, requests).filter(host_states)

    def _search(self, spec_obj, asked, requests):
        # Without a guest NUMA topology nothing after this filter tells one
        # set of free devices from another, so that one of them will do.
        limit = (CONF.ai_factory.gpu_candidates_per_host
                 if spec_obj.numa_topology else 1)
        return _Run(spec_obj, search.Search(
            asked, requests, _free(spec_obj, requests), limit))


class _Run:
    """One pass over the hosts for one server, and its account."""

    def __init__(self, spec_obj, searched):
        self.spec_obj = spec_obj
        self.search = searched
        self.outcomes = collections.Counter()

    def filter(self, host_states):
        passed = [host for host in host_states if self._passes(host)]
        LOG.info(
            'GPU topology for server %(server)s, %(devices)s, %(policy)s: '
            '%(passed)d of %(hosts)d hosts (%(outcomes)s)',
            {'server': self.spec_obj.instance_uuid,
             'devices': ', '.join(map(str, self.search.requests)),
             'policy': self.search.policy,
             'passed': len(passed), 'hosts': len(host_states),
             'outcomes': '; '.join(
                 f'{count} {outcome.value}'
                 for outcome, count in self.outcomes.most_common())})
        return passed

    def _passes(self, host_state):
        outcome, host_state.allocation_candidates = self.search.on(host_state)
        self.outcomes[outcome] += 1
        LOG.debug(
            'GPU topology for server %(server)s: host %(host)s %(outcome)s '
            '(%(candidates)d candidates)',
            {'server': self.spec_obj.instance_uuid, 'host': host_state.host,
             'outcome': outcome.value,
             'candidates': len(host_state.allocation_candidates)})
        return bool(host_state.allocation_candidates)


def _refuse_moves(spec_obj, asked):
    """Refuse a move, after which the devices need not be joined.

    :raises nova.exception.NoValidHost: with a reason that Nova shows to the
        user. Nothing else is being scheduled along with a move, so that no
        claim of another server is lost with it.
    """
    move = moves.move_of(spec_obj)
    if move is None:
        return
    facts = {'server': spec_obj.instance_uuid, 'move': move,
             'flavor': spec_obj.flavor.name}
    if asked.required and not CONF.ai_factory.gpu_topology_allow_moves:
        LOG.info('%(move)s of server %(server)s of flavor %(flavor)s is '
                 'refused: Nova would give it other GPUs than those chosen '
                 'here. Shelve and unshelve it instead.', facts)
        raise exception.NoValidHost(reason=(
            f'Servers with GPUs that have to be joined cannot be moved by '
            f'{move}, since Nova would not keep to the GPUs that are. Shelve '
            'and unshelve the server instead.'))
    LOG.warning('%(move)s of server %(server)s of flavor %(flavor)s: Nova '
                'need not give it the GPUs chosen here, and can leave others '
                'claimed. Run "ai-factory-status servers" afterwards.', facts)


def _gpu_requests(host_states, requests):
    """Those of the device requests that are for GPUs.

    A flavor may ask for NICs as well. Where any host's tags say which of the
    aliases is the GPUs', the others are left as placement assigned them.
    """
    tagged = [
        item for item in requests
        if any(hosts.is_tagged(host, item) for host in host_states)]
    return tagged or requests


def _free(spec_obj, requests):
    """Ask placement what is free, or return None where it does not say."""
    context = getattr(spec_obj, '_context', None)
    kinds = {(item.resource_class, item.traits) for item in requests}
    try:
        return {
            kind: placement.free_providers(
                report.report_client_singleton(), *kind,
                global_request_id=getattr(context, 'global_id', None))
            for kind in kinds}
    except placement.Unavailable as exc:
        LOG.warning(
            'Placement does not say which GPUs are free, so that only the '
            'allocation candidates that it offered are put into order for '
            'server %(server)s: %(problem)s',
            {'server': spec_obj.instance_uuid, 'problem': exc})
        return None
