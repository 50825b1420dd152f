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


"""First act: virtual machines with GPUs.

The same servers are booted first with stock Nova and then with the plugins,
and it is shown which GPUs each server got.
"""

from rich import table as rich_table

from ai_factory_plugins.inventory import render
from cloud import gpus
from cloud import tenant

FLAVORS = {
    'vm.gpu.h100x1': (tenant.SXM, 1), 'vm.gpu.h100x2': (tenant.SXM, 2),
    'vm.gpu.h100x4': (tenant.SXM, 4), 'vm.gpu.h100x8': (tenant.SXM, 8),
    'vm.gpu.h100pciex2': (tenant.PCIE, 2),
}
# Each round fills the two HGX boards to the last GPU.
ROUNDS = {
    'pairs': ['vm.gpu.h100x2'] * 8 + ['vm.gpu.h100pciex2'] * 2,
    'a mix': ['vm.gpu.h100x2', 'vm.gpu.h100x1', 'vm.gpu.h100x4',
              'vm.gpu.h100x1', 'vm.gpu.h100x8'],
}
TITLES = {'stock': 'stock Nova', 'ai-factory': 'ai-factory-plugins'}
HOW = {
    'stock': "Nova's own filters and weighers. Placement is on its defaults, "
             'but for a limit of 1000 candidates, without which a request for '
             '8 GPUs gets no answer in minutes.',
    'ai-factory': 'GPUTopologyFilter and GPUTopologyWeigher in nova.conf, '
                  'and placement as the installation guide recommends. The '
                  'flavors are the same.',
}


class Act:
    """What is done, and what is told of it.

    :param cloud: a :class:`~cloud.core.Cloud` that runs
    :param console: where to tell it
    """

    right = 'Every server of ours has GPUs that NVLink joins.'
    wrong = 'Some server of ours did not get GPUs that NVLink joins.'

    def __init__(self, cloud, console):
        self.cloud = cloud
        self.console = console
        self.scores = {}
        self.tenant = self.ids = None

    def tell(self):
        """Run it all.

        :returns: whether every server of ours is right
        """
        self.tenant = tenant.Tenant(self.cloud)
        self.tenant.clear()
        for host in self.cloud.computes:
            self.console.print(f'\n{host}', style='bold')
            self.console.print(
                render.picture(gpus.board(self.cloud, host)),
                highlight=False, end='')
        self.ids = self.flavors()
        for scheduler in TITLES:
            self.head(f'Scheduling with {TITLES[scheduler]}')
            self.console.print(HOW[scheduler])
            self.cloud.configure_scheduler(scheduler)
            for name, wanted in ROUNDS.items():
                self.round(scheduler, name, wanted)
        return self.score()

    def head(self, text):
        self.console.rule(f'[bold]{text}')

    def flavors(self):
        """Make the flavors, as an operator would."""
        self.console.print(
            '\nFlavors: ' + ', '.join(FLAVORS)
            + '\neach with pci_passthrough:alias=<model>:<count> and '
            'ai_factory:gpu_topology=nvlink\n')
        return {
            name: self.tenant.flavor(name, alias, count, gpu_topology='nvlink')
            for name, (alias, count) in FLAVORS.items()}

    def round(self, scheduler, name, wanted):
        """Boot servers one after the other, show them, delete them."""
        servers = [
            self.tenant.boot(f'{flavor.removeprefix("vm.gpu.")}-{i}',
                             self.ids[flavor])
            for i, flavor in enumerate(wanted, 1)]
        found = self.tenant.placed(*servers)
        table = rich_table.Table(
            'server', 'status', 'host', 'GPUs', 'modules', 'verdict',
            title=f'{name}, {TITLES[scheduler]}', title_justify='left')
        for item in found:
            good = item.status == 'ACTIVE' and item.joined
            table.add_row(
                item.name, item.status, item.host or '-',
                ' '.join(a.removeprefix('0000:').removesuffix(':00.0')
                         for a in item.addresses) or '-',
                ' '.join(map(str, item.modules)) or '-', item.verdict,
                style='green' if good else 'red')
        self.console.print(table)
        self.scores[scheduler, name] = found
        self.tenant.clear()

    def score(self):
        """The two scores side by side."""
        self.head('The score')
        table = rich_table.Table(
            'servers', 'scheduler', 'joined', 'wrong', 'refused')
        for name, wanted in ROUNDS.items():
            for scheduler, title in TITLES.items():
                found = self.scores[scheduler, name]
                active = [item for item in found if item.status == 'ACTIVE']
                joined = sum(item.joined for item in active)
                table.add_row(
                    f'{name} ({len(wanted)})', title, str(joined),
                    str(len(active) - joined), str(len(found) - len(active)))
        self.console.print(table)
        return all(
            item.status == 'ACTIVE' and item.joined
            and item.addresses == item.claimed
            for (scheduler, _), found in self.scores.items()
            if scheduler == 'ai-factory' for item in found)
