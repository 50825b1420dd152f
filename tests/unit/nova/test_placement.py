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


from keystoneauth1 import exceptions as ks_exc
import testtools

from ai_factory_plugins.nova import placement
from tests.unit.nova import base


class FreeProvidersTest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.client = base.FakePlacement()
        self.client.free = {'CUSTOM_GPU': {'a', 'b'}}

    def test_query(self):
        self.assertEqual(
            {'a', 'b'}, placement.free_providers(
                self.client, 'CUSTOM_GPU', {'CUSTOM_Z', 'CUSTOM_A'}))
        self.assertEqual(
            [{'resources': 'CUSTOM_GPU:1', 'required': 'CUSTOM_A,CUSTOM_Z'}],
            self.client.queries)

    def test_by_host(self):
        self.client.free = {'CUSTOM_GPU': {'a', 'b', 'c'}}
        self.assertEqual({'host': 3}, placement.free_by_host(
            self.client, 'CUSTOM_GPU'))

    def test_no_usable_answer(self):
        for error in (
                ks_exc.ConnectFailure('no route'),
                base.Response(503, 'busy'),
                base.Response(200, 'text'),
                base.Response(200, {'errors': []}),
                base.Response(200, [])):
            self.client.error = error
            self.assertRaises(
                placement.Unavailable, placement.free_providers,
                self.client, 'CUSTOM_GPU')
