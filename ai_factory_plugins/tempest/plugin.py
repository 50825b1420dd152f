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

"""Entry point of the tests for Tempest."""

import pathlib

from tempest.test_discover import plugins

from ai_factory_plugins.tempest import config


class AIFactoryTempestPlugin(plugins.TempestPlugin):

    def load_tests(self):
        here = pathlib.Path(__file__).parent
        return str(here / 'scenario'), str(here.parents[1])

    def register_opts(self, conf):
        config.register_opts(conf)

    def get_opt_lists(self):
        return config.list_opts()
