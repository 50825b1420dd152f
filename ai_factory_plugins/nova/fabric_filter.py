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


"""Scheduler filter: the members of a job in one block of the fabric."""

import collections
import enum
import random

import nova.conf
from nova.scheduler import filters
from nova.scheduler import utils
from oslo_log import log as logging

from ai_factory_plugins.conf import nova as conf
from ai_factory_plugins.nova import fabric as jobs
from ai_factory_plugins.topology import fabric

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)


class Outcome(enum.Enum):
    """What became of a host, as the operator reads it."""

    CHOSEN = 'in the chosen block'
    SPARE = 'in other blocks with room'
    FULL = 'in blocks without room for all'
    AWAY = 'in blocks without members'
    SHORT = 'fabric path without this level'
    NO_PATH = 'no fabric path'
    BAD_PATH = 'unusable fabric path'


class FabricLocalityFilter(filters.BaseHostFilter):
    """Keep the members of a job in one block of the fabric.

    Requests whose flavor has no ``ai_factory:fabric_locality``, and servers
    that are alone, pass untouched. If locality is required, the filter leaves
    the hosts of one block: the one that holds members, else the fullest that
    can take all of them. If it is preferred, all hosts pass, and
    ``FabricLocalityWeigher`` puts them in order.

    Nova runs the filter once for all servers of a request. The later passes,
    and the search for alternates, begin with the hosts that the pass before
    has left, which are those of the one block; so there is nothing to be
    remembered. It also means that the block is chosen once: what does not fit
    into it after all, because rivals were quicker or the room was estimated
    wrongly, makes the request fail.

    The filter has to be the last one in ``[filter_scheduler]enabled_filters``,
    or hosts count that another filter is going to refuse.
    """

    RUN_ON_REBUILD = False
    run_filter_once_per_request = True

    def __init__(self):
        super().__init__()
        conf.register_opts(CONF)

    def filter_all(self, filter_obj_list, spec_obj):
        """The hosts of the block where the job goes."""
        host_states = list(filter_obj_list)
        if utils.request_is_rebuild(spec_obj):
            return host_states
        try:
            job = jobs.start(host_states, spec_obj)
        except fabric.LocalityError as exc:
            LOG.error(
                'No host for server %(server)s of flavor %(flavor)s: '
                '%(problem)s',
                {'server': spec_obj.instance_uuid,
                 'flavor': spec_obj.flavor.name, 'problem': exc})
            return []
        if job is None:
            _tell_if_siblings_are_unknown(spec_obj)
            return host_states
        return _choose(job, host_states, spec_obj)


def _choose(job, host_states, spec_obj):
    """The hosts that pass, and the line about it."""
    # Equals in any order, so that parallel requests do not all want the same.
    shuffled = random.sample(host_states, len(host_states))
    hosts = job.hosts(shuffled)
    depth = job.locality.depth
    blocks = fabric.blocks(hosts, depth)
    usable = [block.path
              for block in fabric.candidates(hosts, job.left(), depth)]
    outcomes = {
        host_state: _outcome(job, host_state, blocks, usable)
        for host_state in host_states}
    passed = [
        host_state for host_state in host_states
        if not job.locality.required
        or outcomes[host_state] is Outcome.CHOSEN]
    counted = collections.Counter(outcomes.values())
    LOG.info(
        'Fabric locality for server %(server)s, %(locality)s, %(left)d to '
        'place, %(placed)d placed: %(passed)d of %(hosts)d hosts '
        '(%(outcomes)s); %(block)s',
        {'server': spec_obj.instance_uuid, 'locality': job.locality,
         'left': job.left(), 'placed': job.members.total(),
         'passed': len(passed), 'hosts': len(host_states),
         'outcomes': '; '.join(f'{count} {outcome.value}' for outcome, count
                               in counted.most_common()),
         'block': _described(blocks, usable)})
    return passed


def _outcome(job, host_state, blocks, usable):
    path, depth = job.path(host_state.host), job.locality.depth
    if len(path) < depth:
        if isinstance(job.paths[host_state.host], fabric.PathError):
            return Outcome.BAD_PATH
        return Outcome.SHORT if path else Outcome.NO_PATH
    path = path[:depth]
    if path in usable:
        return Outcome.CHOSEN if path == usable[0] else Outcome.SPARE
    if job.members and not blocks[path].members:
        return Outcome.AWAY
    return Outcome.FULL


def _described(blocks, usable):
    if usable:
        best = blocks[usable[0]]
        return f'block {best} has room for {best.room}'
    if not blocks:
        return 'no host is in a block of this level'
    # The one to make room in: where members are, else the roomiest.
    best = max(blocks.values(), key=lambda block: (
        block.members, block.room, block.path))
    return (f'no block will do, the best is {best} with room for {best.room} '
            f'and {best.members} placed there')


def _tell_if_siblings_are_unknown(spec_obj):
    if (jobs.moves(spec_obj) and spec_obj.num_instances > 1
            and jobs.locality_of(spec_obj) is not None):
        LOG.info(
            'Server %(server)s was created together with others, but is not '
            'in a server group, so that nobody knows where they are: fabric '
            'locality is not looked at. Create such servers in a server '
            'group.', {'server': spec_obj.instance_uuid})
