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


"""Keystone: the catalogue, the users and their tokens."""

import base64
import dataclasses
import json
import secrets
import sys
import urllib.request

from cloud import config
from cloud import layout as layouts
from cloud.services import common

ENDPOINT = ('keystone', 'identity', '/v3')
PACKAGES = ('keystone',)


def _environment(layout):
    return {'OS_KEYSTONE_CONFIG_DIR': str(layout.etc('keystone'))}


def configure(cloud):
    layout = cloud.layout
    etc = layout.etc('keystone')
    for repository in ('fernet-keys', 'credential-keys'):
        keys = layout.directory('etc', 'keystone', repository)
        keys.chmod(0o700)
        for name in ('0', '1'):
            path = keys / name
            if not path.exists():
                path.write_bytes(
                    base64.urlsafe_b64encode(secrets.token_bytes(32)))
                path.chmod(0o600)
    config.write(etc / 'keystone.conf', {
        'DEFAULT': {'public_endpoint': layout.url('keystone')},
        'database': {'connection': layout.database('keystone')},
        'token': {'provider': 'fernet', 'expiration': 86400},
        'fernet_tokens': {'key_repository': etc / 'fernet-keys'},
        'fernet_receipts': {'key_repository': etc / 'fernet-keys'},
        'credential': {'key_repository': etc / 'credential-keys'},
        'cache': {
            'enabled': True, 'backend': 'dogpile.cache.pymemcache',
            'memcache_servers':
                f'{layouts.HOST}:{layout.port("memcached")}'},
    })


def schema(cloud):
    layout = cloud.layout
    return {'keystone-schema': (
        [sys.executable, '-m', 'cloud.bootstrap',
         str(layout.etc('keystone') / 'keystone.conf'), layouts.REGION,
         *(','.join([*endpoint[:2], layout.url(port) + endpoint[2]])
           for port, endpoint in cloud.endpoints())],
        _environment(layout))}


def services(cloud):
    api = common.api(
        cloud.layout, 'keystone', 'keystone.wsgi.api',
        _environment(cloud.layout), ('mariadb', 'memcached'))
    return [dataclasses.replace(
        api, ready=lambda: _issues_tokens(cloud.layout.url('keystone')))]


def _issues_tokens(url):
    """Whether it issues a token and finds it valid.

    This also makes keystone read its policies. It does so at the first
    request that needs them, and refuses what arrives meanwhile.
    """
    identity = {'methods': ['password'], 'password': {'user': {
        'name': 'admin', 'domain': {'id': 'default'},
        'password': layouts.PASSWORD}}}
    scope = {'project': {'name': 'admin', 'domain': {'id': 'default'}}}
    request = urllib.request.Request(
        url + '/v3/auth/tokens', method='POST',
        data=json.dumps({'auth': {
            'identity': identity, 'scope': scope}}).encode(),
        headers={'Content-Type': 'application/json'})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            token = response.headers['X-Subject-Token']
        check = urllib.request.Request(
            url + '/v3/auth/tokens',
            headers={'X-Auth-Token': token, 'X-Subject-Token': token})
        with urllib.request.urlopen(check, timeout=20):
            return True
    except OSError:
        return False
