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

import urllib.parse

from botocore import auth
from botocore import awsrequest
from botocore import credentials

REGION = 'us-east-1'


def presign(host, path, access_key, secret, method='GET', seconds=3600,
            query=''):
    """A path with a signature.

    :param host: host and port, as the request names them
    :param path: of the object, with the bucket, unquoted
    :param query: what the URL has besides, with its question mark
    :returns: path and query of the URL
    """
    base = f'http://{host}'
    request = awsrequest.AWSRequest(
        method, base + urllib.parse.quote(path) + query)
    auth.S3SigV4QueryAuth(
        credentials.Credentials(access_key, secret), 's3', REGION,
        expires=seconds).add_auth(request)
    return request.url.removeprefix(base)
