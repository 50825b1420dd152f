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


"""Serve a WSGI application: ``python -m cloud.wsgi MODULE PORT``.

Some of the services read ``sys.argv`` when their module is imported, so it is
cut down to the program's name before.
"""

import importlib
import sys

from cheroot import wsgi

from cloud import layout


def main():
    _, module, port = sys.argv
    sys.argv = [module]
    application = importlib.import_module(module).application
    server = wsgi.Server(
        (layout.HOST, int(port)), application, numthreads=8,
        server_name=module)
    try:
        server.start()
    except KeyboardInterrupt:
        server.stop()


if __name__ == '__main__':
    main()
