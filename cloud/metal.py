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

"""Whole machines with GPUs in the cloud, some of which have a BMC."""

from ai_factory_plugins.testing import fleet
from cloud import machines
from cloud import services


class Operator(fleet.Fleet):
    """Enrols, inspects and provides machines.

    :param cloud: a :class:`~cloud.core.Cloud` that runs
    """

    def __init__(self, cloud):
        super().__init__(cloud.connection())
        self.cloud = cloud

    def enrol(self, name, machine):
        """Make a machine known to Ironic, as one that can be managed.

        :param machine: a :class:`~cloud.machines.Machine`
        :returns: the node
        """
        if not machine.redfish:
            return super().enrol(name, inspect_interface='agent')
        return super().enrol(name, driver_info={
            'redfish_address': self.cloud.layout.url('redfish'),
            'redfish_system_id':
                f'/redfish/v1/Systems/{machines.system(name)}',
            # Ironic would look for an option of another driver.
            'redfish_verify_ca': False},
            **{f'{name}_interface': 'redfish'
               for name in ('inspect', 'management', 'power')})

    def inspect(self, name, machine, edit=lambda sysfs: None):
        """Inspect a machine.

        :param machine: a :class:`~cloud.machines.Machine`
        :param edit: called with the machine's sysfs tree, to break it
        :returns: the node after it
        """
        tree = machines.sysfs(self.cloud, name, machine)
        edit(tree)
        if not machine.redfish:
            return super().inspect(name, tree)
        services.redfish.describe(self.cloud, name, tree)
        self.cloud.restart('redfish')
        return self._provision(name, 'inspect', 'manageable')
