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


"""One search over the hosts of a request, and the account of it."""

import collections
import copy
import dataclasses
import itertools

import nova.conf
from nova.scheduler.client import report
from oslo_log import log as logging

from ai_factory_plugins.nova import hosts
from ai_factory_plugins.nova import placement
from ai_factory_plugins.nova import request
from ai_factory_plugins.nova import search
from ai_factory_plugins.topology import policy

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class Run:
    """One pass over the hosts for one server, and its account.

    :ivar outcomes: dict of :class:`~ai_factory_plugins.nova.search.Outcome`
        to the names of hosts
    """

    def __init__(self, spec_obj, searched):
        self.spec_obj = spec_obj
        self.search = searched
        self.outcomes = collections.defaultdict(list)

    def filter(self, host_states):
        """The hosts that pass, with the candidates to go on with."""
        return [host for host in host_states if self._passes(host)]

    def report(self, hosts_before, hosts_after):
        """Tell the operator what became of the hosts."""
        LOG.info(
            'GPU topology for server %(server)s, %(devices)s, %(policy)s: '
            '%(passed)d of %(hosts)d hosts (%(outcomes)s)',
            {'server': self.spec_obj.instance_uuid,
             'devices': ', '.join(map(
                 str, [*self.search.gpus, *self.search.nics])),
             'policy': self.search.policy,
             'passed': hosts_after, 'hosts': hosts_before,
             'outcomes': '; '.join(
                 f'{len(names)} {outcome.value}{_some(names)}'
                 for outcome, names in sorted(
                     self.outcomes.items(), key=lambda item: -len(item[1])))})

    def spares(self, passed):
        """The hosts once more, with other sets of GPUs.

        The scheduler claims the first candidate of one host after the other.
        Where there are few hosts, requests that come at the same time would
        all fail but one, though there are GPUs for several of them.
        """
        wanted = CONF.ai_factory.gpu_claim_attempts - len(passed)
        if wanted < 1 or not passed or _siblings(self.spec_obj):
            return []
        searched = dataclasses.replace(
            self.search, limit=self.search.limit + wanted)
        others = []
        for host_state in passed:
            first, *_ = host_state.allocation_candidates
            # What is on it was made of the candidate, so that it can serve
            # as the template.
            found = searched.on(host_state)[1]
            others.append([
                _copy(host_state, found[i:i + searched.limit])
                for i, item in enumerate(found)
                if item['mappings'] != first['mappings']])
        turns = itertools.chain.from_iterable(itertools.zip_longest(*others))
        return [item for item in turns if item is not None][:wanted]

    def _passes(self, host_state):
        outcome, host_state.allocation_candidates = self.search.on(host_state)
        self.outcomes[outcome].append(host_state.host)
        LOG.debug(
            'GPU topology for server %(server)s: host %(host)s %(outcome)s '
            '(%(candidates)d candidates)',
            {'server': self.spec_obj.instance_uuid, 'host': host_state.host,
             'outcome': outcome.value,
             'candidates': len(host_state.allocation_candidates)})
        return bool(host_state.allocation_candidates)


def _copy(host_state, offers):
    host_state = copy.copy(host_state)
    host_state.allocation_candidates = offers
    return host_state


def _siblings(spec_obj):
    """Whether servers are created together.

    The hosts of the first pass then are those of the next, and each has to be
    there once to keep count of what is left of it.
    """
    return 'num_instances' in spec_obj and spec_obj.num_instances != 1


def _some(names):
    """The first names, as many as the operator wants to see."""
    shown = names[:CONF.ai_factory.gpu_explained_hosts]
    if not shown:
        return ''
    return ': ' + ', '.join(shown) + (', ...' if shown != names else '')


def _limit(spec_obj):
    # Without a guest NUMA topology nothing after this filter tells one set of
    # free devices from another, so that one of them will do.
    return (CONF.ai_factory.gpu_candidates_per_host
            if spec_obj.numa_topology else 1)


def prepare(spec_obj, host_states):
    """The run for a request, before it has looked at any host.

    :param spec_obj: a nova RequestSpec
    :param host_states: list of the HostStates that it can be about
    :returns: a :class:`Run`, or None if the flavor asks for nothing of ours
    :raises ai_factory_plugins.topology.policy.PolicyError: the flavor's extra
        specs are wrong
    :raises ai_factory_plugins.nova.request.NotInPlacement: see there
    """
    asked = request.policy_of(spec_obj)
    if asked is None:
        return None
    gpus, nics = _split(
        host_states, request.device_requests(spec_obj), asked)
    if not gpus:
        return None
    return Run(spec_obj, search.Search(
        asked, gpus, nics, _free(spec_obj, [*gpus, *nics]), _limit(spec_obj),
        CONF.ai_factory.gpu_degraded_partitions == 'last'))


def _split(host_states, requests, asked):
    """Those of the device requests that are for GPUs, and those for NICs.

    Where any host's tags say which of the requests is the GPUs', the others
    are NICs if the flavor asks for NICs near its GPUs, and else left as
    placement assigned them.
    """
    tagged = hosts.gpu_requests(host_states, requests)
    if asked.nics is None or not any(
            hosts.is_tagged(host, tagged[0]) for host in host_states):
        return tagged, []
    others = [item for item in requests if item not in tagged]
    if not others:
        raise policy.PolicyError(
            f'{policy.NIC_AFFINITY} is set, but the flavor asks for no NICs')
    return tagged, others


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
