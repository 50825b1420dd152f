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


"""Configuration files in the form of oslo.config."""

from cloud import layout as layouts


def write(path, sections):
    """Write a file.

    :param path: where to
    :param sections: dict of group to dict of option to value; a list gives
        the option several times
    """
    lines = []
    for group, options in sections.items():
        lines.append(f'[{group}]')
        for name, value in options.items():
            for item in value if isinstance(value, list) else [value]:
                lines.append(f'{name} = {item}')
        lines.append('')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines))


def credentials(layout, user):
    """The options with which a service talks to keystone."""
    return {
        'auth_type': 'password',
        'auth_url': layout.url('keystone') + '/v3',
        'username': user,
        'password': layouts.PASSWORD,
        'project_name': 'service',
        'user_domain_id': 'default',
        'project_domain_id': 'default',
        'region_name': layouts.REGION,
    }


def token_check(layout, user):
    """The options with which a service checks its callers' tokens."""
    return {
        **credentials(layout, user),
        'www_authenticate_uri': layout.url('keystone') + '/v3',
        'memcached_servers': f'{layouts.HOST}:{layout.port("memcached")}',
        'service_token_roles': 'service',
        'service_token_roles_required': True,
    }
