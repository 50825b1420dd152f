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

"""Static large objects in a batch, read by their segments.

Object servers are asked whether an object is segmented, and tell the etag of
its manifest. The manifest comes through the pipeline once, and is remembered
with that etag. The segments are then read as any object is, each with the etag
that the manifest says, so that no other bytes than those that Swift would give
can come.

What Swift would refuse, or do in another way, is left to it: a segment that is
not there, has changed or may not be read, manifests in manifests, data within
the manifest.
"""

import eventlet
from swift.common.swob import normalize_etag
from swift.common.utils import close_if_possible
from swift.common.utils import config_true_value

from ai_factory_plugins.dataset import frames
from ai_factory_plugins.dataset import plan
from ai_factory_plugins.swift import backend
from ai_factory_plugins.swift import manifests
from ai_factory_plugins.swift import ordinary
from ai_factory_plugins.swift import probes

_FILTER = 'swift.common.middleware.slo'
_QUERY = 'multipart-manifest=get'
_SYSMETA = 'x-object-sysmeta-slo-'
_LARGE = 8 * 1024 * 1024  # bytes of a manifest
_AT_ONCE = 4              # manifests that are fetched at once
# The share of segmented objects in a container from which on it is worth to
# look at all before they are read.
_COMMON = 0.25


def is_enabled(app):
    """Whether Swift serves large objects.

    :param app: what stands right of the filter
    """
    while app is not None:
        if type(app).__module__ == _FILTER:
            return True
        app = getattr(app, 'app', None)
    return False


class SegmentedObjects:
    """The large objects of one batch.

    :param nodes: a :class:`~ai_factory_plugins.swift.cluster.Cluster`
    :param reads: an :class:`~ai_factory_plugins.swift.ordinary.OrdinaryReads`
    :param known: :class:`~ai_factory_plugins.swift.manifests.KnownManifests`
    :param shares: :class:`~ai_factory_plugins.swift.manifests.Shares`
    :param conf: dict of the middleware's options
    :param with_headers: whether the objects' headers are wanted
    """

    def __init__(self, nodes, reads, known, shares, conf, with_headers):
        self._cluster = nodes
        self._reads = reads
        self._known = known
        self._shares = shares
        self._conf = conf
        self._with_headers = with_headers

    def expects(self, known, otherwise=False):
        """Whether an object is to be looked at, as it is likely segmented.

        :param known: an :class:`~ai_factory_plugins.swift.sources.Object`
        :param otherwise: what to say where nothing is known of its container
        """
        if known.looked or not known.nodes:
            return False
        if known.target in self._known:
            return True
        share = self._shares.get(known.target[3:5])
        return otherwise if share is None else share >= _COMMON

    def look(self, objects):
        """Find out which objects are segmented, and read their manifests.

        Those that are have a ``manifest`` then, and no ``nodes``.

        :param objects: set of
            :class:`~ai_factory_plugins.swift.sources.Object`
        :returns: how many requests object servers have had
        """
        fresh = [known for known in objects if known.target not in self._known]
        etags, made = {}, self._ask(objects)
        for probe in made:
            for known, frame in probe:
                known.looked = True
                found = self._etag(known, frame)
                if found is not None:
                    etags[known] = found
        for known in fresh:
            if known.looked:
                self._shares.note(known.target[3:5], known in etags)
        pool = eventlet.GreenPool(_AT_ONCE)
        for known, etag in etags.items():
            known.manifest = self._known.get(known.target, etag)
            if known.manifest is None:
                pool.spawn_n(self._fetch, known, etag)
        pool.waitall()
        for known in etags:
            known.nodes = {}
        return len(made)

    def _ask(self, objects):
        """Ask servers for the first byte of each object.

        :returns: list of :class:`~ai_factory_plugins.swift.probes.Probe`
        """
        servers = plan.assign(
            {known: (1, known.nodes) for known in objects},
            self._conf['entries_per_request'])
        found = {server: probes.Probe(
            self._cluster, server, self._with_headers)
            for server in set(servers.values())}
        for known, server in servers.items():
            found[server].add(known, known.target, known.nodes[server])
        pool = eventlet.GreenPool(self._conf['servers_at_once'])
        for probe in found.values():
            pool.spawn_n(probe.send)
        pool.waitall()
        return list(found.values())

    @staticmethod
    def _etag(known, frame):
        """Etag of an object's manifest, or None if it has none."""
        if frame.status != backend.UNSUITABLE:
            return None
        try:
            meta = frame.meta
        except frames.FrameError:
            return None
        if not meta.get('manifest'):
            return None
        known.headers = meta.get('headers', {})
        return meta.get('etag')

    def _fetch(self, known, etag):
        """Read a manifest through the pipeline."""
        target = known.target
        try:
            response = self._reads.get(target, None, etag, _QUERY)
        except ordinary.ReadFailed:
            return
        try:
            found = self._parse(response, etag)
        except (manifests.ManifestError, eventlet.Timeout, Exception) as exc:
            self._cluster.logger.debug(
                '/%s/%s/%s is not read by its segments: %s', *target[3:], exc)
            self._cluster.remember(target)
        else:
            known.manifest = found
            self._known.add(target, etag, found)
        finally:
            close_if_possible(response.app_iter)

    @staticmethod
    def _parse(response, etag):
        headers = response.headers
        if not (config_true_value(headers.get('x-static-large-object'))
                and normalize_etag(headers.get('etag')) == etag):
            raise manifests.ManifestError('another object by now')
        if not 0 < (response.content_length or 0) <= _LARGE:
            raise manifests.ManifestError('too large')
        try:
            etag = headers[_SYSMETA + 'etag']
            size = int(headers[_SYSMETA + 'size'])
        except (KeyError, ValueError):
            raise manifests.ManifestError('written by an old Swift')
        return manifests.parse(response.body, etag, size)
