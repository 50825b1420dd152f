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

"""Clients of S3 read the ranges that are stored, if they may read them."""

import urllib.parse

from tempest import config
from tempest.lib.common.utils import data_utils
from tempest.lib import decorators

from ai_factory_plugins.tempest.scenario import swift

try:
    from ai_factory_plugins.testing import signing
except ImportError:
    # The extra ``tempest`` has what it needs.
    signing = None

CONF = config.CONF
#: What Swift answers to keys of another project.
REFUSED = (403, 404)


class S3Test(swift.SwiftTest):
    """A bucket is a container of the project whose keys sign the request."""

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.ai_factory.s3_url:
            raise cls.skipException('[ai_factory]s3_url is not set')
        if signing is None:
            raise cls.skipException(
                'botocore is missing: install ai-factory-plugins[tempest]')

    def keys(self, user):
        """Make keys of S3, for the time of the test.

        :returns: access key and secret
        """
        client, who = user.users_v3_client, user.credentials
        made = client.create_user_ec2_credential(
            who.user_id, tenant_id=who.tenant_id)['credential']
        self.addCleanup(
            client.delete_user_ec2_credential, who.user_id, made['access'])
        return made['access'], made['secret']

    def read(self, keys, bucket, name, first, last):
        """Read a range.

        :returns: HTTP status, and the body as bytes
        """
        url = urllib.parse.urlsplit(CONF.ai_factory.s3_url)
        target = signing.presign(url.netloc, f'/{bucket}/{name}', *keys)
        last = '' if last is None else last
        resp, body = self.containers.raw_request(
            f'{url.scheme}://{url.netloc}{target}', 'GET',
            headers={'Range': f'bytes={first}-{last}'})
        return resp.status, body

    def assert_read(self, keys, bucket, stored):
        """All ranges are as they were stored, at once and when read again."""
        for _ in range(2):
            for name, data in stored.items():
                for first, last in swift.RANGES:
                    end = swift.SIZE if last is None else last + 1
                    self.assertEqual(
                        (206, data[first:end]),
                        self.read(keys, bucket, name, first, last))

    @decorators.idempotent_id('9a4c61f7-0d25-4b8e-8c13-5e7f2b90d6a4')
    def test_ranges(self):
        bucket, stored = self.store()
        self.assert_read(self.keys(self.owner), bucket, stored)

    @decorators.idempotent_id('3e8b5d02-6c7a-4f19-a5d4-c1f0e97b2856')
    def test_ranges_of_what_was_written_anew(self):
        bucket, stored = self.store()
        keys = self.keys(self.owner)
        self.assert_read(keys, bucket, stored)
        stored['a'] = data_utils.random_bytes(swift.SIZE)
        self.objects.create_object(bucket, 'a', stored['a'])
        self.assert_read(keys, bucket, stored)

    @decorators.attr(type=['negative'])
    @decorators.idempotent_id('d5c27e90-b8f4-4a63-91e6-2f0a7d3b4c18')
    def test_without_access(self):
        bucket, stored = self.store()
        self.assert_read(self.keys(self.owner), bucket, stored)
        status, body = self.read(self.keys(self.other), bucket, 'a', 0, 15)
        self.assertIn(status, REFUSED)
        self.assertNotIn(stored['a'][:16], body)
