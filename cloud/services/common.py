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


"""What the service modules have in common."""

import pathlib
import sys

from cloud import service


def script(name):
    """A console script of the environment that this process runs in.

    :returns: list of arguments
    """
    return [sys.executable, str(pathlib.Path(sys.executable).with_name(name))]


def packaged(*parts):
    """A file below the ``etc`` that packages brought with them."""
    return pathlib.Path(sys.prefix, 'etc', *parts)


def api(layout, name, module, env, needs=(), path='/'):
    """An HTTP service.

    :param layout: the cloud's layout
    :param name: name of the service and of its port
    :param module: the module with its WSGI application
    :param env: variables that tell it where its configuration is
    :param needs: names of services that have to be ready before
    :param path: what to ask for to see whether it works
    :returns: a :class:`~cloud.service.Service`
    """
    return service.Service(
        name,
        [sys.executable, '-m', 'cloud.wsgi', module, str(layout.port(name))],
        env=env, ports=(name,), needs=needs,
        ready=lambda: service.answers(layout.url(name) + path))
