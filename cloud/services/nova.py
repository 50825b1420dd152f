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


"""Nova: API, scheduler, conductor, and computes with boards."""

import io
import shutil
import sys

from ai_factory_plugins.cmd import inventory
from ai_factory_plugins.testing import boards
from cloud import config
from cloud import layout as layouts
from cloud import service
from cloud.services import common

ENDPOINT = ('nova', 'compute', '/v2.1')
PACKAGES = ('nova',)
STOCK_FILTERS = (
    'ComputeFilter', 'ComputeCapabilitiesFilter', 'ImagePropertiesFilter',
    'ServerGroupAntiAffinityFilter', 'ServerGroupAffinityFilter')
#: The host whose nodes are Ironic's.
METAL = 'bare-metal'
# Nova does not enable these by default, but no cloud with GPUs is without.
LAST_FILTERS = ('NUMATopologyFilter', 'PciPassthroughFilter')


def _environment(layout):
    return {'OS_NOVA_CONFIG_DIR': str(layout.etc('nova')),
            'OS_NOVA_CONFIG_FILES': 'api-paste.ini;nova.conf'}


def _filters(scheduler):
    """The scheduler's part of nova.conf: ``stock`` or ``ai-factory``."""
    options = {
        'pci_in_placement': True,
        'available_filters': ['nova.scheduler.filters.all_filters'],
        'weight_classes': 'nova.scheduler.weights.all_weighers',
        'enabled_filters': ','.join([*STOCK_FILTERS, *LAST_FILTERS])}
    if scheduler == 'ai-factory':
        options['available_filters'].append(
            'ai_factory_plugins.nova.all_filters')
        # Unlike available_filters, it is one list, not an option given often.
        options['weight_classes'] += ',ai_factory_plugins.nova.all_weighers'
        options['enabled_filters'] = ','.join(
            [*STOCK_FILTERS, 'GPUTopologyFilter', *LAST_FILTERS,
             'FabricLocalityFilter'])
    return options


def _common(cloud):
    layout = cloud.layout
    state = layout.directory('nova')
    return {
        'DEFAULT': {
            'transport_url': layout.transport, 'my_ip': layouts.HOST,
            'state_path': state, 'osapi_compute_workers': 1,
            'host': 'controller', 'report_interval': 5,
            # Else a host may wait for a minute until it is discovered.
            'periodic_fuzzy_delay': 0},
        'api_database': {'connection': layout.database('nova_api')},
        'database': {'connection': layout.database('nova_cell1')},
        'keystone_authtoken': config.token_check(layout, 'nova'),
        'service_user': {'send_service_user_token': True,
                         **config.credentials(layout, 'nova')},
        'placement': config.credentials(layout, 'nova'),
        'neutron': config.credentials(layout, 'nova'),
        'cinder': config.credentials(layout, 'nova'),
        'glance': config.credentials(layout, 'nova'),
        'ironic': config.credentials(layout, 'nova'),
        'pci': {'alias': _aliases(cloud)},
        'filter_scheduler': _filters(cloud.scheduler),
        'scheduler': {'workers': 1, 'max_placement_results': 1000,
                      'discover_hosts_in_cells_interval': 2},
        'conductor': {'workers': 1},
        'api': {'auth_strategy': 'keystone'},
        'quota': {'driver': 'nova.quota.NoopQuotaDriver'},
        'wsgi': {'api_paste_config': layout.etc('nova') / 'api-paste.ini'},
        'vnc': {'enabled': False},
        'oslo_concurrency': {'lock_path': state / 'lock'},
    }


def board_directory(cloud, compute):
    """Where the captured board of a compute is."""
    return cloud.layout.root / 'boards' / compute


def _capture(cloud, compute):
    """Write the board of a compute as the tools there would show it."""
    directory = board_directory(cloud, compute)
    note = directory / 'board'
    board = cloud.computes[compute].board
    if not note.exists() or note.read_text() != board:
        shutil.rmtree(directory, ignore_errors=True)
        boards.write_capture(boards.load(board), directory)
        note.write_text(board)


def _section(cloud, compute):
    """The ``[pci]`` options of a compute, as the inventory tool gives them."""
    directory = board_directory(cloud, compute)
    arguments = ['--sysfs-root', str(directory / 'sys'), '-f', 'nova',
                 '--nvidia-smi', str(directory / 'nvidia-smi-q.txt'),
                 '--topo', str(directory / 'nvidia-smi-topo.txt')]
    if (directory / 'fmpm.json').exists():
        arguments += ['--fmpm', str(directory / 'fmpm.json')]
    return _options(inventory.run(arguments))


def _device_specs(cloud, compute):
    lines = _section(cloud, compute)['device_spec']
    edit = cloud.computes[compute].edit
    return lines if edit is None else edit(lines)


def device_specs(cloud, compute):
    """The ``device_spec`` lines with which a compute runs."""
    path = cloud.layout.etc('nova') / f'{compute}.conf'
    return _options(path.read_text()).get('device_spec', [])


def _options(text):
    """Read ``name = value`` lines into a dict of lists."""
    options = {}
    for line in io.StringIO(text):
        name, found, value = line.strip().partition(' = ')
        if found:
            options.setdefault(name, []).append(value)
    return options


def _aliases(cloud):
    found = []
    for compute in cloud.computes:
        for alias in _section(cloud, compute)['alias']:
            if alias not in found:
                found.append(alias)
    return found


def configure(cloud):
    layout = cloud.layout
    for name in cloud.computes:
        _capture(cloud, name)
    common_options = _common(cloud)
    etc = layout.etc('nova')
    config.write(etc / 'nova.conf', common_options)
    paste = etc / 'api-paste.ini'
    paste.write_text(common.packaged('nova', 'api-paste.ini').read_text())
    for name in cloud.computes:
        state = layout.directory('nova', name)
        pci = {**_section(cloud, name),
               'device_spec': _device_specs(cloud, name)}
        config.write(etc / f'{name}.conf', {
            **common_options,
            'DEFAULT': {**common_options['DEFAULT'], 'host': name,
                        'state_path': state, 'compute_driver':
                            'ai_factory_boards.BoardDriver'},
            'oslo_concurrency': {'lock_path': state / 'lock'},
            'pci': pci,
            'ai_factory_boards': {
                'sysfs_root': board_directory(cloud, name) / 'sys'},
        })
    config.write(etc / f'{METAL}.conf', _metal(layout, common_options))


def _metal(layout, common_options):
    """The configuration of the compute for whole machines."""
    state = layout.directory('nova', METAL)
    return {
        **common_options,
        'DEFAULT': {
            **common_options['DEFAULT'], 'host': METAL, 'state_path': state,
            'compute_driver': 'ironic.IronicDriver',
            # Machines come and go more often than in a data centre.
            'update_resources_interval': 3},
        'oslo_concurrency': {'lock_path': state / 'lock'}}


def schema(cloud):
    return {'nova-schema': (
        [sys.executable, '-m', 'cloud.nova_schema',
         str(cloud.layout.etc('nova') / 'nova.conf'),
         cloud.layout.database('nova_cell0')],
        _environment(cloud.layout))}


def services(cloud):
    layout = cloud.layout
    etc = layout.etc('nova')
    yield common.api(
        layout, 'nova-api', 'nova.wsgi.osapi_compute', _environment(layout),
        ('mariadb', 'rabbitmq', 'memcached'))
    # Only the conductor starts without them.
    others = ('keystone', 'placement')
    for name, needs in (('nova-conductor', ()), ('nova-scheduler', others)):
        yield service.Service(
            name, [*common.script(name), '--config-file',
                   str(etc / 'nova.conf')],
            needs=('mariadb', 'rabbitmq', *needs),
            ready=_consumer(layout, name.removeprefix('nova-')))
    for name in cloud.computes:
        yield service.Service(
            f'nova-compute-{name}',
            [sys.executable, '-m', 'ai_factory_plugins.testing.compute',
             '--config-file', str(etc / f'{name}.conf')],
            needs=('nova-conductor', *others),
            ready=_consumer(layout, f'compute.{name}'))
    yield service.Service(
        f'nova-compute-{METAL}',
        [*common.script('nova-compute'), '--config-file',
         str(etc / f'{METAL}.conf')],
        needs=('nova-conductor', 'ironic', *others),
        ready=_consumer(layout, f'compute.{METAL}'))


def _consumer(layout, queue):
    """Whether a service takes requests.

    A compute does so when it has told placement and the database what it
    has, which is later than its first sign of life.
    """
    return lambda: service.consumes(layout.port('rabbitmq'), queue)
