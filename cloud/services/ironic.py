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

"""Ironic: API and conductor in one process, with our inspection hook.

The machines are not there: their power, deployment and boot are Ironic's own
fake interfaces. Inspection is real, in band (see
:mod:`ai_factory_plugins.testing.ramdisk`) and by Redfish.
"""

from cloud import config
from cloud import layout as layouts
from cloud import service
from cloud.services import common

ENDPOINT = ('ironic', 'baremetal', '')
PACKAGES = ('ironic',)
HOOK = 'gpu-inventory'
# What a flavor needs to know comes from the first two.
HOOKS = f'$default_hooks,cpus,memory,{HOOK}'
REDFISH_HOOKS = f'$default_inspection_hooks,{HOOK}'
SETTINGS = {'resource_class_template': 'GPU_{model}_X{count}',
            'store_summary': True}
_INTERFACES = {
    'bios': 'no-bios', 'boot': 'fake', 'console': 'no-console',
    'deploy': 'fake', 'firmware': 'no-firmware',
    'inspect': 'agent,redfish', 'management': 'fake,redfish',
    'network': 'noop', 'power': 'fake,redfish', 'raid': 'no-raid',
    'rescue': 'no-rescue', 'storage': 'noop', 'vendor': 'no-vendor'}


def configure(cloud):
    layout = cloud.layout
    state = layout.directory('ironic')
    config.write(layout.etc('ironic') / 'ironic.conf', {
        'DEFAULT': {
            'rpc_transport': 'none', 'auth_strategy': 'keystone',
            'host': 'controller', 'my_ip': layouts.HOST,
            'state_path': state,
            'tempdir': layout.directory('ironic', 'tmp'),
            'default_resource_class': 'baremetal',
            'rbac_service_role_elevated_access': True,
            'rbac_service_project_name': 'service',
            'enabled_hardware_types': 'fake-hardware',
            **{f'enabled_{name}_interfaces': value
               for name, value in _INTERFACES.items()}},
        'api': {'host_ip': layouts.HOST, 'port': layout.port('ironic'),
                'api_workers': 1},
        'database': {'connection': layout.database('ironic')},
        'keystone_authtoken': config.token_check(layout, 'ironic'),
        'service_catalog': config.credentials(layout, 'ironic'),
        'conductor': {'automated_clean': False},
        'inspector': {
            'require_managed_boot': False, 'power_off': False,
            'hooks': HOOKS},
        'redfish': {'inspection_hooks': REDFISH_HOOKS},
        'inventory': {'data_backend': 'database'},
        'oslo_concurrency': {
            'lock_path': layout.directory('ironic', 'lock')},
        'gpu_inventory': SETTINGS,
    })


def schema(cloud):
    return {'ironic-schema': (
        [*common.script('ironic-dbsync'), '--config-file',
         str(cloud.layout.etc('ironic') / 'ironic.conf'), 'upgrade'], {})}


def services(cloud):
    layout = cloud.layout
    return [service.Service(
        'ironic',
        [*common.script('ironic'), '--config-file',
         str(layout.etc('ironic') / 'ironic.conf')],
        ports=('ironic',), needs=('mariadb', 'memcached', 'keystone'),
        ready=lambda: service.answers(layout.url('ironic') + '/v1'))]
