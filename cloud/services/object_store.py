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

"""Swift as a part of the cloud: with keystone, and S3 beside its own API."""

import dataclasses

from cloud import config
from cloud.services import swift

ENDPOINT = ('swift', 'object-store', '/v1/AUTH_%(project_id)s')
PACKAGES = ('swift',)
#: The proxy with our middleware, and one of the same Swift without it.
PROXY, STOCK = 'swift', 'swift-stock'
_PLACES = {'memcached': 'memcached', 'proxy': PROXY, 'proxy-stock': STOCK}
_AUTH = 'authtoken s3api s3token keystoneauth'
_BATCHES = 's3api', 'batch_read_s3 s3api'


class ObjectStore(swift.Swift):
    """Swift in a cloud's directory, on its ports, with its memcached.

    :param cloud: a :class:`~cloud.core.Cloud`
    """

    def __init__(self, cloud):
        super().__init__(cloud.layout.root, None, swift.Settings(
            proxies={'proxy': 'block_cache', 'proxy-stock': ''},
            block_caches={'block_cache': {}}, stock=('proxy-stock',)))
        self.layout = cloud.layout

    def _place(self, name):
        """What a process is called in the cloud."""
        return _PLACES.get(name, f'swift-{name}')

    def port(self, name):
        return self.layout.port(self._place(name))

    def _proxy(self, name):
        sections = super()._proxy(name)
        del sections['filter:tempauth']
        pipeline = sections['pipeline:main']
        auth = _AUTH
        if name not in self.settings.stock:
            auth = auth.replace(*_BATCHES)
        pipeline['pipeline'] = pipeline['pipeline'].replace('tempauth', auth)
        keystone = self.layout.url('keystone')
        return {
            **sections,
            'filter:s3api': {'use': 'egg:swift#s3api', 'location': 'us-east-1',
                             # The owner of a bucket is its project.
                             's3_acl': 'false'},
            'filter:s3token': {'use': 'egg:swift#s3token',
                               'auth_uri': f'{keystone}/v3',
                               **config.credentials(self.layout, 'swift')},
            'filter:authtoken': {
                'paste.filter_factory':
                    'keystonemiddleware.auth_token:filter_factory',
                'delay_auth_decision': 'true',
                **config.token_check(self.layout, 'swift')},
            'filter:keystoneauth': {
                'use': 'egg:swift#keystoneauth',
                'operator_roles': 'admin, member',
                'reseller_admin_role': 'ResellerAdmin'},
        }

    def services(self):
        for item in super().services():
            if item.name != 'memcached':
                place = self._place(item.name)
                needs = ('memcached', 'keystone') if place in (
                    PROXY, STOCK) else ()
                yield dataclasses.replace(
                    item, name=place, ports=(place,), needs=needs)


def configure(cloud):
    ObjectStore(cloud).configure()


def schema(cloud):
    return {}


def services(cloud):
    return list(ObjectStore(cloud).services())
