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

"""Filter of the proxy: batches that are signed as requests of S3.

It has its place left of s3api, which would refuse such a request::

    [pipeline:main]
    pipeline = catch_errors gatekeeper healthcheck proxy-logging cache
        batch_read_s3 s3api tempauth batch_read copy slo dlo versioned_writes
        symlink proxy-logging proxy-server

    [filter:batch_read_s3]
    use = egg:ai-factory-plugins#batch_read_s3

``POST /BUCKET?batch-read=1``, signed with version 4, is then what the same
POST to the container is with a token. This filter verifies nothing itself: it
has s3api read the request as it reads all others, and send it on to the right,
where the authentication checks the signature. All other requests pass by.

It has no options. Those of s3api hold. With ``s3_acl``, which leaves the
authorisation of each object to s3api, batches are refused.
"""

from swift.common.middleware.s3api import s3api
from swift.common.middleware.s3api.s3request import SigV4Mixin
from swift.common.middleware.s3api.s3response import AccessDenied
from swift.common.middleware.s3api.s3response import InvalidRequest
from swift.common.middleware.s3api.s3response import MissingContentLength
from swift.common.middleware.s3api.s3response import S3NotImplemented
from swift.common.middleware.s3api.s3response import SignatureDoesNotMatch
from swift.common.swob import Request

from ai_factory_plugins.dataset import entries
from ai_factory_plugins.swift import batch_read
from ai_factory_plugins.swift.formats import choice

NAME = 'batch_read_s3'
_PARAMETERS = (entries.PARAMETER, choice.PARAMETER)


class S3Batches:
    """The filter.

    :param app: the next in the pipeline
    :raises ValueError: the pipeline has not what it needs right of it
    """

    def __init__(self, app):
        self.app = app
        found = _find(app, s3api.S3ApiMiddleware)
        if found is None or _find(found.app, batch_read.BatchRead) is None:
            # Without batch_read, a batch would be a POST to the container.
            raise ValueError(
                f'{NAME} needs s3api to the right of it, and right of that '
                f'{batch_read.NAME}')
        self._batches = _Batches(found)

    def __call__(self, env, start_response):
        req = Request(env)
        if req.method != 'POST' or entries.PARAMETER not in req.params:
            return self.app(env, start_response)
        return self._batches(env, start_response)


class _Batches(s3api.S3ApiMiddleware):
    """The s3api of the pipeline, as it would be if it knew batches.

    :param original: what it shares its options and all else with
    """

    def __init__(self, original):
        vars(self).update(vars(original))

    def handle_request(self, req):
        if not _is_batch(req):
            return super().handle_request(req)
        if self.conf.s3_acl:
            raise S3NotImplemented(
                'Batches are not there where objects have ACLs of S3.')
        if not isinstance(req, SigV4Mixin):
            # Version 2 does not sign the parameter.
            raise AccessDenied(
                'Batches need a signature of version 4.',
                reason='batch_read_v2')
        if req.content_length is None:
            # s3api would not compare the body with the hash that is signed.
            raise MissingContentLength()
        return self._batch(req)

    def _batch(self, req):
        """Send a batch on.

        :returns: a response of the filter ``batch_read``
        """
        sent = req.to_swift_req(
            'POST', req.container_name, None,
            query={name: req.params[name] for name in _PARAMETERS
                   if name in req.params})
        sent.environ[batch_read.OF_S3] = True
        try:
            with req.translate_read_errors():
                resp = sent.get_response(self.app)
        finally:
            # For the log; with the account, after the authentication.
            req.environ['s3api.backend_path'] = sent.environ['PATH_INFO']
        if resp.status_int == 401:
            raise SignatureDoesNotMatch(
                **req.signature_does_not_match_kwargs())
        if resp.status_int == 403:
            raise AccessDenied(reason='forbidden')
        if resp.status_int == 400:
            raise InvalidRequest(resp.body.decode('utf-8', 'replace'))
        return resp


def _is_batch(req):
    """Whether a request to s3api is a batch, and nothing else that it knows.

    :param req: a request of s3api
    """
    return req.is_bucket_request and all(
        name in _PARAMETERS or name.startswith('X-Amz-')
        or name in ('AWSAccessKeyId', 'Expires', 'Signature')
        for name in req.params)


def _find(app, kind):
    """The first of a kind of filter in a pipeline, or None."""
    while app is not None and not isinstance(app, kind):
        # s3token and keystonemiddleware call it otherwise.
        app = getattr(app, 'app', None) or getattr(app, '_app', None)
    return app


def filter_factory(global_conf, **local_conf):
    """The filter, as paste wants it."""
    return S3Batches
