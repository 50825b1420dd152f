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

"""Whether objects are still the same, asked of the object servers themselves.

A HEAD through the pipeline is answered by one replica. So is this, at a part
of the cost: an object server with the filter ``range_server`` is asked for the
first byte and the headers of many objects at once.

Only a yes counts: the same times, etag and size. In all other cases a HEAD has
to tell: another version, one that is missing there, erasure coding, links,
encrypted objects, no filter, or a server that does not answer.
"""

import random
import typing

import eventlet
from swift.common.storage_policy import POLICIES
from swift.common.storage_policy import REPL_POLICY
from swift.common.swob import wsgi_to_str

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift.cache import versions
from ai_factory_plugins.swift import cluster
from ai_factory_plugins.swift import probes

_MOST = 256  # objects of one request
_AT_ONCE = 8  # requests
# Seconds for which it is remembered that there is no use in asking.
_NO_FILTER, _UNSUITABLE = 60, 300


class _Place(typing.NamedTuple):
    """Where an object is.

    :param record: a :class:`~versions.Record`
    :param cluster: a :class:`~ai_factory_plugins.swift.cluster.Cluster`
    :param target: a :class:`~ai_factory_plugins.swift.backend.Target` without
        a device
    :param nodes: dict of server to device of the ring, all as good to ask
    """

    record: versions.Record
    cluster: cluster.Cluster
    target: backend.Target
    nodes: dict


class Checks:
    """Asks object servers.

    :param get_app: returns Swift's proxy application
    :param logger: a logger of Swift's
    """

    def __init__(self, get_app, logger):
        self._get_app = get_app
        self._logger = logger
        self._without_filter = cluster.Memory(_NO_FILTER)
        self._unsuitable = cluster.Memory(_UNSUITABLE)

    def same(self, records, trans_id=None):
        """Which objects are as they were.

        :param records: iterable of :class:`~versions.Record` with versions
        :param trans_id: transaction id of the client's request, if one waits
        :returns: list of those of which it is certain
        """
        clusters, places = {}, []
        for record in records:
            account = record.version.key[0]
            if account not in clusters:
                clusters[account] = cluster.Cluster(
                    self._get_app(), self._logger, wsgi_to_str(account),
                    trans_id, self._without_filter, self._unsuitable)
            place = _place(clusters[account], record)
            if place is not None:
                places.append(place)
        work = list(_requests(places))
        if len(work) == 1:
            return self._ask(*work[0])
        pool = eventlet.GreenPool(_AT_ONCE)
        return [record for found in pool.starmap(self._ask, work)
                for record in found]

    def _ask(self, server, places):
        """One request.

        :returns: list of the records that are as they were
        """
        self._logger.increment('checks')
        nodes, found = places[0].cluster, []
        probe = probes.Probe(nodes, server, with_headers=True)
        for place in places:
            probe.add(place, place.target, place.nodes[server])
        probe.send()
        for place, frame in probe:
            verdict = _judge(frame, place.record.version)
            if verdict:
                found.append(place.record)
            elif verdict is None:
                nodes.remember(place.target)
        return found


def _place(nodes, record):
    """The :class:`_Place` of an object, or None if there is no use in asking.

    :param nodes: a :class:`~ai_factory_plugins.swift.cluster.Cluster`
    """
    policy = POLICIES.get_by_index(record.policy)
    if policy is None or policy.policy_type != REPL_POLICY:
        return None
    _, container, name = record.version.key[:3]
    target, found = nodes.find(
        policy, wsgi_to_str(container), wsgi_to_str(name))
    return _Place(record, nodes, target, found) if found else None


def _requests(places):
    """Share objects out to few servers, to others each time.

    A replica that has missed a write is asked no more often than by a HEAD.

    :param places: list of :class:`_Place`
    :returns: iterator of (server, list of places)
    """
    servers = list({server for place in places for server in place.nodes})
    random.shuffle(servers)
    left = places
    for server in servers:
        here = [place for place in left if server in place.nodes]
        left = [place for place in left if server not in place.nodes]
        for at in range(0, len(here), _MOST):
            yield server, here[at:at + _MOST]


def _judge(frame, version):
    """Whether an object server has a version.

    :param frame: what it says, a :class:`~frames.Frame`
    :returns: True or False; None if it does not tell, and will not
    """
    is_manifest = frame.status == backend.UNSUITABLE
    if not (frame.status == 206 or is_manifest):
        return False
    try:
        meta = frame.meta
        if is_manifest and not meta.get('manifest'):
            return None
        times = (meta['headers']['X-Backend-Data-Timestamp'],
                 meta['headers']['X-Backend-Timestamp'])
        if times != (version.written, version.changed):
            return False
        # With encryption to the right, clients see another etag.
        is_same = (meta['etag'], meta['size']) == (version.etag, version.size)
        return is_same or None
    except (frames.FrameError, KeyError, TypeError):
        return None
