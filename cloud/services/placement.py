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


"""Placement, with the settings that suit the scheduler.

The filter makes the candidates itself and wants but one a host, so placement
goes from host to host and may stop early, as the installation guide
recommends. Stock Nova has nothing but what placement offers, and runs on the
defaults, but for the limit: without one, a request for eight GPUs gets no
answer within minutes.
"""

from cloud import config
from cloud.services import common

SETTINGS = {
    'stock': {
        'placement': {'max_allocation_candidates': 1000}},
    'ai-factory': {
        'placement': {
            'allocation_candidates_generation_strategy': 'breadth-first',
            'max_allocation_candidates': 100,
            # See the installation guide: with the default, placement gives
            # one device to two requests that arrive together.
            'allocation_conflict_retry_count': 1},
        'workarounds': {'optimize_for_wide_provider_trees': True}},
}
ENDPOINT = ('placement', 'placement', '')
PACKAGES = ('openstack-placement',)


def _environment(layout):
    return {'OS_PLACEMENT_CONFIG_DIR': str(layout.etc('placement'))}


def configure(cloud):
    layout = cloud.layout
    config.write(layout.etc('placement') / 'placement.conf', {
        'api': {'auth_strategy': 'keystone'},
        'placement_database': {'connection': layout.database('placement')},
        'keystone_authtoken': config.token_check(layout, 'placement'),
        **SETTINGS[cloud.scheduler],
    })


def schema(cloud):
    return {'placement-schema': (
        [*common.script('placement-manage'), '--config-file',
         str(cloud.layout.etc('placement') / 'placement.conf'), 'db', 'sync'],
        _environment(cloud.layout))}


def services(cloud):
    return [common.api(
        cloud.layout, 'placement', 'placement.wsgi.api',
        _environment(cloud.layout), ('mariadb', 'memcached'))]
