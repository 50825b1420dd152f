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

"""Filter of the proxy: ranges of many objects in one request.

It has its place right of the authentication and left of all that changes what
an object's bytes are::

    [pipeline:main]
    pipeline = catch_errors gatekeeper healthcheck proxy-logging cache
        tempauth batch_read copy slo dlo versioned_writes symlink
        proxy-logging proxy-server

    [filter:batch_read]
    use = egg:ai-factory-plugins#batch_read

A client sends ``POST /v1/ACCOUNT/CONTAINER?batch-read=1``, or to an account,
with a line of JSON for each object, and receives a stream of frames; see
``doc/source/reference/dataset-protocol.rst``. Each object is authorised as a
GET of it would be. The filter ``range_server`` on the object servers makes it
fast; where that is missing, and for objects that are not stored as clients see
them, the objects are read one by one through the rest of the pipeline.

A batch may also be answered as a TAR archive or as a multipart message.

GETs of several ranges of one object are answered in the same way, with what
Swift would give. GETs with ``Range`` and ``If-Range`` get the whole object if
it is another.

===================  ==========  ==============================================
option               default     meaning
===================  ==========  ==============================================
max_entries          10000       entries of one batch
max_ranges           20000       ranges of one batch
max_body             4194304     bytes that a request may have
max_bytes            1073741824  bytes that are read for one batch
max_batches          64          batches that one process answers at once, and
                                 as many GETs
entries_per_request  64          entries from which on another object server
                                 is asked as well
servers_at_once      32          object servers that are asked at once for one
                                 batch; twice as many for a moment
ordinary_reads       4           objects of one batch that are read one by one
                                 at once
known_segments       50000       segments of large objects of which a process
                                 remembers where they are, about 0.4 KiB each;
                                 0 has large objects read one by one
recheck_servers      60          seconds after which an object server is asked
                                 again whether it has the filter
max_get_ranges       50          ranges of a GET; more than Swift's 50 must not
                                 overlap. 0 leaves all GETs to Swift
===================  ==========  ==============================================

``/info`` tells clients the first four, and the last one.
"""

import functools

import eventlet
from swift.common.constraints import check_utf8
from swift.common.constraints import valid_api_version
from swift.common.registry import register_swift_info
from swift.common.swob import HTTPBadRequest
from swift.common.swob import HTTPForbidden
from swift.common.swob import HTTPPreconditionFailed
from swift.common.swob import HTTPServiceUnavailable
from swift.common.swob import Request
from swift.common.swob import Response
from swift.common.swob import status_map
from swift.common.swob import wsgi_to_str
from swift.common.utils import get_logger

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.swift import access
from ai_factory_plugins.swift import answer
from ai_factory_plugins.swift import cluster
from ai_factory_plugins.swift.formats import choice
from ai_factory_plugins.swift import if_range
from ai_factory_plugins.swift import manifests
from ai_factory_plugins.swift import multi_range
from ai_factory_plugins.swift import options
from ai_factory_plugins.swift import ordinary
from ai_factory_plugins.swift import running
from ai_factory_plugins.swift import segmented
from ai_factory_plugins.swift import sources

NAME = 'batch_read'
OF_S3 = 'batch_read.of_s3'  # in the environment: batch_read_s3 has sent it
OPTIONS = {
    'max_entries': options.Number(10000, 1, 1000000),
    'max_ranges': options.Number(20000, 1, 1000000),
    'max_body': options.Number(4 * options.MIB, 1024, 256 * options.MIB),
    'max_bytes': options.Number(1024 * options.MIB, 1, 2 ** 50),
    'max_batches': options.Number(64, 1, 100000),
    'entries_per_request': options.Number(64, 1, 1000000),
    'servers_at_once': options.Number(32, 1, 10000),
    'ordinary_reads': options.Number(4, 1, 64),
    'known_segments': options.Number(50000, 0, 10000000),
    'recheck_servers': options.Number(60, 0, 86400),
    'max_get_ranges': options.Number(50, 0, entries.MAX_RANGES),
}
ADVERTISED = ('max_entries', 'max_ranges', 'max_body', 'max_bytes',
              'max_get_ranges')


class BatchRead:
    """The filter.

    :param app: the next in the pipeline
    :param conf: dict of options, as :func:`options.read` returns them
    :param logger: a logger of Swift's
    """

    def __init__(self, app, conf, logger):
        self.app = app
        self.conf = conf
        self.logger = logger
        self._limits = entries.Limits(conf['max_entries'], conf['max_ranges'])
        self._without_filter = cluster.Memory(conf['recheck_servers'])
        self._unsuitable = cluster.Memory(300)
        self._manifests = manifests.KnownManifests(conf['known_segments'])
        self._shares = manifests.Shares()
        self._slots = running.Slots(conf['max_batches'])
        self._gets = multi_range.MultiRange(app, conf, self)

    def __call__(self, env, start_response):
        if if_range.concerns(env):
            return if_range.respond(self._gets, env, start_response)
        if env['REQUEST_METHOD'] == 'GET':
            return self._gets(env, start_response)
        req = Request(env)
        if req.method != 'POST' or entries.PARAMETER not in req.params:
            return self.app(env, start_response)
        try:
            version, account, container, name = req.split_path(2, 4, True)
        except ValueError:
            return self.app(env, start_response)
        if not valid_api_version(version):
            return self.app(env, start_response)
        slot = self._slots.take()
        if slot is None:
            return HTTPServiceUnavailable(
                request=req, headers={'Retry-After': '1'},
                body='Too many batches at once')(env, start_response)
        try:
            resp = self._respond(req, version, account, container, name, slot)
        except BaseException:
            slot.give_back()
            raise
        if not isinstance(getattr(resp, 'app_iter', None), running.Counted):
            slot.give_back()
        return resp(env, start_response)

    def _respond(self, req, version, account, container, name, slot):
        if not check_utf8(wsgi_to_str(req.path_info)):
            return HTTPPreconditionFailed(
                request=req, body='Invalid UTF8 or contains NULL')
        if req.host.split(':')[0] in (
                self._pipeline_final_app.deny_host_headers):
            return HTTPForbidden(request=req, body='Invalid host header')
        if name:
            return HTTPBadRequest(
                request=req, body='A batch is sent to a container or account')
        if req.params[entries.PARAMETER] != str(entries.VERSION):
            return HTTPBadRequest(
                request=req,
                body=f'Only version {entries.VERSION} of batch-read is known')
        if 'swift.authorize' not in req.environ:
            self.logger.error('There is no authentication left of %s', NAME)
            return HTTPForbidden(request=req)
        if (req.environ.get('swift.authorize_override') or (
                's3api.auth_details' in req.environ
                and OF_S3 not in req.environ)):
            # Rights that a URL carries, or object ACLs of S3: they are made
            # for requests of one object.
            return HTTPForbidden(
                request=req, body='Batches need a token of their own')
        container = wsgi_to_str(container) if container else None
        try:
            form = choice.choose(req)
            found = entries.parse(
                self._body(req), self._limits, container,
                pause=eventlet.sleep)
            rights = access.Access(
                req.environ, self.app, wsgi_to_str(version),
                wsgi_to_str(account))
            denied = rights.check(found)
            writer = form(container)
            return Response(
                request=req, content_type=writer.content_type,
                app_iter=self.open(rights, found, denied, writer, slot))
        except entries.RequestError as exc:
            return status_map[exc.status](
                request=req, body=str(exc), content_type='text/plain')
        except access.Denied as exc:
            return exc.response

    def _body(self, req):
        """What the client has sent.

        :raises RequestError: it is too much, or not all of it
        """
        limit = self.conf['max_body']
        if req.headers.get('Content-Encoding', 'identity') != 'identity':
            raise entries.RequestError(415, 'the body is encoded')
        length = req.content_length
        if length is not None and length > limit:
            raise entries.RequestError(413, f'more than {limit} bytes')
        body = req.environ['wsgi.input'].read(
            limit + 1 if length is None else length)
        if len(body) > limit:
            raise entries.RequestError(413, f'more than {limit} bytes')
        if length is not None and len(body) < length:
            raise entries.RequestError(499, 'the request is cut short')
        return body

    def open(self, rights, found, denied, writer, slot, name='batches',
             reads=ordinary.OrdinaryReads):
        """An answer.

        :param rights: an :class:`~ai_factory_plugins.swift.access.Access`
        :param found: list of entries
        :param denied: dict of number of an entry to the status it gets
        :param writer: see :mod:`ai_factory_plugins.swift.formats`
        :param slot: a :class:`~ai_factory_plugins.swift.running.Slot`
        :param name: under which it is counted
        :param reads: class of the ordinary reads
        :returns: a :class:`~ai_factory_plugins.swift.running.Counted`
        """
        nodes = cluster.Cluster(
            self._pipeline_final_app, self.logger, rights.account,
            rights.env.get('swift.trans_id'), self._without_filter,
            self._unsuitable)
        others = reads(
            rights.env, self.app, rights, self.conf['ordinary_reads'])
        where = sources.Sources(
            rights, nodes, others, self.conf, writer.with_headers,
            self._segmented(nodes, others, writer))
        return running.Counted(
            answer.Answer(found, denied, where, others, self.conf, writer),
            slot, functools.partial(self._done, name))

    def _segmented(self, nodes, reads, writer):
        """What reads large objects by their segments, or None."""
        if (not self.conf['known_segments'] or not reads.takes_over
                or not segmented.is_enabled(self.app)):
            return None
        return segmented.SegmentedObjects(
            nodes, reads, self._manifests, self._shares, self.conf,
            writer.with_headers)

    def _done(self, name, stream):
        """Count what an answer has done, when it is over."""
        self.logger.increment(name)
        for name, count in stream.counts.items():
            if count:
                self.logger.update_stats(name, count)
        self.logger.debug('%s: %s', name, stream.counts)


def filter_factory(global_conf, **local_conf):
    """The filter, as paste wants it."""
    conf = {**global_conf, **local_conf}
    values = options.read(OPTIONS, local_conf)
    register_swift_info(
        NAME, version=entries.VERSION, formats=choice.NAMES,
        **{name: values[name] for name in ADVERTISED})
    logger = get_logger(
        conf, log_route='batch-read', statsd_tail_prefix='batch-read')

    def factory(app):
        return BatchRead(app, values, logger)
    return factory
