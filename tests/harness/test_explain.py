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


from nova import context
from nova import objects

from ai_factory_plugins.cmd import explain as command
from ai_factory_plugins.nova import explain
from tests.harness import base


class ExplainTest(base.NovaTestCase):
    """The command's answers agree with what the scheduler does."""

    def explain(self, flavor_id, host=None):
        ctxt = context.get_admin_context()
        ctxt.project_id = 'project'
        flavor = objects.Flavor.get_by_flavor_id(ctxt, flavor_id)
        found = explain.Explainer(ctxt, flavor).explain(host)
        return found, command.text(found)

    def test_answers(self):
        self.host('hgx1')
        self.host('hgx2')
        pair, quad, eight = map(self.flavor, (2, 4, 8))
        found, text = self.explain(eight)
        self.assertEqual(['hgx1', 'hgx2'], found.found)
        self.assertIn('Hosts: hgx1, hgx2', text)
        found, _ = self.explain(eight, 'hgx2')
        self.assertEqual(['hgx2'], found.found)
        # Nothing was claimed; break up both boards so that no quad is left.
        for host in ('hgx1', 'hgx2'):
            self.boot(eight, host=host)
        for server in self.api.get_servers():
            self._delete_server(server)
        for host in ('hgx1', 'hgx2'):
            first = self.boot(pair, host=host)
            self.boot(pair, host=host)
            self.boot(pair, host=host)
            self._delete_server(first)
        found, text = self.explain(quad)
        self.assertEqual([], found.found)
        self.assertEqual({2: 2, 1: 4}, found.sets['hgx1'])
        self.assertIn('GPUTopologyFilter: 0 of 2 hosts', text)
        self.assertIn('2 enough free devices, but none that are joined: '
                      'hgx1, hgx2', text)
        self.assertIn('hgx1: 1: 4, 2: 2', text)
        self.boot(quad, 'ERROR')
        found, text = self.explain(eight)
        self.assertEqual([], found.found)
        self.assertIn('8 of CUSTOM_GPU_H100_SXM5_80GB free on 2 hosts, '
                      'at most 4 on one', text)
        self.assertIn('No allocation candidates', text)

    def test_wrong_flavors(self):
        self.host('hgx1')
        found, text = self.explain(self.flavor(2, alias='typo'))
        self.assertIn('PCI alias typo is not defined', text)
        found, text = self.explain(self.flavor(
            2, {'ai_factory:gpu_nic_affinity': 'required'}))
        self.assertIn('the flavor asks for no NICs', text)
        found, text = self.explain(self.flavor(0))
        self.assertEqual(['hgx1'], found.found)
