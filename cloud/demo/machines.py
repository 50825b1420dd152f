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

"""Second act: whole machines with GPUs.

Machines are inspected, in band and by Redfish, and users boot servers on them
by what they are. Then one loses a GPU.
"""

from rich import table as rich_table

from cloud import machines
from cloud import metal
from cloud import tenant as tenants

BROKEN = 'metal-hgx-1'


class Act:
    """What is done, and what is told of it.

    :param cloud: a :class:`~cloud.core.Cloud` that runs
    :param console: where to tell it
    """

    right = ('Every flavor for whole machines found a machine of its kind, '
             'and the broken one was avoided.')
    wrong = 'Some flavor for whole machines did not find the right machine.'

    def __init__(self, cloud, console):
        self.cloud = cloud
        self.console = console
        self.tenant = tenants.Tenant(cloud)
        self.operator = metal.Operator(cloud)

    def tell(self):
        """Run it all.

        :returns: whether every server got the right machine
        """
        self.head('Whole machines, inspected')
        self.tenant.clear()
        self.operator.clear()
        for name, machine in machines.MACHINES.items():
            self.operator.enrol(name, machine)
            self.operator.inspect(name, machine)
            self.operator.provide(name)
        self.show()
        flavors = self.operator.flavors()
        self.console.print(
            '\nFlavors, made of what was found: ' + ', '.join(flavors)
            + '\neach asks for the resource class of the machines, requires '
            'the traits of model and count, and forbids CUSTOM_GPU_DEGRADED')
        right = self.boot(flavors, set(machines.MACHINES))
        self.head(f'{BROKEN} loses a GPU')
        self.operator.withdraw(BROKEN)
        self.operator.inspect(
            BROKEN, machines.MACHINES[BROKEN], machines.lose_gpu)
        self.operator.provide(BROKEN)
        self.show(BROKEN)
        right &= self.boot(flavors, set(machines.MACHINES) - {BROKEN})
        self.operator.clear()
        return right

    def head(self, text):
        self.console.rule(f'[bold]{text}')

    def show(self, *names):
        """Show what inspection made of machines."""
        table = rich_table.Table(
            'machine', 'inspected', 'what it has', 'traits', 'health',
            title='Ironic', title_justify='left')
        for name in names or machines.MACHINES:
            node = self.operator.baremetal.get_node(name)
            table.add_row(
                name, node.inspect_interface.replace('agent', 'in band'),
                node.properties['gpu_summary'],
                ' '.join(sorted(trait.removeprefix('CUSTOM_GPU_')
                                for trait in node.traits)),
                node.properties['gpu_health'])
        self.console.print(table)

    def boot(self, flavors, names):
        """Ask for one machine more of each flavor than there are.

        :param names: of the machines that users may get
        :returns: whether each of them was given to the flavor that fits, and
            no other
        """
        nodes = {node.id: node for node in
                 map(self.operator.baremetal.get_node, machines.MACHINES)}
        for node in nodes.values():
            self.operator.offered(node)
        table = rich_table.Table(
            'flavor', 'status', 'machine', 'what it has', title='Nova',
            title_justify='left')
        given, right = set(), True
        for flavor, id_ in flavors.items():
            server = None
            while server is None or server.status == 'ACTIVE':
                server = self.tenant.boot(flavor, id_)
                node = nodes.get(server.hypervisor_hostname)
                good = node is None or self.fits(flavor, node)
                if node is not None:
                    given.add(node.name)
                right &= good
                table.add_row(
                    flavor,
                    server.status if node is not None else 'none left',
                    node.name if node is not None else '-',
                    node.properties['gpu_summary'] if node is not None
                    else '', style='green' if good else 'red')
        self.console.print(table)
        self.tenant.clear()
        return right and given == names

    def fits(self, flavor, node):
        """Whether a machine is what the name of a flavor promises."""
        model, _, count = flavor.removeprefix('bm.gpu.').rpartition('.x')
        return {f'CUSTOM_GPU_MODEL_{model.upper().replace("-", "_")}',
                f'CUSTOM_GPU_COUNT_{count}'} <= set(node.traits)
