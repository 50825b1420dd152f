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


"""Fill keystone's database: schema, users, roles and catalogue.

Run as ``python -m cloud.bootstrap CONFIG REGION NAME,TYPE,URL ...``. One
process does for all services what ``keystone-manage`` and the API do for one
at a time, since most of their time is spent on imports.
"""

import sys
import uuid

from keystone.cmd import bootstrap
from keystone.common import provider_api
from keystone.common import sql
from keystone.common.sql import upgrades
import keystone.conf

from cloud import layout

PROVIDERS = provider_api.ProviderAPIs


def main():
    _, path, region, *endpoints = sys.argv
    keystone.conf.configure()
    sql.initialize()
    keystone.conf.CONF(['--config-file', path], project='keystone')
    # memcached is not started yet.
    keystone.conf.CONF.set_override('enabled', False, 'cache')
    upgrades.offline_sync_database_to_version()
    run = bootstrap.Bootstrapper()
    run.admin_username = run.project_name = run.admin_role_name = 'admin'
    run.admin_password = layout.PASSWORD
    run.region_id = region
    run.immutable_roles = True
    run.bootstrap()
    project = _id()
    PROVIDERS.resource_api.create_project(project, {
        'id': project, 'name': 'service', 'enabled': True, 'description': '',
        'domain_id': run.default_domain_id})
    for endpoint in endpoints:
        name, type_, url = endpoint.split(',')
        user = PROVIDERS.identity_api.create_user({
            'name': name, 'password': layout.PASSWORD, 'enabled': True,
            'domain_id': run.default_domain_id})
        for role in (run.admin_role_id, run.service_role_id):
            PROVIDERS.assignment_api.add_role_to_user_and_project(
                user_id=user['id'], project_id=project, role_id=role)
        _catalogue(name, type_, url, region)


def _catalogue(name, type_, url, region):
    service = _id()
    PROVIDERS.catalog_api.create_service(service, {
        'id': service, 'name': name, 'type': type_, 'enabled': True})
    for interface in ('public', 'internal', 'admin'):
        endpoint = _id()
        PROVIDERS.catalog_api.create_endpoint(endpoint, {
            'id': endpoint, 'interface': interface, 'url': url,
            'service_id': service, 'region_id': region, 'enabled': True})


def _id():
    return uuid.uuid4().hex


if __name__ == '__main__':
    main()
