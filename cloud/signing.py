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
"""Presigned URLs of S3, signature version 4, with what Python has.

They cost the client nothing while it measures, and the server what a signed
request costs.
"""

import datetime
import hashlib
import hmac
import urllib.parse

REGION = 'us-east-1'


def presign(host, path, access_key, secret, method='GET', seconds=3600):
    """A path with a signature.

    :param host: host and port, as the request names them
    :param path: of the object, with the bucket, unquoted
    :returns: path and query of the URL
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    scope = f'{now:%Y%m%d}/{REGION}/s3/aws4_request'
    path = urllib.parse.quote(path)
    query = urllib.parse.urlencode(sorted({
        'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
        'X-Amz-Credential': f'{access_key}/{scope}',
        'X-Amz-Date': f'{now:%Y%m%dT%H%M%SZ}',
        'X-Amz-Expires': str(seconds),
        'X-Amz-SignedHeaders': 'host'}.items()), quote_via=urllib.parse.quote)
    canonical = '\n'.join((
        method, path, query, f'host:{host}', '', 'host', 'UNSIGNED-PAYLOAD'))
    text = '\n'.join((
        'AWS4-HMAC-SHA256', f'{now:%Y%m%dT%H%M%SZ}', scope,
        hashlib.sha256(canonical.encode()).hexdigest()))
    key = f'AWS4{secret}'.encode()
    for part in scope.split('/'):
        key = hmac.digest(key, part.encode(), 'sha256')
    signature = hmac.digest(key, text.encode(), 'sha256').hex()
    return f'{path}?{query}&X-Amz-Signature={signature}'
