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


"""All options of the package, for the configuration sample."""

import importlib
import pkgutil

from ai_factory_plugins import conf


def list_opts():
    """The options of every module of this package.

    :returns: list of (group, options) as oslo-config-generator wants it
    """
    found = []
    for module in pkgutil.iter_modules(conf.__path__, conf.__name__ + '.'):
        if module.name != __name__:
            found.extend(importlib.import_module(module.name).list_opts())
    return found
