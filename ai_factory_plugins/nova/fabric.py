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


"""Jobs of several servers, and the fabric between hosts, as Nova sees them.

Members of one job are the servers of one server group, or, without a group,
the servers of one multi-create. Nova's scheduler goes through the hosts once
for each server of a request, and in between takes what it has picked off the
HostState. What a :class:`Job` has to remember from one pass to the next is
kept at the HostStates: Nova makes them for one request and throws them away
with it, so that requests cannot disturb each other, and nothing is left
behind. (Filter and weigher objects are shared by all requests, and a
RequestSpec does not tell which pass it is.) Each pick counts up
``HostState.num_instances``, from which the job sees where its members went,
in a group or not.
"""

import collections
import dataclasses
import functools

import nova.conf
from nova import context as nova_context
from nova import objects
from oslo_log import log as logging

from ai_factory_plugins.nova import capacity
from ai_factory_plugins.topology import fabric

CONF = nova.conf.CONF
LOG = logging.getLogger(__name__)

_MARK = 'ai_factory_fabric_job'


@dataclasses.dataclass
class Job:
    """The servers that one request places near each other.

    :param locality: a :class:`~ai_factory_plugins.topology.fabric.Locality`
    :param count: how many servers the request is for
    :param members: dict of host name to the number of members of the job
        that were there before
    :param estimate: a :class:`~ai_factory_plugins.nova.capacity.Estimate`
    :param host_states: the HostStates of the first pass, each with the number
        of instances that it had then
    :param paths: dict of host name to path, or to the reason why it has none
    """

    locality: fabric.Locality
    count: int
    members: collections.Counter
    estimate: capacity.Estimate
    host_states: list
    paths: dict
    _rooms: dict = dataclasses.field(default_factory=dict)

    def placed(self):
        """Where members are by now.

        :returns: Counter of members by host name
        """
        found = self.members.copy()
        for host_state, before in self.host_states:
            picked = host_state.num_instances - before
            if picked:
                found[host_state.host] += picked
        return found

    def left(self):
        """How many servers are still to be placed, at least 1.

        When all have a place Nova looks for alternates, with one more pass.
        """
        placed = self.placed().total() - self.members.total()
        return max(self.count - placed, 1)

    def hosts(self, host_states):
        """What the rules for fabrics go by.

        :param host_states: the HostStates on offer
        :returns: list of :class:`~ai_factory_plugins.topology.fabric.Host`,
            first one for each HostState, then those that hold members but
            are not on offer
        """
        placed = self.placed()
        found = []
        for host_state in host_states:
            # A host of several nodes has its members but once.
            found.append(fabric.Host(
                self.path(host_state.host),
                self._room(host_state),
                placed.pop(host_state.host, 0)))
        return found + [fabric.Host(self.path(name), 0, members)
                        for name, members in placed.items()]

    def _room(self, host_state):
        # Nothing but a pick changes it during a request.
        key = host_state, host_state.num_instances
        if key not in self._rooms:
            self._rooms[key] = self.estimate.room(host_state)
        return self._rooms[key]

    def path(self, host):
        """The path of a host, empty where it has none that can be used."""
        path = self.paths.get(host, ())
        return () if isinstance(path, fabric.PathError) else path


def locality_of(spec_obj):
    """What the flavor asks for.

    :param spec_obj: a nova RequestSpec
    :returns: a :class:`~ai_factory_plugins.topology.fabric.Locality` or None
    :raises ai_factory_plugins.topology.fabric.LocalityError: see there
    """
    return fabric.parse(spec_obj.flavor.get('extra_specs', {}) or {},
                        CONF.ai_factory.fabric_levels)


def start(host_states, spec_obj):
    """The job of a request, at its first pass.

    :param host_states: list of nova HostStates; they are marked with the job
    :param spec_obj: a nova RequestSpec
    :returns: a :class:`Job`, or None where the flavor asks for nothing or the
        server has no others to be near to
    :raises ai_factory_plugins.topology.fabric.LocalityError: the flavor or
        the configuration is wrong
    """
    locality = locality_of(spec_obj)
    if locality is None:
        return None
    count = 1 if moves(spec_obj) else spec_obj.num_instances
    if spec_obj.instance_group is None and count < 2:
        return None
    members = _members(spec_obj)
    paths = {host_state.host: _path(host_state.host, host_state.aggregates)
             for host_state in host_states}
    paths.update(_paths_elsewhere(
        spec_obj, [host for host in members if host not in paths]))
    job = Job(locality, count, members, capacity.Estimate(spec_obj),
              [(state, state.num_instances) for state in host_states], paths)
    for host_state in host_states:
        setattr(host_state, _MARK, job)
    return job


def current(host_states, spec_obj):
    """The job of a request, at any pass.

    Without the filter, the weigher's first pass is where a job starts.

    :param host_states: list of nova HostStates, at least one
    :param spec_obj: a nova RequestSpec
    :returns: see :func:`start`
    :raises ai_factory_plugins.topology.fabric.LocalityError: see there
    """
    job = getattr(host_states[0], _MARK, None)
    return start(host_states, spec_obj) if job is None else job


def moves(spec_obj):
    """Whether a server that exists is looked for another host.

    Its RequestSpec still says with how many others it was created. All moves
    name the cell that they may go to (a request to boot never does), and a
    build that is tried again is of one server.
    """
    destination = spec_obj.requested_destination
    retry = spec_obj.retry if 'retry' in spec_obj else None
    return ((destination is not None and 'cell' in destination)
            or (retry is not None and retry.num_attempts > 1))


def _members(spec_obj):
    """How many members each host holds, of those that Nova tells."""
    group = spec_obj.instance_group
    if group is None or 'hosts' not in group:
        return collections.Counter()
    return collections.Counter(group.hosts or ())


def _path(host, aggregates):
    texts = [aggregate.metadata[fabric.PATH] for aggregate in aggregates
             if fabric.PATH in aggregate.metadata]
    try:
        return fabric.path_of(texts, CONF.ai_factory.fabric_levels)
    except fabric.PathError as exc:
        _warn(host, str(exc))
        return exc


def _paths_elsewhere(spec_obj, names):
    """Paths of hosts that are not on offer, most often for being full."""
    if not names:
        return {}
    context = (getattr(spec_obj, '_context', None)
               or nova_context.get_admin_context())
    aggregates = objects.AggregateList.get_by_metadata_key(
        context, fabric.PATH, hosts=set(names))
    return {name: _path(name, [aggregate for aggregate in aggregates
                               if name in aggregate.hosts])
            for name in names}


@functools.lru_cache(maxsize=1024)
def _warn(host, problem):
    LOG.warning(
        'Host %(host)s is treated as one without a path in the fabric: '
        '%(problem)s. Correct the metadata of its aggregates.',
        {'host': host, 'problem': problem})
