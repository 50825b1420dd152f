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

"""Requests of S3, signed by hand, so that they can be wrong."""

import base64
import datetime
import email.utils
import hashlib
import hmac
import http.client
import urllib.parse

from cloud.services import swift as swift_module
from tests.swift import api

REGION = 'us-east-1'
UNSIGNED = 'UNSIGNED-PAYLOAD'


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _quote(text):
    return urllib.parse.quote(text, safe='-_.~')


def _query(params):
    return '&'.join(f'{_quote(name)}={_quote(value)}'
                    for name, value in sorted(params.items()))


class S3:
    """One user of S3.

    :param swift: a :class:`~cloud.services.swift.Swift`
    """

    def __init__(self, swift, account='test', user='tester', proxy='proxy',
                 secret=None):
        self.swift = swift
        self.proxy = proxy
        self.access = f'{account}:{user}'
        self.secret = secret or swift_module.USERS[account, user][0]
        self.host = f'127.0.0.1:{swift.port(proxy)}'

    def _signature(self, now, method, path, query, headers, payload):
        scope = f'{now[:8]}/{REGION}/s3/aws4_request'
        names = ';'.join(sorted(headers))
        canonical = '\n'.join([
            method, urllib.parse.quote(path, safe='-_.~/'), query,
            *(f'{name}:{headers[name]}' for name in sorted(headers)), '',
            names, payload])
        text = '\n'.join([
            'AWS4-HMAC-SHA256', now, scope,
            hashlib.sha256(canonical.encode()).hexdigest()])
        key = f'AWS4{self.secret}'.encode()
        for part in (now[:8], REGION, 's3', 'aws4_request'):
            key = _hmac(key, part)
        return _hmac(key, text).hex()

    def sign(self, method, path, params, payload, age=0):
        """Headers with a signature of version 4.

        :param payload: hash of the body, or what stands for it
        :param age: seconds
        """
        now = (datetime.datetime.now(datetime.timezone.utc)
               - datetime.timedelta(seconds=age)).strftime('%Y%m%dT%H%M%SZ')
        headers = {'host': self.host, 'x-amz-date': now,
                   'x-amz-content-sha256': payload}
        signature = self._signature(
            now, method, path, _query(params), headers, payload)
        return {**headers, 'Authorization': (
            f'AWS4-HMAC-SHA256 Credential={self.access}/{now[:8]}/{REGION}'
            f'/s3/aws4_request, SignedHeaders={";".join(sorted(headers))}, '
            f'Signature={signature}')}

    def presign(self, method, path, params, seconds=60):
        """Parameters with a signature of version 4."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime(
            '%Y%m%dT%H%M%SZ')
        params = {**params, 'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
                  'X-Amz-Credential':
                      f'{self.access}/{now[:8]}/{REGION}/s3/aws4_request',
                  'X-Amz-Date': now, 'X-Amz-Expires': str(seconds),
                  'X-Amz-SignedHeaders': 'host'}
        return {**params, 'X-Amz-Signature': self._signature(
            now, method, path, _query(params), {'host': self.host}, UNSIGNED)}

    def sign_v2(self, method, path):
        """Headers with a signature of version 2."""
        date = email.utils.formatdate(usegmt=True)
        text = f'{method}\n\n\n{date}\n{path}'
        signature = base64.b64encode(hmac.new(
            self.secret.encode(), text.encode(), hashlib.sha1).digest())
        return {'Date': date,
                'Authorization': f'AWS {self.access}:{signature.decode()}'}

    def send(self, method, path, params, body, headers, **options):
        """A request as it is."""
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.swift.port(self.proxy), timeout=60)
        query = f'?{_query(params)}' if params else ''
        try:
            connection.request(method, urllib.parse.quote(path) + query, body,
                               headers, **options)
            response = connection.getresponse()
            return api.Response(
                response.status, {name.lower(): value for name, value
                                  in response.getheaders()}, response.read())
        finally:
            connection.close()

    def request(self, method, path, body=b'', params=(), payload=None,
                **headers):
        """A request that is signed."""
        params = dict(params)
        payload = payload or hashlib.sha256(body).hexdigest()
        return self.send(method, path, params, body, {
            **self.sign(method, path, params, payload),
            **{name.replace('_', '-'): value
               for name, value in headers.items()}})

    def post_batch(self, wanted, bucket, **options):
        return self.request(
            'POST', f'/{bucket}', api.lines(wanted), {'batch-read': '1'},
            **options)

    def batch(self, wanted, bucket, **options):
        response = self.post_batch(wanted, bucket, **options)
        assert response.status == 200, response
        return api.decode(response.body, len(wanted))
