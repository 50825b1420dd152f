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

"""Base of the tests of Swift."""

from tempest import config
from tempest.lib.common.utils import data_utils

from ai_factory_plugins.tempest.scenario import base

CONF = config.CONF
#: Bytes of each object that is stored.
SIZE = 64 * 1024
#: What is read of them.
RANGES = ([0, 15], [4096, 8191], [SIZE - 1, None])


class SwiftTest(base.ScenarioTest):
    """Of a user who may write, and another who may not."""

    credentials = [['operator', CONF.object_storage.operator_role], 'alt']

    @classmethod
    def skip_checks(cls):
        super().skip_checks()
        if not CONF.service_available.swift:
            raise cls.skipException('there is no Swift')

    @classmethod
    def setup_clients(cls):
        cls.owner, cls.other = cls.os_roles_operator, cls.os_alt
        cls.containers = cls.owner.container_client
        cls.objects = cls.owner.object_client
        # The role was given after the first token.
        cls.containers.auth_provider.clear_auth()

    def store(self, **headers):
        """Make a container with two objects, for the time of the test.

        :returns: its name, and the data of the objects by name
        """
        container = data_utils.rand_name('ai-factory')
        self.containers.update_container(container, **headers)
        self.addCleanup(self.containers.delete_container, container)
        stored = {name: data_utils.random_bytes(SIZE) for name in 'ab'}
        for name, data in stored.items():
            self.objects.create_object(container, name, data)
            self.addCleanup(self.objects.delete_object, container, name)
        return container, stored
