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

"""Batches that botocore has signed."""

import json
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from tests.swift import api
from tests.swift_clients import conftest

WANTED = [{'object': key, 'ranges': [[start, end - 1] for start, end in
                                     conftest.RANGES]}
          for key in ('whole', 'parts')] + [{'object': 'none'}]
STATUS = {'proxy': 200, conftest.CACHED: 200, conftest.S3_ACL: 501,
          conftest.STOCK: 501}


def batch(site, bucket, signer):
    """Send a batch.

    :param signer: name of a class of botocore.auth
    """
    body = b''.join(json.dumps(item).encode() + b'\n' for item in WANTED)
    in_url = 'Query' in signer  # It signs no body.
    request = botocore.awsrequest.AWSRequest(
        'POST', f'{site.url}/{bucket}', params={'batch-read': '1'},
        data=b'' if in_url else body)
    getattr(botocore.auth, signer)(
        botocore.credentials.Credentials(site.access, site.secret), 's3',
        conftest.REGION).add_auth(request)
    ready = request.prepare()
    try:
        with urllib.request.urlopen(urllib.request.Request(
                ready.url, body, {} if in_url else dict(ready.headers),
                method='POST'), timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read()


@pytest.mark.parametrize('signer', ['S3SigV4Auth', 'S3SigV4QueryAuth'])
def test_batch(swift, owner, reader, bucket, blob, signer):
    name, = (name for name in conftest.PROXIES
             if swift.url(name) == owner.url)
    status, body = batch(owner, bucket, signer)
    assert status == STATUS[name], body
    if status == 200:
        *found, none = api.decode(body, len(WANTED))
        for got in found:
            assert got.data == [blob[start:end]
                                for start, end in conftest.RANGES]
        assert none.status == 404
        assert batch(reader, bucket, signer)[0] == 403
