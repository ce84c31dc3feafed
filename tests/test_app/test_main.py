# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The command of the page, without a page."""

import os
import urllib.request

from smallobj_mm.app.main import reach_without_proxy


def test_the_page_is_reached_without_a_proxy(monkeypatch):
    monkeypatch.setenv('HTTP_PROXY', 'http://proxy.invalid:3128')
    monkeypatch.setenv('NO_PROXY', 'intranet')
    monkeypatch.delenv('no_proxy', raising=False)
    reach_without_proxy('10.1.2.3')
    for host in ('127.0.0.1', 'localhost', '10.1.2.3', 'intranet'):
        assert urllib.request.proxy_bypass_environment(host)
    assert not urllib.request.proxy_bypass_environment('example.org')
    before = os.environ['no_proxy']
    reach_without_proxy('10.1.2.3')
    assert urllib.request.proxy_bypass_environment('intranet') and 'intranet' in before
