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


"""Neutron's API: Nova cannot show a server without it."""

from cloud import config
from cloud.services import common

ENDPOINT = ('neutron', 'network', '')
PACKAGES = ('neutron',)


def _environment(layout):
    return {'OS_NEUTRON_CONFIG_DIR': str(layout.etc('neutron')),
            'OS_NEUTRON_CONFIG_FILES': 'neutron.conf'}


def configure(cloud):
    layout = cloud.layout
    config.write(layout.etc('neutron') / 'neutron.conf', {
        'DEFAULT': {
            'core_plugin': 'ml2', 'service_plugins': '', 'api_workers': 1,
            'rpc_workers': 0, 'transport_url': layout.transport,
            'api_paste_config': common.packaged('neutron', 'api-paste.ini'),
            'state_path': layout.directory('neutron'),
            'notify_nova_on_port_status_changes': False,
            'notify_nova_on_port_data_changes': False},
        'database': {'connection': layout.database('neutron')},
        'keystone_authtoken': config.token_check(layout, 'neutron'),
        'ml2': {'type_drivers': 'flat,vlan', 'tenant_network_types': 'vlan',
                'mechanism_drivers': 'logger'},
        'ml2_type_vlan': {'network_vlan_ranges': 'physnet1:100:199'},
        'oslo_concurrency': {
            'lock_path': layout.directory('neutron', 'lock')},
    })


def schema(cloud):
    return {'neutron-schema': (
        [*common.script('neutron-db-manage'), '--config-file',
         str(cloud.layout.etc('neutron') / 'neutron.conf'),
         'upgrade', 'heads'], _environment(cloud.layout))}


def services(cloud):
    return [common.api(
        cloud.layout, 'neutron', 'neutron.wsgi.api',
        _environment(cloud.layout), ('mariadb', 'memcached', 'rabbitmq'))]
