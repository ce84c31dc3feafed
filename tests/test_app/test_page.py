# Copyright (c) smallobj_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The page in a real browser: upload, threshold, download, a file that is no image."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from urllib.parse import urlparse

import cv2
import pytest

from smallobj_mm.weights import shipped_weights

pytest.importorskip('gradio', reason='gradio is not installed (extra demo)')
webdriver = pytest.importorskip('selenium.webdriver', reason='selenium is not installed')

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

PATIENCE = 500  # s; a busy machine is slow
FLAGS = (
    '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage', '--no-proxy-server',
)  # fmt: skip


@pytest.fixture(scope='module')
def binaries():
    """Paths of the browser and its driver."""
    names = ('chromium', 'chromium-browser', 'google-chrome')
    browser = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which('chromedriver')
    if browser is None or driver is None:
        pytest.skip('no Chromium with chromedriver on the PATH')
    return browser, driver


@pytest.fixture(scope='module')
def page_url(binaries, repo_root):
    """The address of a page that runs; at the end nothing of it may have failed."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, '-m', 'smallobj_mm.cli', 'page', '--port', str(port), '--device', 'cpu',
         '--model', 'again', 'ismallnet_s_nuaa', str(shipped_weights('ismallnet_s_nuaa'))],
        cwd=repo_root,
        env={**os.environ, 'NO_PROXY': '127.0.0.1', 'no_proxy': '127.0.0.1'},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    lines = []
    for line in process.stdout:  # ends with the process
        lines.append(line)
        if 'the page is at' in line:
            break
    timer.cancel()
    try:
        assert lines and 'the page is at' in lines[-1], ''.join(lines)
        yield f'http://127.0.0.1:{port}'
    finally:
        process.terminate()
        output = ''.join(lines) + process.communicate(timeout=PATIENCE)[0]
    assert 'Traceback' not in output, output


@pytest.fixture
def browser(binaries, page_url, tmp_path, monkeypatch):
    """A browser that shows the page."""
    monkeypatch.setenv('NO_PROXY', '127.0.0.1,localhost')  # for selenium's talk to the driver
    monkeypatch.setenv('no_proxy', '127.0.0.1,localhost')
    options = webdriver.ChromeOptions()
    options.binary_location = binaries[0]
    for flag in (*FLAGS, '--window-size=1280,900', f'--user-data-dir={tmp_path / "profile"}'):
        options.add_argument(flag)
    folder = str(tmp_path / 'downloads')
    options.add_experimental_option('prefs', {'download.default_directory': folder})
    options.set_capability('goog:loggingPrefs', {'performance': 'ALL'})
    driver = webdriver.Chrome(options=options, service=Service(binaries[1]))
    driver.set_page_load_timeout(PATIENCE)
    driver.get(page_url)
    yield driver
    driver.quit()


def wait(driver, what):
    """Wait until ``what(driver)`` is true, whatever changes on the page meanwhile."""
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException

    ignored = [NoSuchElementException, StaleElementReferenceException]
    return WebDriverWait(driver, PATIENCE, 0.1, ignored).until(what)


def element(driver, css):
    """The first element of a CSS selector."""
    return driver.find_element(By.CSS_SELECTOR, css)


def upload(driver, path):
    """Give a file to the page, as if it was chosen in the dialog."""
    box = '#file input[type=file]'
    wait(driver, lambda d: element(d, box)).send_keys(str(path))


def click(driver, css):
    """Click, as soon as it can be: what is drawn twice disables a button twice."""
    wait(driver, lambda d: element(d, css).click() or True)


def targets_at(driver, threshold):
    """The number of targets as soon as it is that of a threshold."""
    wait(driver, lambda d: element(d, '#at').text == threshold)
    return int(element(driver, '#count').text)


def test_from_upload_to_download(browser, tmp_path):
    from smallobj_mm.app.examples import write_examples

    sea = next(example.file for example in write_examples(tmp_path) if example.name == 'sea')
    upload(browser, sea)
    number = targets_at(browser, '0.50')
    assert number > 0 and 'sea.png, 256 × 256 px' in element(browser, '#message').text
    wait(browser, lambda d: int(element(d, '#picture img').get_property('naturalWidth')) >= 256)
    cells = wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, '#enlarged .thumbnail-item'))
    assert len(cells) == number
    browser.save_screenshot(str(tmp_path / 'result.png'))

    slider = '#threshold input[type=range]'
    element(browser, slider).send_keys(Keys.HOME)
    many = targets_at(browser, '0.05')
    element(browser, slider).send_keys(Keys.END)
    few = targets_at(browser, '0.95')
    assert many >= number >= few and many > few

    button = '#download:not([disabled])'
    wait(browser, lambda d: '0.95' in element(d, button).text)
    click(browser, button)
    archive = tmp_path / 'downloads' / 'sea_results.zip'
    wait(browser, lambda d: archive.is_file())  # it gets its name when it is complete
    with zipfile.ZipFile(archive) as content:
        assert json.loads(content.read('settings.json'))['threshold'] == 0.95
        assert len(content.read('targets.csv').splitlines()) == 1 + few
        assert {'mask.png', 'picture.png', 'predictions.json'} <= set(content.namelist())

    (tmp_path / 'notes.txt').write_text('no image')
    element(browser, '#file button[aria-label="Clear"]').click()
    upload(browser, tmp_path / 'notes.txt')
    error = wait(browser, lambda d: element(d, '#message .error')).text
    assert error.startswith('notes.txt: not readable as an image') and '\n' not in error
    assert not browser.find_elements(By.CSS_SELECTOR, '#count')
    browser.save_screenshot(str(tmp_path / 'error.png'))
    assert foreign_requests(browser) == []


def choose(driver, css, text):
    """Choose an entry of a dropdown."""
    element(driver, f'{css} input').click()
    options = f'{css} [role=option]'
    wait(driver, lambda d: [o for o in d.find_elements(By.CSS_SELECTOR, options)
                            if o.text.strip().endswith(text)])[0].click()  # fmt: skip


def test_an_example_brings_its_model(browser):
    pictures = '#examples .thumbnail-item'
    names = [c.text for c in wait(browser, lambda d: d.find_elements(By.CSS_SELECTOR, pictures))]
    assert element(browser, '#model input').get_property('value') != 'obsdm_t_hituav'
    browser.find_elements(By.CSS_SELECTOR, pictures)[names.index('street')].click()
    assert targets_at(browser, '0.30') > 10
    assert 'street.jpg' in element(browser, '#message').text
    assert element(browser, '#model input').get_property('value') == 'obsdm_t_hituav'


def test_a_clip_beside_another_model(browser, tmp_path):
    from smallobj_mm.app.examples import make_sample

    clip = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*'MJPG'), 5, (256, 256))
    if not writer.isOpened():
        pytest.skip('OpenCV cannot write a video here')
    for name in ('sea', 'ground'):
        writer.write(cv2.cvtColor(make_sample(name), cv2.COLOR_GRAY2BGR))
    writer.release()
    wait(browser, lambda d: element(d, '#model_2 input'))
    choose(browser, '#model_2', 'again')
    upload(browser, clip)
    first = targets_at(browser, '0.50')
    assert int(element(browser, '#count_2').text) == first, 'the same weights'
    assert '2 of 2 frames' in element(browser, '#message').text
    for css in ('#picture', '#picture_2'):
        wait(
            browser, lambda d, i=f'{css} img': int(element(d, i).get_property('naturalWidth')) > 255
        )
    assert 'frame_000000' in element(browser, '#message').text
    button = '#download:not([disabled])'
    wait(browser, lambda d: element(d, button))
    element(browser, '#frame input[type=range]').send_keys(Keys.END)
    wait(browser, lambda d: 'frame_000001' in element(d, '#message').text)
    click(browser, button)  # another frame is no other archive
    archive = tmp_path / 'downloads' / 'clip_results.zip'
    wait(browser, lambda d: archive.is_file())
    with zipfile.ZipFile(archive) as content:
        assert {'marked.mp4', 'targets.csv'} <= set(content.namelist())
    choose(browser, '#model_2', 'no other')
    wait(browser, lambda d: not d.find_elements(By.CSS_SELECTOR, '#count_2'))
    wait(browser, lambda d: element(d, '#count'))
    assert 'frame_000001' in element(browser, '#message').text, 'the frame stays'
    browser.save_screenshot(str(tmp_path / 'clip.png'))
    assert foreign_requests(browser) == []


def foreign_requests(driver):
    """Addresses that the browser asked for and that are not the page's own."""
    events = (json.loads(entry['message'])['message'] for entry in driver.get_log('performance'))
    urls = [urlparse(event['params']['request']['url']) for event in events
            if event['method'] == 'Network.requestWillBeSent']  # fmt: skip
    # The browser's own first page is chrome://new-tab-page.
    outer = [url for url in urls if url.scheme in ('http', 'https', 'ws', 'wss')]
    assert outer
    return [url.geturl() for url in outer if url.hostname != '127.0.0.1']
