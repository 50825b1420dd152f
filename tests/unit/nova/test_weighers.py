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


from nova import objects
from nova.scheduler import weights as nova_weights

from ai_factory_plugins.nova import filters
from ai_factory_plugins.nova import weighers
from tests.unit.nova import base


class GPUTopologyWeigherTest(base.NovaTestCase):

    def order(self, spec, *hosts):
        """Names of the hosts after filter and weigher, best first."""
        self.sync(*hosts)
        states = filters.GPUTopologyFilter().filter_all(
            [host.state(spec) for host in hosts], spec)
        weighed = nova_weights.HostWeightHandler().get_weighed_objects(
            [weighers.GPUTopologyWeigher()], states, spec)
        return [item.obj.host for item in weighed]

    def hosts(self):
        """A whole board, one with a quad, one with a pair, one GPU."""
        found = [self.host(name) for name in ('eight', 'four', 'two', 'one')]
        found[1].use(1, 2, 3, 4)
        found[2].use(1, 2, 3, 4, 5, 7)
        found[3].use(1, 2, 3, 4, 5, 7, 6)
        return found

    def test_larger_sets_stay_whole(self):
        hosts = self.hosts()
        self.assertEqual(['one', 'two', 'four', 'eight'],
                         self.order(base.request_spec(1), *hosts))
        self.assertEqual(['two', 'four', 'eight'],
                         self.order(base.request_spec(2), *hosts))
        self.assertEqual(['four', 'eight'],
                         self.order(base.request_spec(4), *hosts))

    def test_joined_as_asked_goes_before_packing(self):
        whole, scattered = self.host('whole'), self.host('scattered')
        scattered.use(1, 4, 5, 8)
        self.assertEqual(
            ['whole', 'scattered'],
            self.order(base.request_spec(2, policy='preferred'),
                       scattered, whole))

    def test_hosts_that_say_nothing_serve_those_that_do_not_care(self):
        self.assertEqual(
            ['silent', 'hgx'],
            self.order(base.request_spec(2, topology='any'),
                       self.host('hgx'), self.host('silent', tags=False)))

    def test_wrong_tags_come_last(self):
        wrong = self.host('wrong')
        wrong.tags[wrong.modules[1]] = 'v7'
        self.assertEqual(
            ['hgx', 'wrong'],
            self.order(base.request_spec(2, policy='preferred'),
                       wrong, self.host('hgx')))

    def test_other_requests_weigh_nothing(self):
        spec = base.request_spec(2, topology=None)
        weighed = [nova_weights.WeighedHost(host.state(spec), 0)
                   for host in self.hosts()[:2]]
        weigher = weighers.GPUTopologyWeigher()
        self.assertEqual([0.0, 0.0], weigher.weigh_objects(weighed, spec))

    def test_aggregate_overrides_the_multiplier(self):
        weigher = weighers.GPUTopologyWeigher()
        state = self.host('hgx').state(base.request_spec(1))
        self.assertEqual(100.0, weigher.weight_multiplier(state))
        self.conf.config(
            group='ai_factory', gpu_topology_weight_multiplier=7.0)
        self.assertEqual(7.0, weigher.weight_multiplier(state))
        state.aggregates = [objects.Aggregate(
            hosts=['hgx'],
            metadata={'gpu_topology_weight_multiplier': '-2.5'})]
        self.assertEqual(-2.5, weigher.weight_multiplier(state))
