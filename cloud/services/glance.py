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


"""Glance: the image that servers boot from."""

from cloud import config
from cloud.services import common

ENDPOINT = ('glance', 'image', '')
PACKAGES = ('glance',)


def _environment(layout):
    return {'OS_GLANCE_CONFIG_DIR': str(layout.etc('glance'))}


def configure(cloud):
    layout = cloud.layout
    config.write(layout.etc('glance') / 'glance-api.conf', {
        'DEFAULT': {'enabled_backends': 'fs:file'},
        'database': {'connection': layout.database('glance')},
        'glance_store': {'default_backend': 'fs'},
        'fs': {'filesystem_store_datadir':
               layout.directory('glance', 'images')},
        'os_glance_staging_store': {
            'filesystem_store_datadir':
                layout.directory('glance', 'staging')},
        'os_glance_tasks_store': {
            'filesystem_store_datadir': layout.directory('glance', 'tasks')},
        'keystone_authtoken': config.token_check(layout, 'glance'),
        'paste_deploy': {
            'flavor': 'keystone',
            'config_file': common.packaged('glance', 'glance-api-paste.ini')},
    })


def schema(cloud):
    return {'glance-schema': (
        [*common.script('glance-manage'), '--config-file',
         str(cloud.layout.etc('glance') / 'glance-api.conf'), 'db_sync'],
        _environment(cloud.layout))}


def services(cloud):
    return [common.api(
        cloud.layout, 'glance', 'glance.wsgi.api',
        _environment(cloud.layout), ('mariadb', 'memcached'))]
